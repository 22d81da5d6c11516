//! The simulated network latency.

use std::str::FromStr;
use std::time::Duration;

use rand::Rng;

/// The network time of a call, there and back together. Each way takes half and is drawn separately, so that calls
/// may arrive in another order and closer together than they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    least: Duration,
    most: Duration,
}

impl Latency {
    /// Returns a latency that is always `time`.
    pub const fn fixed(time: Duration) -> Self {
        Self { least: time, most: time }
    }

    /// Returns a latency that is evenly distributed between two times, given in any order.
    pub fn range(one: Duration, other: Duration) -> Self {
        Self { least: one.min(other), most: one.max(other) }
    }

    /// Returns the time of one way.
    pub(super) fn one_way(self, rng: &mut impl Rng) -> Duration {
        self.whole(rng) / 2
    }

    /// Returns the whole time.
    pub(super) fn whole(self, rng: &mut impl Rng) -> Duration {
        if self.most.is_zero() {
            return Duration::ZERO;
        }
        rng.random_range(self.least..=self.most)
    }
}

/// A latency that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("latency `{0}` is neither a time like `5ms` nor a range like `2ms-40ms` (units us, ms, s)")]
pub struct ParseLatencyError(String);

impl FromStr for Latency {
    type Err = ParseLatencyError;

    /// Parses `5ms`, `1s`, `250us`, `2ms-40ms` or `0`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (one, other) = text.split_once('-').unwrap_or((text, text));
        let range = time(one).zip(time(other)).map(|(one, other)| Self::range(one, other));
        range.ok_or_else(|| ParseLatencyError(text.to_owned()))
    }
}

fn time(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "0" {
        return Some(Duration::ZERO);
    }
    // `us` and `ms` also end with `s`, so they are tried first.
    let units = [("us", 1), ("ms", 1_000), ("s", 1_000_000)];
    let (number, micros) =
        units.iter().find_map(|&(unit, micros)| Some((text.strip_suffix(unit)?, micros)))?;
    let number: u64 = number.trim().parse().ok()?;
    Some(Duration::from_micros(number.checked_mul(micros)?))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn reads_times_and_ranges() {
        let ms = Duration::from_millis;
        assert_eq!("5ms".parse(), Ok(Latency::fixed(ms(5))));
        assert_eq!("2ms-1s".parse(), Ok(Latency::range(ms(2), ms(1000))));
        assert_eq!("250us".parse(), Ok(Latency::fixed(Duration::from_micros(250))));
        assert_eq!("0".parse(), Ok(Latency::default()));
        for bad in ["", "5", "ms", "-5ms", "1ms-", "1h", "5 m s", "99999999999999999999s", "1ms-2ms-3ms"] {
            assert_eq!(bad.parse::<Latency>(), Err(ParseLatencyError(bad.to_owned())));
        }
    }

    #[test]
    fn one_way_is_half_of_what_was_asked_for_and_spread_over_it() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let ms = Duration::from_millis;
        assert_eq!(Latency::fixed(ms(5)).one_way(&mut rng), Duration::from_micros(2500));
        let ways: Vec<_> = (0..1000).map(|_| Latency::range(ms(2), ms(40)).one_way(&mut rng)).collect();
        assert!(ways.iter().all(|way| (ms(1)..=ms(20)).contains(way)));
        assert!(ways.iter().any(|way| *way < ms(2)) && ways.iter().any(|way| *way > ms(19)));
    }
}
