//! What a quota is made from.

use std::num::NonZeroU32;
use std::time::Duration;

/// Groups that one call may name (seed: 3, never raised), and so the messages one group call may cost.
pub const GROUPS_A_CALL: u32 = 3;

/// One rate that the service grants an app.
#[derive(Debug, Clone)]
pub struct QuotaSettings {
    /// What it counts, for people: `"group messages"`.
    pub name: &'static str,
    /// What the service accepts a second.
    pub per_second: NonZeroU32,
    /// The most that one call may cost. One that costs more than a second's worth holds the quota for as many
    /// seconds as it is worth.
    pub largest_cost: NonZeroU32,
    /// Our part of the quota, over 0 and up to 1; what is outside is taken as the nearest of these.
    pub share: f64,
    /// What this app sent just before.
    pub history: SendHistory,
    /// Whether other processes draw on the same quota: its places are lent to it then ([`super::Quota::lend`]), and it
    /// has none before they are.
    pub shared: bool,
}

/// What this app sent in the second before a quota was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SendHistory {
    /// Nobody knows, so another process may have sent at full pace until this instant. That one spaced its sends
    /// evenly, so places come free evenly too, and the first message waits for one spacing instead of a second.
    #[default]
    Unknown,
    /// Nothing was sent.
    Unused,
    /// These were, and nothing else.
    Known(Vec<PastSend>),
}

/// A call that an earlier process wrote; its answer's instant is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastSend {
    /// How long ago the request was written.
    pub ago: Duration,
    /// What it cost.
    pub cost: u32,
}

impl QuotaSettings {
    /// A quota of `per_second` with calls that cost one each, the whole share, and an unknown history.
    #[must_use]
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

    /// Our part of the rate, a second.
    pub(super) fn rate(&self) -> f64 {
        // A share of nothing would wait for ever: a millionth of the quota is next to nothing.
        let share = if self.share.is_nan() { 1.0 } else { self.share.clamp(1e-6, 1.0) };
        f64::from(self.per_second.get()) * share
    }
}
