//! The settings of a quota.

use std::num::NonZeroU32;
use std::time::Duration;

/// The most groups that one call may name (seed: 3, never raised), and so the largest cost of a group call.
pub const GROUPS_A_CALL: u32 = 3;

/// One rate that the service grants an app.
#[derive(Debug, Clone)]
pub struct QuotaSettings {
    /// What the quota counts, for display: `"group messages"`.
    pub name: &'static str,
    /// The messages that the service accepts a second.
    pub per_second: NonZeroU32,
    /// The largest cost of one call. A call that costs more than a second's quota holds the whole quota for as many
    /// seconds as it is worth.
    pub largest_cost: NonZeroU32,
    /// This process's part of the quota, over 0 and up to 1. Values outside are moved to the nearest bound.
    pub share: f64,
    /// The messages that this app sent just before.
    pub history: SendHistory,
    /// Whether other processes use the same quota. Its slots are then lent to it ([`super::Quota::lend`]), and it has
    /// none before.
    pub shared: bool,
}

/// The messages that this app sent in the second before a quota was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SendHistory {
    /// Unknown: another process may have sent at the full pace until this instant. That process spaced its messages
    /// evenly, so slots come free evenly too, and the first message waits for one spacing instead of a second.
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
            per_second,
            largest_cost: NonZeroU32::MIN,
            share: 1.0,
            history: SendHistory::Unknown,
            shared: false,
        }
    }

    /// This process's part of the rate, in messages a second.
    pub(super) fn rate(&self) -> f64 {
        // With a share of 0, calls would wait for ever. A millionth of the quota is close enough.
        let share = if self.share.is_nan() { 1.0 } else { self.share.clamp(1e-6, 1.0) };
        f64::from(self.per_second.get()) * share
    }
}
