//! Broadcasts that a daemon drives whenever no other process does.

use crate::ledger::sql::sql;
use crate::ledger::{Ledger, LedgerError};

use super::BroadcastId;

impl Ledger {
    /// Hands a broadcast to the daemon. The daemon drives it whenever no other process does and it is not paused.
    pub async fn hand_to_daemon(&self, id: BroadcastId) -> Result<(), LedgerError> {
        let statement = sql("UPDATE broadcasts SET entrusted = true WHERE id = ? AND NOT entrusted");
        self.change(statement.bind(id.0)).await.map(drop)
    }

    /// Returns broadcasts that a daemon may have to drive, the oldest first: those handed to it with something left to
    /// send, and those that are being cancelled. Some of them may already have a driver; [`Ledger::claim`] finds that
    /// out.
    pub async fn handed_to_daemon(&self) -> Result<Vec<BroadcastId>, LedgerError> {
        let question =
            sql("SELECT id FROM broadcasts WHERE state = 1 AND ((entrusted AND wish = 0) OR wish = 2)
                ORDER BY id");
        let mut read = self.store().read_now().await?;
        let found: Vec<(i64,)> = read.rows(question).await?;
        read.done();
        Ok(found.into_iter().map(|(id,)| BroadcastId(id)).collect())
    }

    /// Returns finished broadcasts of the daemon whose end is not reported yet; see [`Ledger::mark_ending_reported`].
    pub async fn unreported_endings(&self) -> Result<Vec<BroadcastId>, LedgerError> {
        let question = sql("SELECT id FROM broadcasts WHERE state IN (2, 3) AND entrusted ORDER BY id");
        let mut read = self.store().read_now().await?;
        let found: Vec<(i64,)> = read.rows(question).await?;
        read.done();
        Ok(found.into_iter().map(|(id,)| BroadcastId(id)).collect())
    }

    /// Records that the end of a broadcast was reported. The broadcast no longer belongs to the daemon.
    pub async fn mark_ending_reported(&self, id: BroadcastId) -> Result<(), LedgerError> {
        let statement = sql("UPDATE broadcasts SET entrusted = false WHERE id = ? AND state IN (2, 3)");
        self.change(statement.bind(id.0)).await.map(drop)
    }
}
