//! Statistics of the recent round trips to the service.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Instant;

/// The length of a span. The statistics cover the last [`SPANS`] spans.
const SPAN: Duration = Duration::from_secs(3);
const SPANS: u64 = 10;
/// The number of round trips that are needed to know their spread. Of 64 even draws, or sums of two even draws, the
/// largest and the smallest differ by less than half of the possible range once in a hundred million cases.
const ENOUGH: u64 = 64;
/// The smallest spread that is assumed, because clocks and timers are not more precise.
const LEAST_SPREAD: Duration = Duration::from_millis(2);

/// The smallest and largest round trips of the last half minute.
#[derive(Debug, Default)]
pub(super) struct RoundTrips {
    spans: VecDeque<RoundTripSpan>,
    /// All `spans` together.
    lately: Option<RoundTripSpan>,
}

#[derive(Debug, Clone, Copy)]
struct RoundTripSpan {
    number: u64,
    least: Duration,
    most: Duration,
    count: u64,
}

impl RoundTripSpan {
    fn range(self) -> Duration {
        self.most.saturating_sub(self.least)
    }

    fn join(self, other: Self) -> Self {
        Self {
            number: other.number,
            least: self.least.min(other.least),
            most: self.most.max(other.most),
            count: self.count + other.count,
        }
    }
}

impl RoundTrips {
    pub(super) fn record(&mut self, now: Instant, round_trip: Duration) {
        let number = now.since_start().as_secs() / SPAN.as_secs();
        let new = RoundTripSpan { number, least: round_trip, most: round_trip, count: 1 };
        match self.spans.back_mut() {
            Some(last) if last.number == number => {
                *last = last.join(new);
                self.lately = self.lately.map(|all| all.join(new));
            }
            _ => {
                self.spans.push_back(new);
                // Old spans are dropped only when there is a newer one.
                while self.spans.front().is_some_and(|span| span.number + SPANS <= number) {
                    self.spans.pop_front();
                }
                self.lately = self.spans.iter().copied().reduce(RoundTripSpan::join);
            }
        }
    }

    /// How much delays may differ: the largest round trip minus the smallest. Until there are enough round trips it is
    /// the whole of the largest; `None` while there are none.
    pub(super) fn spread(&self) -> Option<Duration> {
        let lately = self.lately?;
        let spread = if lately.count < ENOUGH { lately.most } else { lately.range() };
        Some(spread.max(LEAST_SPREAD))
    }

    /// The time that a round trip takes at the least: the smallest recent one, minus how much that may exceed the
    /// smallest possible one. If a round trip is the sum of two even draws, the smallest of n exceeds it by more than
    /// 1.5/√n of their range in 4 of 100 cases. At least a quarter is subtracted, for delays of another distribution.
    /// Zero until there are enough round trips.
    fn sure(&self) -> Duration {
        match self.lately {
            Some(lately) if lately.count >= ENOUGH => {
                let doubt = lately.range().mul_f64(1.5 / (lately.count as f64).sqrt());
                lately.least.saturating_sub(doubt.max(lately.least / 4))
            }
            _ => Duration::ZERO,
        }
    }

    /// How much longer than a second a message that was answered after `round_trip` holds its slot, counted from the
    /// instant it was written. `window_slots` says why.
    pub(super) fn excess(&self, round_trip: Duration) -> Duration {
        let known = self.spread().unwrap_or(round_trip).min(round_trip.saturating_sub(self.sure()));
        known.max(LEAST_SPREAD).min(round_trip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn nothing_is_taken_off_before_there_are_enough() {
        let mut trips = RoundTrips::default();
        assert_eq!(trips.spread(), None);
        assert_eq!(trips.excess(millis(80)), millis(80));
        trips.record(Instant::ZERO, millis(80));
        assert_eq!(trips.spread(), Some(millis(80)));
        assert_eq!(trips.excess(millis(60)), millis(60));
    }

    #[test]
    fn a_steady_way_binds_for_two_milliseconds_only() {
        let mut trips = RoundTrips::default();
        for _ in 0..ENOUGH {
            trips.record(Instant::ZERO, millis(500));
        }
        assert_eq!(trips.spread(), Some(millis(2)));
        assert_eq!(trips.excess(millis(500)), millis(2));
        assert_eq!(trips.excess(millis(1)), millis(1));
    }

    #[test]
    fn half_a_minute_later_it_is_forgotten() {
        let mut trips = RoundTrips::default();
        trips.record(Instant::ZERO, millis(900));
        for second in 1..40 {
            for _ in 0..ENOUGH {
                trips.record(Instant::from_start(Duration::from_secs(second)), millis(10));
            }
            let expected = if second < 30 { 890 } else { 2 };
            assert_eq!(trips.spread(), Some(millis(expected)), "after {second} s");
        }
    }
}
