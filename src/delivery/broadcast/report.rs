//! The final counts of a broadcast.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ledger::{Broadcast, RecipientCounts};

/// The counts of a broadcast, as `im.broadcast` returns them and the ledger stores them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BroadcastSummary {
    pub name: String,
    pub run: String,
    /// All recipients of its plan, including skipped ones.
    pub total: u64,
    /// Recipients that have the message.
    pub sent: u64,
    /// Recipients that the service rejected.
    pub rejected: u64,
    /// Recipients that may or may not have the message.
    pub in_doubt: u64,
    /// Recipients that the plan excludes.
    pub skipped: u64,
    /// Recipients that a cancel left unsent.
    pub cancelled: u64,
    /// Repeated recipients, which the plan dropped.
    pub duplicates: u64,
    /// Seconds that the last driver took.
    pub elapsed: f64,
    /// Recipients a second that the last driver sent to.
    pub rate: f64,
}

impl BroadcastSummary {
    /// Whether every recipient that the plan does not skip has the message.
    pub const fn all_delivered(&self) -> bool {
        self.sent + self.skipped == self.total
    }

    /// The summary of `broadcast` with these counts. `sent_now` is the number of recipients that this driver sent to.
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
