//! The adaptive pace: how much of the quota this process uses while the app's own backend uses the rest.
//!
//! Times and rates are those of a quota of a second. For a quota of a minute, `engine` counts time in minutes, so a minute
//! stands for each second here.
//!
//! A throttled answer begins an episode of one second and a round trip. The service counts by the second, so it may
//! refuse messages that were sent before for that long. The pace goes down once in an episode. From the full pace it
//! falls to just under half. A slow descent would keep the quota overloaded for longer, at the backend's cost. At the
//! lowered pace a few refusals are tolerated, because a backend that sends at random causes them at any pace. More
//! refusals lower the pace by a fiftieth, or by an amount computed from the refused part.
//!
//! The pace goes up only by tries. A try is a few messages on top of the pace, all at once. If a token bucket is empty,
//! it then refuses these messages and not the backend's next ones. Also, a second without room refuses more than its
//! last message, which may be the backend's. A refused try leaves the pace unchanged, and the next try comes after a
//! longer rest, up to 45 s. After a try that is not refused, the next comes soon. From the second such try in a row on,
//! each raises the pace: by one hundredth, by two, by three. A backend that stopped is noticed within a minute and a
//! half. If a try of such a series is refused, the pace goes back to its value before the series plus a hundredth,
//! because the series may have emptied a bucket that had filled. The first series after a fall keeps most of its gain,
//! because no bucket is full then.
//!
//! A limit of this method: this process sees only its own refusals. A backend whose last message of every second comes
//! just before that second's end, and is refused in place of this process's message, looks the same as a backend that
//! sends one message less. Just under half is right beside a backend that takes half, whichever way it sends
//! (`tests/converge.rs`). Beside another backend, at 20 a second, a third of the free quota may stay unused, or some of
//! the backend's messages may be refused. The `share` setting is for users who know the backend's part.

use std::time::Duration;

use crate::clock::Instant;

/// The lowest pace, as a part of the quota.
const LEAST: f64 = 1.0 / 64.0;
/// One episode lowers the pace to this part of it at the lowest, and from the full pace to exactly this part.
const DEEPEST: f64 = 0.48;
/// A refused part above this is not due to chance: the pace is far too high.
const FAR: f64 = 0.12;
/// Other refusals lower the pace by at least this part of it, and by at least this many messages a second.
const STEP: f64 = 0.02;
const STEP_MESSAGES: f64 = 0.5;
/// The refused part that is tolerated over about [`BORNE_OVER`] seconds. A single message is always tolerated.
const BORNE: f64 = 0.0045;
const BORNE_OVER: f64 = 10.0;
/// The size of a try: a number of messages, and a part of the pace.
const TRY: f64 = 2.0;
const TRY_PART: f64 = 0.04;
/// A try that is not refused within this time has passed.
const JUDGED: Duration = Duration::from_millis(1500);
/// The rest before the first try after a fall. It is multiplied by `LONGER` after each refused try and divided by
/// `LONGER` after each passed one. `REST` is the longest rest, `LEAST_REST` the shortest.
const FIRST_REST: Duration = Duration::from_secs(2);
const LONGER: u32 = 6;
const REST: Duration = Duration::from_secs(45);
const LEAST_REST: Duration = Duration::from_millis(500);
/// The second try of a series raises the pace by this part. Each later try raises it by one such part more.
const RISE: f64 = 0.01;
/// The part that is kept of a pace that a series has reached, if the series is the first after a fall.
const BELIEVED: f64 = 0.93;

/// The adaptive pace, in messages a second.
#[derive(Debug)]
pub(super) struct Pace {
    /// The rate that the service grants the app.
    granted: f64,
    /// This process's share of that rate, the highest pace.
    top: f64,
    current: f64,
    rest: Duration,
    /// When the next try, or the one still to be judged, begins, and how much of it is left to send.
    try_begins: Instant,
    left: f64,
    /// The number of tries in a row that passed, and the pace before them.
    tries: u32,
    tried_from: f64,
    episode: Option<ThrottleEpisode>,
    borne: f64,
    borne_of: Instant,
}

#[derive(Debug, Clone, Copy)]
struct ThrottleEpisode {
    began: Instant,
    ends: Instant,
    from: f64,
    /// Whether the refused message belonged to a try and not to the pace.
    of_try: bool,
    refused: f64,
    answered: f64,
}

impl Pace {
    pub(super) fn new(granted: f64, top: f64) -> Self {
        Self {
            granted,
            top,
            current: top,
            rest: FIRST_REST,
            try_begins: Instant::ZERO,
            left: 0.0,
            tries: 0,
            tried_from: top,
            episode: None,
            borne: 0.0,
            borne_of: Instant::ZERO,
        }
    }

    /// Changes the granted rate. The pace stays the same part of it.
    pub(super) fn grant(&mut self, granted: f64, top: f64) {
        let part = top / self.top;
        self.granted = granted;
        self.top = top;
        self.current = (self.current * part).min(top);
        self.tried_from = (self.tried_from * part).min(top);
    }

