//! The settings of a quota.

use std::num::NonZeroU32;
use std::time::Duration;

/// The most groups that one call may name (vendor's page: 3, never raised), and so the largest cost of a group call.
pub const GROUPS_A_CALL: u32 = 3;

/// One rate that the service grants an app.
#[derive(Debug, Clone)]
pub struct QuotaSettings {
    /// What the quota counts, for display: `"group messages"`.
    pub name: &'static str,
    /// The messages that the service accepts a period.
    pub limit: NonZeroU32,
    /// The period over which the service counts.
    pub period: QuotaPeriod,
    /// The largest cost of one call. A call that costs more than a period's quota holds the whole quota for as many
    /// periods as it is worth.
    pub largest_cost: NonZeroU32,
    /// This process's part of the quota, over 0 and up to 1. Values outside are moved to the nearest bound.
    pub share: f64,
    /// The messages that this app sent just before.
    pub history: SendHistory,
    /// Whether other processes use the same quota. Its slots are then lent to it ([`super::Quota::lend`]), and it has
    /// none before.
    pub shared: bool,
}

/// The period over which the service counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QuotaPeriod {
    #[default]
    Second,
    Minute,
}

impl QuotaPeriod {
    /// The period's length in seconds.
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
        }
    }

    pub(super) const fn duration(self) -> Duration {
        Duration::from_secs(self.seconds() as u64)
    }
}

/// The messages that this app sent in the period before a quota was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SendHistory {
    /// Unknown: another process may have sent at the full pace until this instant. That process spaced its messages
    /// evenly, so slots come free evenly too, and the first message waits for one spacing instead of a period.
    #[default]
    Unknown,
    /// Nothing was sent.
    Unused,
    /// These messages were sent, and no others.
    Known(Vec<PastSend>),
}

/// A call that an earlier process wrote. The instant of its answer is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastSend {
    /// How long ago the request was written.
    pub ago: Duration,
    pub cost: u32,
}

impl QuotaSettings {
    /// A quota of `per_second` with calls that cost one each, the whole share, and an unknown history.
    pub const fn new(name: &'static str, per_second: NonZeroU32) -> Self {
        Self {
            name,
            limit: per_second,
            period: QuotaPeriod::Second,
            largest_cost: NonZeroU32::MIN,
            share: 1.0,
            history: SendHistory::Unknown,
            shared: false,
        }
    }

    /// This process's part of the rate, in messages a period.
    pub(super) fn rate(&self) -> f64 {
        // With a share of 0, calls would wait for ever. A millionth of the quota is close enough.
        let share = if self.share.is_nan() { 1.0 } else { self.share.clamp(1e-6, 1.0) };
        f64::from(self.limit.get()) * share
    }
}
