//! A broadcast's own rate limit, in messages a second, below that of its quota.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::Instant;

/// How late after its turn a call may leave without delaying the next one. One that is later has lost its turn.
const LATE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct RateCap {
    each: Duration,
    /// The next turn that is given out.
    next: Cell<Instant>,
    /// The next turn of a call that has lost its first one.
    again: Cell<Instant>,
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
        let start = || Cell::new(Instant::ZERO);
        Self { each, next: start(), again: start(), free: start() }
    }

    /// Takes the next turn for a call of `messages` messages. Returns the time at which the call may go.
    pub(super) fn turn(&self, messages: usize, now: Instant) -> Instant {
        let turn = self.next.get().max(now);
        self.next.set(turn + self.length(messages));
        turn
    }

    /// Lets a call leave that had this turn. If calls that waited together for something else, such as their quota, would
    /// leave together, the error is another turn.
    pub(super) fn leave(&self, messages: usize, turn: Instant, now: Instant) -> Result<(), Instant> {
        let free = self.free.get();
        if free > now {
            let turn = self.again.get().max(free);
            self.again.set(turn + self.length(messages));
            return Err(turn);
        }
        let left = if now.saturating_since(turn) > LATE { now } else { turn };
        self.free.set(free.max(left) + self.length(messages));
        Ok(())
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
        let again = turns.into_iter().map(|turn| pace.leave(1, turn, at(60_000)));
        assert_eq!(again.collect::<Vec<_>>(), [Ok(()), Err(at(60_500)), Err(at(61_000)), Err(at(61_500))]);
        for turn in [at(60_500), at(61_000), at(61_500)] {
            assert_eq!(pace.leave(1, turn, turn), Ok(()));
        }
    }

    #[test]
    fn a_call_that_leaves_a_little_late_delays_no_other() {
        let pace = RateCap::new(Some(2.0));
        for (ms, late) in [(0, 0), (500, 400), (1_000, 0), (1_500, 900), (2_000, 450), (2_500, 0)] {
            assert_eq!(pace.turn(1, at(0)), at(ms));
            assert_eq!(pace.leave(1, at(ms), at(ms + late)), Ok(()), "{ms}");
        }
        let free = RateCap::new(None);
        assert!((0..9).all(|_| free.leave(1, at(5), at(5_000)).is_ok()));
    }
}
