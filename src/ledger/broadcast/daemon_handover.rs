//! Broadcasts that a daemon drives whenever no other process does.

use const_format::formatcp;

use crate::ledger::sql::sql;
use crate::ledger::state::command::{CANCEL, RUN};
use crate::ledger::state::stage::{CANCELLED, FINISHED, READY};
use crate::ledger::{Ledger, LedgerError};

use super::BroadcastId;

impl Ledger {
    /// Hands a broadcast to the daemon. The daemon drives it whenever no other process does and it is not paused.
    pub async fn hand_to_daemon(&self, id: BroadcastId) -> Result<(), LedgerError> {
        let statement =
            sql("UPDATE broadcasts SET handed_to_daemon = true WHERE id = ? AND NOT handed_to_daemon");
        self.change(statement.bind(id.0)).await.map(drop)
    }

    /// Returns broadcasts that a daemon may have to drive, the oldest first: those handed to it with something left to
    /// send, and those that are being cancelled. Some of them may already have a driver; [`Ledger::claim`] finds that
    /// out.
    pub async fn handed_to_daemon(&self) -> Result<Vec<BroadcastId>, LedgerError> {
        let question =
            sql(formatcp!(
                "SELECT id FROM broadcasts WHERE state = {READY} AND ((handed_to_daemon AND command = {RUN}) OR command = {CANCEL})
                ORDER BY id"
            ));
        let found: Vec<(i64,)> = self.store().rows_now(question).await?;
        Ok(found.into_iter().map(|(id,)| BroadcastId(id)).collect())
    }

    /// Returns finished broadcasts of the daemon whose end is not reported yet; see [`Ledger::mark_ending_reported`].
    pub async fn unreported_endings(&self) -> Result<Vec<BroadcastId>, LedgerError> {
        let question = sql(formatcp!(
            "SELECT id FROM broadcasts WHERE state IN ({FINISHED}, {CANCELLED}) AND handed_to_daemon ORDER BY id"
        ));
        let found: Vec<(i64,)> = self.store().rows_now(question).await?;
        Ok(found.into_iter().map(|(id,)| BroadcastId(id)).collect())
    }

    /// Records that the end of a broadcast was reported. The broadcast no longer belongs to the daemon.
    pub async fn mark_ending_reported(&self, id: BroadcastId) -> Result<(), LedgerError> {
        let statement = sql(formatcp!(
            "UPDATE broadcasts SET handed_to_daemon = false WHERE id = ? AND state IN ({FINISHED}, {CANCELLED})"
        ));
        self.change(statement.bind(id.0)).await.map(drop)
    }
}
