//! The four ways in which a service may count a rate.

use std::collections::VecDeque;
use std::time::Duration;

use super::refusal::{REACH_LIMIT, Refusal};
use super::time::ClockReading;

/// How a rate of N a second, or of N in another period, is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum RateCounting {
    /// By the wall-clock second: N in each, so up to 2N around its edge.
    Fixed,
    /// By the wall-clock second, and what was refused counts too.
    Strict,
    /// N in any second, wherever it begins.
    #[default]
    Sliding,
    /// A bucket of N that fills again by N a second, evenly: N at once, then one every 1/N s.
    Bucket,
}

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Counts the calls of one rate.
#[derive(Debug)]
pub(super) struct CallMeter {
    /// The quota of one period. `None` admits everything.
    quota: Option<u32>,
    period: Duration,
    /// Whether a call passes only if its whole cost fits.
    whole: bool,
    used: MeterUsage,
}

#[derive(Debug)]
enum MeterUsage {
    Second {
        strict: bool,
        second: u128,
        used: i128,
    },
    Window {
        passed: VecDeque<(Duration, u32)>,
        sum: i128,
    },
    /// The level in units of `1 / period in nanoseconds`, so that the bucket fills without rounding. It is negative
    /// after a call that fitted only partly.
    Bucket {
        level: i128,
        at: Duration,
    },
}

impl CallMeter {
    pub(super) fn new(quota: Option<u32>, period: Duration, count: RateCounting, whole: bool) -> Self {
        let second = |strict| MeterUsage::Second { strict, second: 0, used: 0 };
        let used = match count {
            RateCounting::Fixed => second(false),
            RateCounting::Strict => second(true),
            RateCounting::Sliding => MeterUsage::Window { passed: VecDeque::new(), sum: 0 },
            RateCounting::Bucket => MeterUsage::Bucket {
                level: i128::from(quota.unwrap_or(0)) * nanos(period),
                at: Duration::ZERO,
            },
        };
        Self { quota, period, whole, used }
    }

    /// Whether `cost` passes at this time. If so, it is counted.
    pub(super) fn admits(&mut self, now: ClockReading, cost: u32) -> bool {
        let Some(quota) = self.quota.map(i128::from) else { return true };
        let needed = if self.whole { i128::from(cost) } else { 1 };
        let passes = self.used.left(now, quota, self.period) >= needed;
        if passes || matches!(self.used, MeterUsage::Second { strict: true, .. }) {
            self.used.add(now, cost, self.period);
        }
        passes
    }
}

impl MeterUsage {
    /// Removes what no longer counts and returns how much is free.
    fn left(&mut self, now: ClockReading, quota: i128, period: Duration) -> i128 {
        match self {
            Self::Second { second, used, .. } => {
                let current = now.unix.as_nanos() / period.as_nanos();
                if *second != current {
                    *second = current;
                    *used = 0;
                }
                quota - *used
            }
            Self::Window { passed, sum } => {
                while let Some(&(at, cost)) = passed.front() {
                    if now.elapsed < at + period {
                        break;
                    }
                    passed.pop_front();
                    *sum -= i128::from(cost);
                }
                quota - *sum
            }
            Self::Bucket { level, at } => {
                let since = now.elapsed.saturating_sub(*at).as_nanos();
                *at = now.elapsed;
                let filled = i128::try_from(since).unwrap_or(i128::MAX).saturating_mul(quota);
                *level = level.saturating_add(filled).min(quota * nanos(period));
                level.div_euclid(nanos(period))
            }
        }
    }

    fn add(&mut self, now: ClockReading, cost: u32, period: Duration) {
        match self {
            Self::Second { used, .. } => *used += i128::from(cost),
            Self::Window { passed, sum } => {
                passed.push_back((now.elapsed, cost));
                *sum += i128::from(cost);
            }
            Self::Bucket { level, .. } => *level -= i128::from(cost) * nanos(period),
        }
    }
}

/// Returns a period in nanoseconds.
fn nanos(period: Duration) -> i128 {
    i128::try_from(period.as_nanos()).unwrap_or(i128::MAX)
}

const DAY: u64 = 24 * 60 * 60;

/// The announcements to some users: at most some a day in UTC, with a time between two.
#[derive(Debug)]
pub(super) struct AnnounceMeter {
    /// `None` admits everything.
    per_day: Option<u32>,
    interval: Duration,
    last: Option<Duration>,
    /// The day of the last one, since 1970, and how many it had.
    day: (u64, u32),
}

impl AnnounceMeter {
    pub(super) fn new(per_day: Option<u32>, interval: Duration) -> Self {
        Self { per_day, interval, last: None, day: (0, 0) }
    }

