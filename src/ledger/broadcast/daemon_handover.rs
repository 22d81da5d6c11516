//! Broadcasts that a daemon goes on with whenever nobody drives them.

use crate::ledger::sql::sql;
use crate::ledger::{Ledger, LedgerError};

use super::BroadcastId;

impl Ledger {
    /// Leaves a broadcast to the daemon: whenever nobody drives it and nobody has it paused, the daemon does.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn hand_to_daemon(&self, id: BroadcastId) -> Result<(), LedgerError> {
        let statement = sql("UPDATE broadcasts SET entrusted = true WHERE id = ? AND NOT entrusted");
        self.change(statement.bind(id.0)).await.map(drop)
    }

    /// Broadcasts that a daemon may have to drive, the oldest first: those left to it with something to send, and those
    /// that are to be cancelled. Some of them are driven already; [`Ledger::claim`] tells.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn handed_to_daemon(&self) -> Result<Vec<BroadcastId>, LedgerError> {
        let question =
            sql("SELECT id FROM broadcasts WHERE state = 1 AND ((entrusted AND wish = 0) OR wish = 2)
                ORDER BY id");
        let mut read = self.store().read_now().await?;
        let found: Vec<(i64,)> = read.rows(question).await?;
        read.done();
        Ok(found.into_iter().map(|(id,)| BroadcastId(id)).collect())
    }

    /// Broadcasts left to the daemon that are over, and of which [`Ledger::told`] was not said yet.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn unreported_endings(&self) -> Result<Vec<BroadcastId>, LedgerError> {
        let question = sql("SELECT id FROM broadcasts WHERE state IN (2, 3) AND entrusted ORDER BY id");
        let mut read = self.store().read_now().await?;
        let found: Vec<(i64,)> = read.rows(question).await?;
        read.done();
        Ok(found.into_iter().map(|(id,)| BroadcastId(id)).collect())
    }

    /// Whoever is to hear how a broadcast ended was told: it is left to the daemon no longer.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn mark_ending_reported(&self, id: BroadcastId) -> Result<(), LedgerError> {
        let statement = sql("UPDATE broadcasts SET entrusted = false WHERE id = ? AND state IN (2, 3)");
        self.change(statement.bind(id.0)).await.map(drop)
    }
}
