//! What people want of a broadcast, said in any process and heard by its driver.

use crate::ledger::sql::sql;
use crate::ledger::{BroadcastCommand, BroadcastStage, DeliveryState, Ledger, LedgerError};

use super::BroadcastId;

/// What is wished of a broadcast; see [`Ledger::wishes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedCommand {
    /// The wish.
    pub command: BroadcastCommand,
    /// Why, where it was said.
    pub note: Option<String>,
}

/// How those in doubt are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// They count as sent.
    AsSent,
    /// They are sent again.
    Again,
}

impl Ledger {
    /// Asks for a broadcast to be paused, resumed or cancelled. `note` says why, for people.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotNow`] when it is over, or when a cancelled one shall go on; [`LedgerError::Unknown`]; faults
    /// of the store.
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

    /// What is wished of a broadcast; its driver asks now and then.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unknown`], and faults of the store.
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

    /// Makes those that the service refused pending again, and gives how many. A broadcast that was over is ready
    /// again; one that is being driven sends them before it ends.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unknown`], and faults of the store.
    pub async fn retry_rejected(&self, id: BroadcastId) -> Result<u64, LedgerError> {
        self.shift(id, None, DeliveryState::Rejected, DeliveryState::Pending, None).await
    }

    /// Settles those in doubt, and gives how many. Sent again, as with [`Ledger::retry_rejected`].
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unknown`], and faults of the store.
    pub async fn settle_doubts(&self, id: BroadcastId, settlement: Settlement) -> Result<u64, LedgerError> {
        let (to, error) = match settlement {
            Settlement::AsSent => (DeliveryState::Sent, Some("was in doubt; settled as sent")),
            Settlement::Again => (DeliveryState::Pending, None),
        };
        self.shift(id, None, DeliveryState::InDoubt, to, error).await
    }
}
