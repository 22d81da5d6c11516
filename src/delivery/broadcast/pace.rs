//! A broadcast's own rate limit, in messages a second, below that of its quota.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::Instant;

/// How much earlier than its place a call may leave, so that short delays of other calls delay no more calls.
const EARLY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct RateCap {
    each: Duration,
    /// The next turn that is given out.
    next: Cell<Instant>,
    /// When the next call may leave, by the calls that have left.
    free: Cell<Instant>,
}

impl RateCap {
    /// `rate` is in messages a second. A rate that is not positive means no limit.
    pub(super) fn new(rate: Option<f64>) -> Self {
        let each = rate
            .filter(|rate| *rate > 0.0)
            .and_then(|rate| Duration::try_from_secs_f64(rate.recip()).ok())
            .unwrap_or_default();
        Self { each, next: Cell::new(Instant::ZERO), free: Cell::new(Instant::ZERO) }
    }

    /// Takes the next turn for a call of `messages` messages. Returns the time at which the call may go.
    pub(super) fn turn(&self, messages: usize, now: Instant) -> Instant {
        let turn = self.next.get().max(now);
        self.next.set(turn + self.length(messages));
        turn
    }

    /// Lets a call leave whose turn has come. Returns false if it must take another turn: calls that waited together for
    /// something else, such as their quota, would leave together.
    pub(super) fn leave(&self, messages: usize, now: Instant) -> bool {
        let free = self.free.get();
        if free > now + EARLY {
            self.next.set(self.next.get().max(free));
            return false;
        }
        self.free.set(free.max(now) + self.length(messages));
        true
    }

    fn length(&self, messages: usize) -> Duration {
        self.each.saturating_mul(u32::try_from(messages).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_start(Duration::from_millis(ms))
    }

    #[test]
    fn turns_are_spaced_by_messages() {
        let pace = RateCap::new(Some(10.0));
        assert_eq!(pace.turn(3, at(0)), at(0));
        assert_eq!(pace.turn(1, at(10)), at(300));
        assert_eq!(pace.turn(1, at(1000)), at(1000));
        assert_eq!(RateCap::new(None).turn(1, at(5)), at(5));
    }

    #[test]
    fn calls_that_were_held_up_together_take_turns_again() {
        let pace = RateCap::new(Some(2.0));
        let turns: Vec<Instant> = (0..4).map(|_| pace.turn(1, at(0))).collect();
        assert_eq!(turns, [at(0), at(500), at(1_000), at(1_500)]);
        // Their quota lets all of them go at once.
        let left: Vec<bool> = (0..4).map(|_| pace.leave(1, at(60_000))).collect();
        assert_eq!(left, [true, false, false, false]);
        let turns: Vec<Instant> = (0..3).map(|_| pace.turn(1, at(60_000))).collect();
        assert_eq!(turns, [at(60_500), at(61_000), at(61_500)]);
        assert!(turns.into_iter().all(|turn| pace.leave(1, turn)));
        // One that leaves a little late delays no other.
        assert!(pace.leave(1, at(62_050)) && pace.leave(1, at(62_500)));
        let free = RateCap::new(None);
        assert!((0..9).all(|_| free.leave(1, at(5))));
    }
}
