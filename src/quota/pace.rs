//! The pace: how much of the quota we take, when the app's own backend takes the rest.
//!
//! A throttled answer begins an episode of one second and a round trip: the service counts by the second, so for
//! that long it may go on refusing for what was sent before. In an episode the pace is lowered once. From the full
//! pace it falls to half, and it is looked for from below what the service takes: who comes from above stays too
//! long in an overload that others pay for. After a short rest the pace is raised, ever faster; where that ends in
//! a refusal, the pace settles a message a second below and rests for half a minute. Then it is raised again, so
//! that a backend that stopped is noticed within a minute or so. Each such try moves the settled pace up by a
//! hundredth at the most, because a bucket that has filled meanwhile takes more than it will take for long.
//!
//! While the pace rests, a few refusals are borne: a backend that sends at random makes them at any pace. More of
//! them lower it, and the rest begins anew.
//!
//! What cannot be met: only our own refusals are seen. A backend whose last message of every second comes just
//! before that second's end is refused in our place while we take less than one message a second too much; and one
//! that sends evenly into an empty bucket can be so out of step with us that it is always the one that finds it
//! empty. Both last only for some phases of a small quota (`tests/converge.rs` has the figures). `share` is for
//! those who know what their backend takes.

use std::time::Duration;

use crate::clock::Instant;

/// The pace never goes below this part of the quota, so that its end is noticed.
const LEAST: f64 = 1.0 / 64.0;
/// One episode lowers the pace to this part of it at most, and from the full pace to this.
const DEEPEST: f64 = 0.5;
/// A part refused that is more than chance: the pace is far too high.
const FAR: f64 = 0.12;
/// Growth after a rest: part of the pace a second, at once and for each second since.
const GROWTH: f64 = 0.03;
const GROWTH_LATER: f64 = 0.002;
/// A try settles this much below the pace that was refused: messages a second, and a part of it.
const MARGIN: f64 = 0.75;
const MARGIN_PART: f64 = 0.02;
/// What one try raises the settled pace by, at most.
const RISE: f64 = 0.01;
/// A refusal during a rest lowers the pace by this part, and by this many messages a second.
const STEP: f64 = 0.03;
const STEP_MESSAGES: f64 = 0.5;
/// The rest before the first try, and after one.
const FIRST_REST: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(30);
/// The refused part that is borne during a rest, over about [`BORNE_OVER`] seconds.
const BORNE: f64 = 0.005;
const BORNE_OVER: f64 = 10.0;

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
    /// It is not raised before this.
    rests_until: Instant,
    /// Where the tries of late settled; tells something once there was a try.
    settled: f64,
    tries: u32,
    episode: Option<Episode>,
    borne: f64,
    borne_of: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Episode {
    began: Instant,
    ends: Instant,
    /// The pace at its beginning.
    from: f64,
    /// Where a try of it settles, if a try began it.
    settles: Option<f64>,
    refused: f64,
    answered: f64,
}

impl Pace {
    pub(super) fn new(granted: f64, top: f64) -> Self {
        Self {
            granted,
            top,
            current: top,
            of: Instant::ZERO,
            rests_until: Instant::ZERO,
            settled: top,
            tries: 0,
            episode: None,
            borne: 0.0,
            borne_of: Instant::ZERO,
        }
    }

    /// The pace of `now`.
    pub(super) fn at(&mut self, now: Instant) -> f64 {
        if self.current < self.top {
            let age = |at: Instant| at.saturating_since(self.rests_until).as_secs_f64();
            let (from, to) = (age(self.of), age(now));
            let growth = GROWTH * (to - from) + GROWTH_LATER / 2.0 * (to.powi(2) - from.powi(2));
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
            _ => match self.begin(pace, now, written, cost) {
                Some(episode) => episode,
                None => return,
            },
        };
        episode.refused += f64::from(cost);
        episode.answered += f64::from(cost);
        self.episode = Some(episode);
        let part = episode.refused / episode.answered.max(episode.from).max(1.0);
        // Together with the backend we are accepted at `granted` a second.
        let too_much = if part < 1.0 { self.granted * part / (1.0 - part) } else { self.granted };
        let deepest = episode.from * DEEPEST;
        let lowered = if part > FAR {
            self.tries = 0;
            (episode.from - too_much).max(deepest)
        } else if episode.from >= 0.99 * self.top {
            deepest
        } else if let Some(settles) = episode.settles {
            settles
        } else {
            let step = (STEP * episode.from).max(STEP_MESSAGES.min(0.1 * episode.from));
            (episode.from - step.max(too_much / 2.0)).max(deepest)
        };
        self.settled = self.settled.min(lowered);
        self.current = pace.min(lowered).max(self.top * LEAST);
        self.rests_until = episode.ends + if self.tries < 2 { FIRST_REST } else { REST };
    }

    /// Whether a refusal may be chance.
    fn bears(&mut self, now: Instant, cost: u32) -> bool {
        let passed = now.saturating_since(self.borne_of).as_secs_f64();
        self.borne = self.borne * (-passed / BORNE_OVER).exp() + f64::from(cost);
        self.borne_of = now;
        now < self.rests_until && self.borne <= BORNE * BORNE_OVER * self.current
    }

    /// A new episode, unless the refusal is borne.
    fn begin(&mut self, pace: f64, now: Instant, written: Instant, cost: u32) -> Option<Episode> {
        if self.bears(now, cost) {
            return None;
        }
        let try_ends = now >= self.rests_until && pace < 0.99 * self.top;
        self.borne = 0.0;
        let settles = try_ends.then(|| {
            self.tries = self.tries.saturating_add(1);
            let most = if self.tries > 1 { self.settled * (1.0 + RISE) } else { self.top };
            (pace - MARGIN - MARGIN_PART * pace).max(pace * DEEPEST).min(most)
        });
        self.settled = settles.unwrap_or(pace);
        let ends = now + Duration::from_secs(1) + now.saturating_since(written);
        Some(Episode { began: now, ends, from: pace, settles, refused: 0.0, answered: 0.0 })
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
        assert!(pace.at(at(2_000)) < low * 1.01);
        assert!(pace.at(at(7_000)) < low * 1.3);
        assert!((pace.at(at(60_000)) - 80.0).abs() < 1e-9);
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
