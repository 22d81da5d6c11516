//! Commands for a broadcast. Any process can give them; the broadcast's driver polls them.

use const_format::formatcp;

use crate::ledger::audit_chain::PendingAct;
use crate::ledger::sql::sql;
use crate::ledger::state::command::{PAUSE, RUN};
use crate::ledger::state::stage::{BUILDING, READY};
use crate::ledger::{BroadcastCommand, BroadcastStage, Ledger, LedgerError, RecipientState};

use super::BroadcastId;
use super::approval::AWAITS;

/// The latest command for a broadcast; see [`Ledger::requested_command`].
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct NotedCommand {
    pub command: BroadcastCommand,
    #[sqlx(rename = "command_note")]
    pub note: Option<String>,
    /// Whether it waits for an approval.
    awaits_approval: i64,
}

impl NotedCommand {
    pub const fn awaits_approval(&self) -> bool {
        self.awaits_approval != 0
    }
}

/// The note of a pause that a driver made begins with this. Driving such a broadcast again resumes it.
pub const BY_ITSELF: &str = "paused by itself: ";

/// The result of a pause that a driver made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverPause {
    /// The broadcast is paused for the driver's reason.
    Paused,
    /// It was paused for another reason before, and still is.
    PausedBefore,
    /// It is being cancelled, or has ended.
    Ending,
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
    /// Requests that a broadcast is paused, resumed or cancelled. `note` is the reason, for people. A cancel without one says
    /// by whom, and one that is repeated keeps the first reason.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotNow`] if the broadcast has finished, or if a cancelled one is to be paused or resumed;
    /// [`LedgerError::Unknown`]; an error if the store fails.
    pub async fn request_command(
        &self,
        id: BroadcastId,
        command: BroadcastCommand,
        note: Option<&str>,
    ) -> Result<(), LedgerError> {
        self.store()
            .transaction(async |write| {
                let question = sql("SELECT state, command FROM broadcasts WHERE id = ?").bind(id.0);
                let row: Option<(BroadcastStage, BroadcastCommand)> = write.row(question).await?;
                let (stage, was) = row.ok_or(LedgerError::Unknown(id))?;
                if matches!(stage, BroadcastStage::Finished | BroadcastStage::Cancelled) {
                    return Err(LedgerError::NotNow {
                        broadcast: id,
                        is: stage.name(),
                        why: "nothing is left to send",
                    });
                }
                if was == BroadcastCommand::Cancel && command != BroadcastCommand::Cancel {
                    return Err(LedgerError::NotNow {
                        broadcast: id,
                        is: "being cancelled",
                        why: "that cannot be taken back",
                    });
                }
                if was == BroadcastCommand::Cancel {
                    return Ok(0);
                }
                let by = || PendingAct::actor().map(|actor| format!("cancelled by {}", actor.name));
                let by = if command == BroadcastCommand::Cancel && note.is_none() { by() } else { None };
                let statement = sql("UPDATE broadcasts SET command = ?, command_note = ? WHERE id = ?");
                write.run(statement.bind(command).bind(note.or(by.as_deref())).bind(id.0)).await
            })
            .await
            .map(drop)
    }

    /// Pauses a broadcast for a reason of its driver. A command that a person gave meanwhile stays in effect.
    pub async fn pause_by_itself(&self, id: BroadcastId, why: &str) -> Result<DriverPause, LedgerError> {
        let statement = sql(formatcp!(
            "UPDATE broadcasts SET command = {PAUSE}, command_note = ? WHERE id = ? AND state IN ({BUILDING}, {READY})
                AND (command = {RUN} OR (command = {PAUSE} AND command_note LIKE '{BY_ITSELF}%'))"
        ))
        .bind(format!("{BY_ITSELF}{why}"))
        .bind(id.0);
        self.store()
            .transaction(async |write| {
                if write.run(statement).await? > 0 {
                    return Ok(DriverPause::Paused);
                }
                let question = sql("SELECT state, command FROM broadcasts WHERE id = ?").bind(id.0);
                match write.row(question).await?.ok_or(LedgerError::Unknown(id))? {
                    (BroadcastStage::Building | BroadcastStage::Ready, BroadcastCommand::Pause) => {
                        Ok(DriverPause::PausedBefore)
                    }
                    _ => Ok(DriverPause::Ending),
                }
            })
            .await
    }

    /// Ends a pause whose note begins with `note`: [`BY_ITSELF`] or [`CHANGED`](super::CHANGED). Any other command stays
    /// in effect. Returns whether it ended one.
    pub async fn end_pause(&self, id: BroadcastId, note: &str) -> Result<bool, LedgerError> {
        let statement = sql(formatcp!(
            "UPDATE broadcasts SET command = {RUN}, command_note = NULL
                WHERE id = ? AND command = {PAUSE} AND command_note LIKE ?"
        ));
        self.store().change(statement.bind(id.0).bind(format!("{note}%"))).await.map(|ended| ended > 0)
    }

    /// Returns the command that arrived for a broadcast while it is sent: a pause also if it waits for an approval. Its
    /// driver polls this.
    pub async fn poll_command(&self, id: BroadcastId) -> Result<BroadcastCommand, LedgerError> {
        // Hours of a simulated clock would have many polls.
        if !self.store().driver.has_other_processes() {
            return Ok(BroadcastCommand::Run);
        }
        let requested = self.requested_command(id).await?;
        if requested.awaits_approval() && requested.command == BroadcastCommand::Run {
            return Ok(BroadcastCommand::Pause);
        }
        Ok(requested.command)
    }

    /// Returns the latest command for a broadcast.
    pub async fn requested_command(&self, id: BroadcastId) -> Result<NotedCommand, LedgerError> {
        let question = sql(formatcp!(
            "SELECT command, command_note, CAST(CASE WHEN {AWAITS} THEN 1 ELSE 0 END AS BIGINT) AS awaits_approval
                FROM broadcasts WHERE id = ?"
        ))
        .bind(id.0);
        self.store().row_now(question).await?.ok_or(LedgerError::Unknown(id))
    }

    /// Makes rejected recipients pending again; returns how many. A finished broadcast becomes ready again. A driver
    /// that is sending the broadcast sends to them before it ends.
    pub async fn retry_rejected(&self, id: BroadcastId) -> Result<u64, LedgerError> {
        self.shift(id, None, RecipientState::Rejected, RecipientState::Pending, None).await
    }

    /// Settles recipients in doubt; returns how many. Those to be sent again become pending, as with
    /// [`Ledger::retry_rejected`].
    pub async fn settle_doubts(&self, id: BroadcastId, settlement: Settlement) -> Result<u64, LedgerError> {
        let (to, error) = match settlement {
            Settlement::AsSent => (RecipientState::Sent, Some("was in doubt; settled as sent")),
            Settlement::Again => (RecipientState::Pending, None),
        };
        self.shift(id, None, RecipientState::InDoubt, to, error).await
    }
}