    /// Refuses an announcement that comes too soon, or as `enough` the one after the last of the day.
    pub(super) fn check(&self, now: ClockReading, enough: Refusal) -> Result<(), Refusal> {
        let Some(per_day) = self.per_day else { return Ok(()) };
        if self.last.is_some_and(|last| now.elapsed.saturating_sub(last) < self.interval) {
            return Err(REACH_LIMIT);
        }
        let today = now.unix.as_secs() / DAY;
        if self.day.0 == today && self.day.1 >= per_day { Err(enough) } else { Ok(()) }
    }

    /// Counts an announcement that was accepted.
    pub(super) fn count(&mut self, now: ClockReading) {
        let today = now.unix.as_secs() / DAY;
        let before = if self.day.0 == today { self.day.1 } else { 0 };
        (self.last, self.day) = (Some(now.elapsed), (today, before + 1));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> ClockReading {
        let time = Duration::from_millis(ms);
        ClockReading { elapsed: time, unix: time }
    }

    /// Returns how many of `tries` calls with cost 1 pass at this time.
    fn pass(meter: &mut CallMeter, ms: u64, tries: u32) -> u32 {
        (0..tries).map(|_| u32::from(meter.admits(at(ms), 1))).sum()
    }

    fn meter(count: RateCounting) -> CallMeter {
        CallMeter::new(Some(20), SECOND, count, false)
    }

    #[test]
    fn exactly_the_quota_passes_at_once_in_every_way() {
        for count in [RateCounting::Fixed, RateCounting::Strict, RateCounting::Sliding, RateCounting::Bucket]
        {
            assert_eq!(pass(&mut meter(count), 5_000, 30), 20, "{count:?}");
        }
    }

    #[test]
    fn the_edge_of_a_wall_clock_second_lets_twice_the_quota_in() {
        for count in [RateCounting::Fixed, RateCounting::Strict] {
            let mut meter = meter(count);
            assert_eq!((pass(&mut meter, 5_999, 20), pass(&mut meter, 6_000, 21)), (20, 20), "{count:?}");
        }
    }

    #[test]
    fn a_sliding_second_frees_exactly_what_left_it() {
        let mut meter = meter(RateCounting::Sliding);
        assert_eq!((pass(&mut meter, 5_900, 15), pass(&mut meter, 6_100, 15)), (15, 5));
        assert_eq!((pass(&mut meter, 6_899, 1), pass(&mut meter, 6_900, 20)), (0, 15));
        assert_eq!((pass(&mut meter, 7_099, 1), pass(&mut meter, 7_100, 20)), (0, 5));
    }

    #[test]
    fn a_bucket_gives_one_back_every_twentieth_of_a_second_and_holds_no_more_than_twenty() {
        let mut meter = meter(RateCounting::Bucket);
        assert_eq!((pass(&mut meter, 5_000, 30), pass(&mut meter, 5_049, 1)), (20, 0));
        assert_eq!((pass(&mut meter, 5_050, 2), pass(&mut meter, 5_149, 2)), (1, 1));
        assert_eq!(pass(&mut meter, 60_000, 30), 20);
    }

    #[test]
    fn only_strict_counts_what_it_refused() {
        for (count, passes) in [(RateCounting::Fixed, true), (RateCounting::Strict, false)] {
            let mut meter = CallMeter::new(Some(20), SECOND, count, true);
            assert!(meter.admits(at(5_000), 18), "{count:?}");
            assert!(!meter.admits(at(5_001), 3), "{count:?}");
            assert_eq!(meter.admits(at(5_002), 1), passes, "{count:?}");
        }
    }

    #[test]
    fn of_calls_of_three_seven_pass_and_six_where_all_must_fit() {
        for count in [RateCounting::Fixed, RateCounting::Strict, RateCounting::Sliding, RateCounting::Bucket]
        {
            for (whole, expected) in [(false, 7), (true, 6)] {
                let mut meter = CallMeter::new(Some(20), SECOND, count, whole);
                let passed = (0..10).filter(|_| meter.admits(at(5_000), 3)).count();
                assert_eq!(passed, expected, "{count:?} {whole}");
            }
        }
    }

    #[test]
    fn a_lifted_rate_lets_everything_pass() {
        let mut meter = CallMeter::new(None, SECOND, RateCounting::Strict, true);
        assert!((0..100_000).all(|_| meter.admits(at(5_000), 20)));
    }

    proptest! {
        /// Compares the sliding second with its definition, for random arrivals.
        #[test]
        fn no_second_of_a_sliding_count_holds_more_than_the_quota(
            gaps in prop::collection::vec(0_u64..200, 1..300), quota in 1_u32..30,
        ) {
            let mut meter = CallMeter::new(Some(quota), SECOND, RateCounting::Sliding, false);
            let mut now = 0;
            let mut passed = Vec::new();
            for gap in gaps {
                now += gap;
                let recent = passed.iter().filter(|&&at| at + 1_000 > now).count();
                let admitted = meter.admits(at(now), 1);
                prop_assert_eq!(admitted, recent < quota as usize);
                if admitted {
                    passed.push(now);
                }
            }
        }
    }
}
