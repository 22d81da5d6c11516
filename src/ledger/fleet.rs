//! What the other hosts on a store mean for this one. A file has none; its answers are the ones of a single host.

use std::time::Duration;

use super::broadcast::BroadcastId;
use super::{Ledger, LedgerError, Reaped, RecipientCounts};

impl Ledger {
    /// Whether the store is one for several hosts.
    pub fn has_fleet(&self) -> bool {
        self.store().driver.is_shared()
    }

    /// Whether the apps' tokens are in the ledger, for all hosts. Otherwise each machine stores them in a folder.
    pub fn keeps_app_tokens(&self) -> bool {
        self.has_fleet()
    }

    /// How long to leave work that this host cannot do to other hosts: `most`, or no time if there are none.
    pub fn wait_for_other_hosts(&self, most: Duration) -> Duration {
        if self.has_fleet() { most } else { Duration::ZERO }
    }

    /// Finds dead hosts as [`Ledger::reap_dead`] does. On a store of one host it finds none.
    pub async fn reap_dead_hosts(&self) -> Result<Reaped, LedgerError> {
        if self.has_fleet() { self.reap_dead().await } else { Ok(Reaped::default()) }
    }

    /// Whether other drivers send to the rest of a broadcast, of which this driver has nothing left.
    pub fn others_send(&self, counts: &RecipientCounts) -> bool {
        self.has_fleet() && counts.pending + counts.sending > 0
    }

    /// Whether a driver's error means that other drivers continue its broadcast or have ended it, as hosts of a fleet
    /// do without harm.
    pub fn is_left_to_others(&self, error: &LedgerError) -> bool {
        self.has_fleet() && matches!(error, LedgerError::LeaseLost(_))
    }

    /// Returns the number of recipients in each state if other drivers may have changed it. `None` if the driver that
    /// asks is the only one.
    pub async fn counts_beside_others(
        &self,
        id: BroadcastId,
    ) -> Result<Option<RecipientCounts>, LedgerError> {
        if self.has_fleet() { self.counts(id).await.map(Some) } else { Ok(None) }
    }
}
