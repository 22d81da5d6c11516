//! The status of a broadcast as its driver knows it: what it waits for, its rate, and its expected end. The driver
//! writes it to the ledger, so that other processes can show it.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::broadcast::{ProgressSnapshot, WaitReason};
use crate::client::TokenWait;
use crate::clock::{Clock, Instant};
use crate::quota::QuotaStatus;

/// The time over which a rate is measured.
const MEASURED: Duration = Duration::from_secs(10);

/// The shortest time over which a rate is measured.
const LEAST: Duration = Duration::from_secs(1);

/// The shortest time between two samples.
const BETWEEN: Duration = Duration::from_millis(400);

/// The kinds of waiting, the rarest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitKind {
    /// It is paused until an operator resumes it.
    Resume,
    /// Its plan waits for an approval by another person.
    Approval,
    /// Its window is closed.
    Window,
    /// A stage of its ramp has ended, and the next one begins later.
    Ramp,
    /// The store does not answer, so nothing is sent.
    Store,
    /// The service cannot be reached.
    Unreachable,
    /// The service fails, and calls are tried again.
    Retry,
    /// The service said when to come back.
    ServiceSaid,
    /// The app's token, which is being fetched.
    Token,
    /// The service has refused calls as too many, and the pace is lowered.
    Throttled,
    /// Its turn under its own rate.
    OwnRate,
    /// Its turn in the quota.
    Quota,
    /// Answers of the service.
    Answers,
    /// Other hosts, which send to the rest.
    Hosts,
    /// The service's records of messages in doubt.
    Records,
    /// A process that drives it.
    Driver,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BroadcastWait {
    pub kind: WaitKind,
    /// The expected end of the wait, since 1970; `None` if unknown.
    pub until: Option<Duration>,
    /// The number of calls that wait; `None` if they are not counted.
    pub calls: Option<u64>,
    /// The reason; `None` if none was given.
    pub note: Option<String>,
}

/// The status that a driver writes for its broadcast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriverStatus {
    /// The recent rate, in recipients a second; `None` before it is known.
    pub rate: Option<f64>,
    /// The highest possible rate, in recipients a second: the broadcast's own rate limit or the pace of its quota,
    /// whichever is lower.
    pub most: f64,
    /// What the broadcast waits for; `None` if it does not wait.
    pub wait: Option<BroadcastWait>,
    /// The expected end, since 1970; `None` if it cannot be predicted.
    pub ends_at: Option<Duration>,
}

impl BroadcastWait {
    /// A wait of this kind, without details.
    pub const fn of(kind: WaitKind) -> Self {
        Self { kind, until: None, calls: None, note: None }
    }

    /// What a broadcast waits for, from its driver's progress, its quota, whether its own rate limit applies
    /// (`capped`), and why its app's token is waited for.
    pub fn seen(
        look: &ProgressSnapshot,
        quota: &QuotaStatus,
        capped: bool,
        token: Option<TokenWait>,
        clock: &Clock,
    ) -> Option<Self> {
        let after = |wait: Duration| Some(clock.unix_time() + wait);
        if matches!(look.waits_for, None | Some(WaitReason::Retry { .. }))
            && let Some(token) = token
        {
            let until = token.left.and_then(after);
            return Some(Self { until, note: token.why, ..Self::of(WaitKind::Token) });
        }
        let wait = match &look.waits_for {
            Some(WaitReason::Resume(note)) => Self { note: note.clone(), ..Self::of(WaitKind::Resume) },
            Some(WaitReason::Approval) => Self::of(WaitKind::Approval),
            Some(WaitReason::Window(opens)) => Self { until: Some(*opens), ..Self::of(WaitKind::Window) },
            Some(WaitReason::Ramp { stage, until }) => {
                Self { until: Some(*until), calls: Some(u64::from(*stage)), ..Self::of(WaitKind::Ramp) }
            }
            Some(WaitReason::Retry { calls, at, unreachable }) => Self {
                calls: Some(*calls),
                until: after(at.saturating_since(clock.now())),
                ..Self::of(if *unreachable { WaitKind::Unreachable } else { WaitKind::Retry })
            },
            Some(WaitReason::Store(why)) => Self { note: Some(why.clone()), ..Self::of(WaitKind::Store) },
            Some(WaitReason::Hosts) => Self::of(WaitKind::Hosts),
            Some(WaitReason::Records { doubts, until }) => {
                Self { calls: Some(*doubts), until: *until, ..Self::of(WaitKind::Records) }
            }
            None => {
                if let Some(wait) = quota.resumes_in {
                    Self { until: after(wait), ..Self::of(WaitKind::ServiceSaid) }
                } else if quota.throttled_last_minute > 0 {
                    Self { calls: Some(quota.throttled_last_minute), ..Self::of(WaitKind::Throttled) }
                } else if capped {
                    Self::of(WaitKind::OwnRate)
                } else if quota.waiting.iter().any(|waiting| waiting.calls > 0) {
                    Self::of(WaitKind::Quota)
                } else if look.in_flight > 0 {
                    Self { calls: Some(look.in_flight), ..Self::of(WaitKind::Answers) }
                } else {
                    return None;
                }
            }
        };
        Some(wait)
    }
}

