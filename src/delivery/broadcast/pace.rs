//! A broadcast's own rate limit, in messages a second, below that of its quota.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::Instant;

#[derive(Debug)]
pub(super) struct RateCap {
    each: Duration,
    next: Cell<Instant>,
}

impl RateCap {
    /// `rate` is in messages a second. A rate that is not positive means no limit.
    pub(super) fn new(rate: Option<f64>) -> Self {
        let each = rate
            .filter(|rate| *rate > 0.0)
            .and_then(|rate| Duration::try_from_secs_f64(rate.recip()).ok())
            .unwrap_or_default();
        Self { each, next: Cell::new(Instant::ZERO) }
    }

    /// Takes the next turn for a call of `messages` messages. Returns the time at which the call may go.
    pub(super) fn turn(&self, messages: usize, now: Instant) -> Instant {
        let turn = self.next.get().max(now);
        self.next.set(turn + self.each.saturating_mul(u32::try_from(messages).unwrap_or(u32::MAX)));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spaced_by_messages() {
        let pace = RateCap::new(Some(10.0));
        let at = |ms| Instant::from_start(Duration::from_millis(ms));
        assert_eq!(pace.turn(3, at(0)), at(0));
        assert_eq!(pace.turn(1, at(10)), at(300));
        assert_eq!(pace.turn(1, at(1000)), at(1000));
        assert_eq!(RateCap::new(None).turn(1, at(5)), at(5));
    }
}
