//! Counts recent events, and all events since the start.

use std::time::Duration;

use crate::clock::Instant;

const SLOTS: usize = 20;

/// Counts events of the last [`SLOTS`] slots of time.
#[derive(Debug)]
pub(super) struct RollingCounter {
    slot: Duration,
    counts: [u64; SLOTS],
    last: u128,
    ever: u64,
}

impl RollingCounter {
    /// Counts the events of the last `span`, to a twentieth of it.
    pub(super) fn over(span: Duration) -> Self {
        Self { slot: span / 20, counts: [0; SLOTS], last: 0, ever: 0 }
    }

    fn turn(&mut self, now: Instant) {
        let slot = now.since_start().as_nanos() / self.slot.as_nanos().max(1);
        let passed = usize::try_from(slot.saturating_sub(self.last)).unwrap_or(SLOTS).min(SLOTS);
        if passed > 0 {
            self.counts.rotate_right(passed);
            self.counts[..passed].fill(0);
            self.last = slot;
        }
    }

    pub(super) fn add(&mut self, now: Instant, count: u32) {
        self.turn(now);
        self.counts[0] += u64::from(count);
        self.ever += u64::from(count);
    }

    /// The number of events since the start.
    pub(super) const fn ever(&self) -> u64 {
        self.ever
    }

    pub(super) fn total(&mut self, now: Instant) -> u64 {
        self.turn(now);
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_forgotten_when_their_span_is_over() {
        let mut tally = RollingCounter::over(Duration::from_secs(1));
        let at = |millis| Instant::from_start(Duration::from_millis(millis));
        tally.add(at(0), 2);
        tally.add(at(990), 1);
        assert_eq!(tally.total(at(999)), 3);
        assert_eq!(tally.total(at(1_000)), 1);
        assert_eq!((tally.total(at(60_000)), tally.ever()), (0, 3));
    }
}
