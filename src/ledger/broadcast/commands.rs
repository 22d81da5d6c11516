//! Commands for a broadcast. Any process can give them; the broadcast's driver polls them.

use crate::ledger::sql::sql;
use crate::ledger::{BroadcastCommand, BroadcastStage, DeliveryState, Ledger, LedgerError};

use super::BroadcastId;

/// The latest command for a broadcast; see [`Ledger::requested_command`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedCommand {
    pub command: BroadcastCommand,
    pub note: Option<String>,
}

/// How recipients in doubt are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// They count as sent.
    AsSent,
    /// They are sent again.
    Again,
}

impl Ledger {
    /// Requests that a broadcast is paused, resumed or cancelled. `note` is the reason, for people.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotNow`] if the broadcast has finished, or if a cancelled one is to be paused or resumed;
    /// [`LedgerError::Unknown`]; an error if the store fails.
    pub async fn request_command(
        &self,
        id: BroadcastId,
        wish: BroadcastCommand,
        note: Option<&str>,
    ) -> Result<(), LedgerError> {
        let mut write = self.store().write().await?;
        let result = async {
            let question = sql("SELECT state, wish FROM broadcasts WHERE id = ?").bind(id.0);
            let row: Option<(i64, i64)> = write.row(question).await?;
            let (stage, was) = row.ok_or(LedgerError::Unknown(id))?;
            let stage = BroadcastStage::from_number(stage).map_err(|detail| self.store().record(detail))?;
            if matches!(stage, BroadcastStage::Finished | BroadcastStage::Cancelled) {
                return Err(LedgerError::NotNow {
                    broadcast: id,
                    is: stage.name(),
                    why: "nothing is left to send",
                });
            }
            if was == BroadcastCommand::Cancel.number() && wish != BroadcastCommand::Cancel {
                return Err(LedgerError::NotNow {
                    broadcast: id,
                    is: "being cancelled",
                    why: "that cannot be taken back",
                });
            }
            let statement = sql("UPDATE broadcasts SET wish = ?, wish_note = ? WHERE id = ?");
            write.run(statement.bind(wish.number()).bind(note).bind(id.0)).await
        }
        .await;
        write.end(result).await.map(drop)
    }

    /// Returns the command that arrived for a broadcast while it is sent. Its driver polls this.
    pub async fn poll_command(&self, id: BroadcastId) -> Result<BroadcastCommand, LedgerError> {
        // No other process gives commands in a temporary ledger, and hours of a simulated clock would have many polls.
        if self.store().driver.is_temporary() {
            return Ok(BroadcastCommand::Run);
        }
        Ok(self.requested_command(id).await?.command)
    }

    /// Returns the latest command for a broadcast.
    pub async fn requested_command(&self, id: BroadcastId) -> Result<NotedCommand, LedgerError> {
        let mut read = self.store().read_now().await?;
        let question = sql("SELECT wish, wish_note FROM broadcasts WHERE id = ?").bind(id.0);
        let row: Option<(i64, Option<String>)> = read.row(question).await?;
        read.done();
        let (wish, note) = row.ok_or(LedgerError::Unknown(id))?;
        Ok(NotedCommand {
            command: BroadcastCommand::from_number(wish).map_err(|detail| self.store().record(detail))?,
            note,
        })
    }

    /// Makes rejected recipients pending again; returns how many. A finished broadcast becomes ready again. A driver
    /// that is sending the broadcast sends to them before it ends.
    pub async fn retry_rejected(&self, id: BroadcastId) -> Result<u64, LedgerError> {
        self.shift(id, None, DeliveryState::Rejected, DeliveryState::Pending, None).await
    }

    /// Settles recipients in doubt; returns how many. Those to be sent again become pending, as with
    /// [`Ledger::retry_rejected`].
    pub async fn settle_doubts(&self, id: BroadcastId, settlement: Settlement) -> Result<u64, LedgerError> {
        let (to, error) = match settlement {
            Settlement::AsSent => (DeliveryState::Sent, Some("was in doubt; settled as sent")),
            Settlement::Again => (DeliveryState::Pending, None),
        };
        self.shift(id, None, DeliveryState::InDoubt, to, error).await
    }
}