impl WaitKind {
    /// Whether a broadcast that is being sent normally waits like this.
    pub const fn is_usual(self) -> bool {
        matches!(self, Self::Throttled | Self::OwnRate | Self::Quota | Self::Answers | Self::Hosts)
    }
}

impl DriverStatus {
    /// Merges the statuses of several drivers of one broadcast. The rate is the sum of theirs; the wait is the rarest
    /// of theirs. `None` if there are no statuses.
    pub fn together(statuses: impl IntoIterator<Item = Self>) -> Option<Self> {
        statuses.into_iter().reduce(|one, other| Self {
            rate: match (one.rate, other.rate) {
                (Some(one), Some(other)) => Some(one + other),
                (one, other) => one.or(other),
            },
            most: one.most.max(other.most),
            wait: match (one.wait, other.wait) {
                (Some(one), Some(other)) => Some(if other.kind < one.kind { other } else { one }),
                (one, other) => one.or(other),
            },
            ends_at: one.ends_at.min(other.ends_at).or(one.ends_at).or(other.ends_at),
        })
    }
}

/// Measures the rate at which recipients are settled.
#[derive(Debug, Default)]
pub struct RateMeter(VecDeque<(Instant, u64)>);

impl RateMeter {
    /// The recent rate, in recipients a second, given the number settled by `now`. `None` before a second has passed.
    pub fn rate(&mut self, now: Instant, settled: u64) -> Option<f64> {
        let Self(looks) = self;
        while looks.len() > 1 && looks.get(1).is_some_and(|(at, _)| now.saturating_since(*at) >= MEASURED) {
            looks.pop_front();
        }
        if looks.back().is_none_or(|(at, _)| now.saturating_since(*at) >= BETWEEN) {
            looks.push_back((now, settled));
        }
        let (since, before) = *looks.front()?;
        let time = now.saturating_since(since);
        (time >= LEAST).then(|| settled.saturating_sub(before) as f64 / time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut meter = RateMeter::default();
        let at = |seconds: u64| Instant::from_start(Duration::from_secs(seconds));
        assert_eq!(meter.rate(at(0), 100), None);
        assert_eq!(meter.rate(at(2), 140), Some(20.0));
        for second in 3..60 {
            meter.rate(at(second), 140);
        }
        assert_eq!(meter.rate(at(60), 240), Some(10.0), "what was before is forgotten");
    }

    #[test]
    fn several_drivers_are_one_broadcast() {
        let status = |rate, kind, ends_at: Option<u64>| DriverStatus {
            rate: Some(rate),
            most: 20.0,
            wait: Some(BroadcastWait::of(kind)),
            ends_at: ends_at.map(Duration::from_secs),
        };
        let both = [status(4.0, WaitKind::Hosts, None), status(6.0, WaitKind::Retry, Some(9))];
        let together = DriverStatus::together(both).unwrap();
        assert_eq!((together.rate, together.wait.unwrap().kind), (Some(10.0), WaitKind::Retry));
        assert_eq!(together.ends_at, Some(Duration::from_secs(9)));
        assert!(DriverStatus::together([]).is_none());
    }
}
