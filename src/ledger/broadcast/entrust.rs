//! Broadcasts that a daemon goes on with whenever nobody drives them.

use crate::ledger::{Ledger, LedgerError, Owner};

use super::BroadcastId;

impl Ledger {
    /// Leaves a broadcast to the daemon: whenever nobody drives it and nobody has it paused, the daemon does.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn entrust(&self, id: BroadcastId) -> Result<(), LedgerError> {
        let statement = sqlx::query("UPDATE broadcasts SET entrusted = 1 WHERE id = ? AND entrusted = 0");
        self.change(statement.bind(id.0)).await.map(drop)
    }

    /// Broadcasts that `owner`, a daemon, may have to drive, the oldest first: those left to it with something to send,
    /// and those that are to be cancelled. Some of them may be driven by others; [`Ledger::claim`] tells.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn entrusted(&self, owner: &Owner) -> Result<Vec<BroadcastId>, LedgerError> {
        let question = sqlx::query_as(
            "SELECT id FROM broadcasts WHERE state = 1 AND ((entrusted = 1 AND wish = 0) OR wish = 2)
                AND (owner IS NULL OR owner <> ?) ORDER BY id",
        );
        let mut read = self.store().read_now().await?;
        let found: Vec<(i64,)> = read.rows(question.bind(owner.id)).await?;
        read.done();
        Ok(found.into_iter().map(|(id,)| BroadcastId(id)).collect())
    }
}
