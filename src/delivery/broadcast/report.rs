//! What a broadcast came to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ledger::{Broadcast, RecipientCounts};

/// What a broadcast came to, as `im.broadcast` returns it and the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BroadcastSummary {
    /// Its name.
    pub name: String,
    /// Which run of that name.
    pub run: String,
    /// All recipients of its plan, those skipped included.
    pub total: u64,
    /// Recipients that have the message.
    pub sent: u64,
    /// Recipients that the service refused.
    pub rejected: u64,
    /// Recipients of which nobody knows.
    pub in_doubt: u64,
    /// Recipients left out.
    pub skipped: u64,
    /// Recipients cancelled before their turn.
    pub cancelled: u64,
    /// Recipients that were named more than once, and dropped.
    pub duplicates: u64,
    /// Seconds that its last driver took.
    pub elapsed: f64,
    /// Recipients a second that this driver sent to.
    pub rate: f64,
}

impl BroadcastSummary {
    /// Whether everybody who was not left out has the message.
    #[must_use]
    pub const fn all_delivered(&self) -> bool {
        self.sent + self.skipped == self.total
    }

    /// The report of a broadcast that stands like this.
    #[must_use]
    pub fn new(broadcast: &Broadcast, counts: &RecipientCounts, sent_now: u64, elapsed: Duration) -> Self {
        let elapsed = elapsed.as_secs_f64();
        Self {
            name: broadcast.name.clone(),
            run: broadcast.run.clone(),
            total: counts.total(),
            sent: counts.sent,
            rejected: counts.rejected,
            in_doubt: counts.in_doubt,
            skipped: counts.skipped,
            cancelled: counts.cancelled,
            duplicates: broadcast.duplicates,
            elapsed,
            rate: if elapsed > 0.0 { sent_now as f64 / elapsed } else { 0.0 },
        }
    }
}
