//! A model of the service: how it may count, and the other sender that it serves.

use std::collections::VecDeque;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

/// The four ways in which a service may count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    WallSecond,
    /// Refused messages count too.
    StrictWallSecond,
    SlidingSecond,
    Bucket,
}

impl Counting {
    pub(crate) const ALL: [Self; 4] =
        [Self::WallSecond, Self::StrictWallSecond, Self::SlidingSecond, Self::Bucket];
}

/// A service that takes `limit` messages a second, or in another period.
#[derive(Debug)]
pub(crate) struct Service {
    counting: Counting,
    limit: u32,
    period: Duration,
    second: u64,
    count: u32,
    taken: VecDeque<Duration>,
    tokens: f64,
    filled: Duration,
}

impl Service {
    pub(crate) fn over(period: Duration, counting: Counting, limit: u32) -> Self {
        let tokens = f64::from(limit);
        let (taken, filled) = (VecDeque::new(), Duration::ZERO);
        Self { counting, limit, period, second: 0, count: 0, taken, tokens, filled }
    }

    /// Whether a call of `cost` that arrives at `at` is accepted. Instants must not go back.
    pub(crate) fn takes(&mut self, at: Duration, cost: u32) -> bool {
        match self.counting {
            Counting::WallSecond | Counting::StrictWallSecond => {
                let second = at.as_secs() / self.period.as_secs();
                if second != self.second {
                    self.second = second;
                    self.count = 0;
                }
                let takes = self.count + cost <= self.limit;
                if takes || self.counting == Counting::StrictWallSecond {
                    self.count += cost;
                }
                takes
            }
            Counting::SlidingSecond => {
                while self.taken.front().is_some_and(|taken| *taken + self.period <= at) {
                    self.taken.pop_front();
                }
                let takes = self.taken.len() + cost as usize <= self.limit as usize;
                if takes {
                    self.taken.extend((0..cost).map(|_| at));
                }
                takes
            }
            Counting::Bucket => {
                let limit = f64::from(self.limit);
                let periods = at.saturating_sub(self.filled).as_secs_f64() / self.period.as_secs_f64();
                self.tokens = (self.tokens + periods * limit).min(limit);
                self.filled = at;
                // Fractions of a token are not exact in binary.
                let takes = self.tokens + 1e-6 >= f64::from(cost);
                if takes {
                    self.tokens -= f64::from(cost);
                }
                takes
            }
        }
    }
}

/// How the app's own backend sends its messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Backend {
    Even,
    /// Each message is late by up to this much.
    Late(Duration),
    Poisson,
}

impl Backend {
    /// The instants at which its messages arrive, in order.
    pub(super) fn arrivals(self, per_second: f64, seconds: f64, random: &mut StdRng) -> Vec<Duration> {
        let mut at = random.random_range(0.0..1.0) / per_second;
        let mut arrivals = Vec::new();
        while at < seconds {
            let late = match self {
                Self::Late(most) => random.random_range(0.0..most.as_secs_f64()),
                Self::Even | Self::Poisson => 0.0,
            };
            arrivals.push(Duration::from_secs_f64(at + late));
            at += match self {
                Self::Poisson => -(1.0 - random.random_range(0.0..1.0_f64)).ln() / per_second,
                Self::Even | Self::Late(_) => 1.0 / per_second,
            };
        }
        arrivals.sort();
        arrivals
    }
}

/// Whether all of these services accept a call. Each of them counts it.
pub(super) fn all_take(services: &mut [Service], at: Duration, cost: u32) -> bool {
    let mut taken = true;
    for service in services {
        taken &= service.takes(at, cost);
    }
    taken
}