    pub(super) fn at(&mut self, now: Instant) -> f64 {
        while self.current < self.top && now >= self.try_begins + JUDGED {
            self.try_passed();
        }
        self.current
    }

    /// The pace at `now` as a part of the highest, in thousandths.
    pub(super) fn part(&mut self, now: Instant) -> u32 {
        let part = (self.at(now) / self.top * 1000.0).ceil();
        // Between 1 and 1000.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
        let part = part.clamp(1.0, 1000.0) as u32;
        part
    }

    /// Whether a permit at `now` comes on top of the pace, because it belongs to a try.
    pub(super) fn on_top(&mut self, now: Instant, cost: u32) -> bool {
        let on_top = self.current < self.top && self.left > 0.0 && now >= self.try_begins;
        self.left -= if on_top { f64::from(cost) } else { 0.0 };
        on_top
    }

    /// Plans the next try after `now` and the rest.
    fn try_after(&mut self, now: Instant) {
        let rest = self.rest / LONGER.saturating_pow(self.tries);
        self.try_begins = now + rest.max(LEAST_REST);
        self.left = (TRY + TRY_PART * self.current).ceil();
    }

    fn try_passed(&mut self) {
        if self.tries == 0 {
            self.tried_from = self.current;
        }
        let rise = RISE * f64::from(self.tries);
        // At a very low pace, growth in proportion to the pace alone would take too long.
        self.current = (self.current + rise * self.current.max(self.top / 10.0)).min(self.top);
        self.tries = self.tries.saturating_add(1);
        self.try_after(self.try_begins + JUDGED);
    }

    fn try_refused(&mut self) {
        if self.tries > 1 {
            let believed = if self.rest <= FIRST_REST { BELIEVED * self.current } else { 0.0 };
            self.current = self.current.min(believed.max(self.tried_from * (1.0 + RISE)));
        }
        self.rest = (self.rest * LONGER).min(REST);
    }

    pub(super) fn accepted(&mut self, now: Instant, cost: u32) {
        if let Some(episode) = self.episode.as_mut().filter(|episode| now < episode.ends) {
            episode.answered += f64::from(cost);
        }
    }

    /// Records a refusal, answered at `now`, of a message written at `written`.
    pub(super) fn refused(&mut self, now: Instant, written: Instant, cost: u32) {
        self.at(now);
        let mut episode = match self.episode {
            // The message was written before the episode began, so it says nothing about the lowered pace.
            Some(episode) if written < episode.began => return,
            Some(episode) if written < episode.ends => episode,
            _ => match self.begin(now, written, cost) {
                Some(episode) => episode,
                None => return,
            },
        };
        episode.refused += f64::from(cost);
        episode.answered += f64::from(cost);
        self.episode = Some(episode);
        if !episode.of_try {
            self.lower(&episode);
        }
        self.tries = 0;
        self.try_after(episode.ends);
    }

    fn lower(&mut self, episode: &ThrottleEpisode) {
        // A difference of one message is not significant.
        let part = (episode.refused - 1.0) / episode.answered.max(episode.from).max(1.0);
        // The service accepts `granted` messages a second from all senders together. It refuses `part` of what they
        // send, so they send this many too many.
        let too_much = if part < 1.0 { self.granted * part / (1.0 - part) } else { self.granted };
        let full = episode.from >= 0.99 * self.top;
        let less = if full || part > FAR {
            self.rest = FIRST_REST;
            if full { episode.from } else { too_much }
        } else {
            (too_much / 2.0).max(STEP * episode.from).max(STEP_MESSAGES.min(0.1 * episode.from))
        };
        let lowered = (episode.from - less).max(episode.from * DEEPEST);
        self.current = self.current.min(lowered).max(self.top * LEAST);
    }

    /// Whether the refusal may be due to chance.
    fn bears(&mut self, now: Instant, cost: u32) -> bool {
        let passed = now.saturating_since(self.borne_of).as_secs_f64();
        self.borne = self.borne * (-passed / BORNE_OVER).exp() + f64::from(cost);
        self.borne_of = now;
        self.borne <= (BORNE * BORNE_OVER * self.current).max(1.2)
    }

    /// Begins an episode, unless the refusal is tolerated.
    fn begin(&mut self, now: Instant, written: Instant, cost: u32) -> Option<ThrottleEpisode> {
        let from = self.current;
        let adapted = from < 0.99 * self.top;
        let of_try = adapted && (self.tries > 0 || written >= self.try_begins);
        if of_try {
            self.try_refused();
        } else if adapted && self.bears(now, cost) {
            return None;
        }
        self.borne = 0.0;
        let ends = now + Duration::from_secs(1) + now.saturating_since(written);
        Some(ThrottleEpisode { began: now, ends, from, of_try, refused: 0.0, answered: 0.0 })
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
        assert!((pace.at(at(1_500)) - 48.0).abs() < 1e-9);
        pace.refused(at(3_000), at(990), 1);
        assert!(pace.at(at(3_000)) >= 48.0);
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
