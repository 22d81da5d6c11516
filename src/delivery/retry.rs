//! How often and how long a try is repeated of which nothing was sent.

use std::time::Duration;

use rand::Rng;

use crate::clock::Clock;

/// Tries of one message, including the first.
const TRIES: u32 = 6;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// The sum of all waits of one message.
const BUDGET: Duration = Duration::from_mins(2);

/// How long throttled answers are retried. They count neither as tries nor as failures.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);

/// Exponential backoff with full jitter.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// Whether the jitter is off, in simulated time: there are no other processes to avoid, and a test must be
    /// repeatable.
    even: bool,
    failures: u32,
    waited: Duration,
}

impl Backoff {
    /// A backoff without failures. In simulated time each wait is half of the longest possible one.
    pub(super) fn of(clock: &Clock) -> Self {
        Self { even: clock.is_simulated(), ..Self::default() }
    }

    /// The wait before the next try; `None` if there is to be none. It is at least `at_least`, the time that the
    /// service or a failed token fetch asked for.
    pub(super) fn next(&mut self, at_least: Option<Duration>) -> Option<Duration> {
        self.failures += 1;
        if self.failures >= TRIES {
            return None;
        }
        let most = LONGEST.min(FIRST * 2_u32.pow(self.failures - 1));
        let part = if self.even { 0.5 } else { rand::rng().random::<f64>() };
        let wait = at_least.unwrap_or_default() + most.mul_f64(part);
        self.waited += wait;
        (self.waited <= BUDGET).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_tries_and_no_wait_over_its_bound() {
        for _ in 0..200 {
            let mut backoff = Backoff::default();
            let waits: Vec<_> = std::iter::from_fn(|| backoff.next(None)).collect();
            assert_eq!(waits.len(), 5);
            for (index, wait) in (0..).zip(&waits) {
                assert!(*wait <= LONGEST.min(FIRST * 2_u32.pow(index)), "{waits:?}");
            }
        }
    }

    #[test]
    fn a_wait_that_was_asked_for_is_waited_within_the_budget() {
        let mut backoff = Backoff::default();
        assert!(
            backoff.next(Some(Duration::from_secs(7))).is_some_and(|wait| wait >= Duration::from_secs(7))
        );
        assert_eq!(backoff.next(Some(BUDGET)), None);
    }
}
