//! The pace: how much of the quota we take, when the app's own backend takes the rest.
//!
//! A throttled answer begins an episode of one second and a round trip: the service counts by the second, so for
//! that long it may go on refusing for what was sent before. In an episode the pace is lowered once, by as much as
//! the refused part of it says was too much. Together with the backend we are accepted at N a second then, so with
//! a part f of all refused, N·f/(1 − f) a second were too much. After it, the pace climbs back, slowly at first and
//! then by the square of the time (the shape of CUBIC): what was refused just now is probed gently, and a backend
//! that stopped is noticed within a minute.
//!
//! What cannot be met: only our own refusals are seen. A backend that sends evenly, and in such a phase that it is
//! always the one that comes last, is refused in our place until chance has it otherwise. `share` is for those who
//! know what their backend takes.

use std::time::Duration;

use crate::clock::Instant;

/// Answers that the refused part is measured over at the least; with fewer, one refusal would mean too much.
const FEWEST: f64 = 30.0;
/// The pace never goes below this part of the quota, so that its end is noticed.
const LEAST: f64 = 1.0 / 64.0;
/// One episode lowers the pace to this part of it at most.
const DEEPEST: f64 = 0.5;
/// Growth: part of the pace a second, just after an episode and for each squared second since.
const GROWTH: f64 = 0.0025;
const GROWTH_SQUARED: f64 = 0.000_025;

/// The adaptive rate, a second.
#[derive(Debug)]
pub(super) struct Pace {
    /// What the service grants the app.
    granted: f64,
    /// Our share of it.
    top: f64,
    current: f64,
    /// `current` is the pace of this instant.
    of: Instant,
    episode: Option<Episode>,
}

#[derive(Debug, Clone, Copy)]
struct Episode {
    began: Instant,
    ends: Instant,
    /// The pace at its beginning.
    from: f64,
    refused: f64,
    answered: f64,
}

impl Pace {
    pub(super) fn new(granted: f64, top: f64) -> Self {
        Self { granted, top, current: top, of: Instant::ZERO, episode: None }
    }

    /// The pace of `now`.
    pub(super) fn at(&mut self, now: Instant) -> f64 {
        if let Some(episode) = self.episode.filter(|_| self.current < self.top) {
            let age = |at: Instant| at.saturating_since(episode.ends).as_secs_f64();
            let (from, to) = (age(self.of), age(now));
            let growth = GROWTH * (to - from) + GROWTH_SQUARED / 3.0 * (to.powi(3) - from.powi(3));
            // From far below, growing in proportion alone would take for ever.
            self.current = (self.current + growth * self.current.max(self.top / 10.0)).min(self.top);
        }
        self.of = now;
        self.current
    }

    /// An answer came that was not a refusal.
    pub(super) fn accepted(&mut self, now: Instant, cost: u32) {
        if let Some(episode) = self.episode.as_mut().filter(|episode| now < episode.ends) {
            episode.answered += f64::from(cost);
        }
    }

    /// An answer at `now` refused what was written at `written`.
    pub(super) fn refused(&mut self, now: Instant, written: Instant, cost: u32) {
        let pace = self.at(now);
        let mut episode = match self.episode {
            Some(episode) if now < episode.ends => episode,
            // Written before we knew: says nothing of the pace that came after.
            Some(episode) if written < episode.began => return,
            _ => {
                let ends = now + Duration::from_secs(1) + now.saturating_since(written);
                Episode { began: now, ends, from: pace, refused: 0.0, answered: 0.0 }
            }
        };
        episode.refused += f64::from(cost);
        episode.answered += f64::from(cost);
        let part = episode.refused / episode.answered.max(episode.from).max(FEWEST);
        let too_much = if part < 1.0 { self.granted * part / (1.0 - part) } else { self.granted };
        let margin = (0.02 * episode.from).min(0.2 + 0.001 * episode.from);
        let lowered = (episode.from - too_much - margin).max(episode.from * DEEPEST);
        self.current = pace.min(lowered).max(self.top * LEAST);
        self.episode = Some(episode);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn a_burst_of_refusals_lowers_it_once() {
        let mut pace = Pace::new(100.0, 100.0);
        for refused in 0..500 {
            pace.refused(at(1_000 + refused), at(950), 1);
        }
        assert!((pace.at(at(1_500)) - 50.0).abs() < 1e-9);
        // What was written before the episode and refused after its end is no news.
        pace.refused(at(3_000), at(990), 1);
        assert!(pace.at(at(3_000)) >= 50.0);
    }

    #[test]
    fn it_climbs_back_slowly_and_then_fast_and_not_above_its_top() {
        let mut pace = Pace::new(100.0, 80.0);
        pace.refused(at(0), at(0), 40);
        let low = pace.at(at(1_000));
        assert!(low < 50.0, "{low}");
        assert!(pace.at(at(5_000)) < low * 1.02);
        assert!(pace.at(at(20_000)) < low * 1.15);
        assert!((pace.at(at(80_000)) - 80.0).abs() < 1e-9);
    }

    #[test]
    fn it_keeps_asking_when_everything_is_refused() {
        let mut pace = Pace::new(100.0, 100.0);
        for second in 0..100 {
            pace.refused(at(second * 1_200), at(second * 1_200 - second.min(1) * 10), 1_000);
        }
        assert!(pace.at(at(120_000)) >= 100.0 / 64.0);
    }
}
