//! Single sends: a record of every send, and `once` for sends that ask for it.

pub(super) mod entry;
mod write;

use std::sync::Arc;
use std::time::Duration;

use const_format::formatcp;

use super::columns::{JsonText, Millis};
use super::commit_request::CommitRequest;
use super::instance::{ENDED_BEFORE, is_known, lives};
use super::store::{Transaction, millis};
use super::{AppId, Instance, Ledger, LedgerError, RecipientState};
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::{CANCELLED, IN_DOUBT, PENDING, REJECTED, SENDING, SENT};

pub use entry::{NewSend, SendOutcome};
pub(super) use write::{MOST, remove_unacknowledged, write};

/// The result of beginning a send.
#[derive(Debug, PartialEq, Eq)]
pub enum BeginSendResult {
    /// Nothing was sent with this key: this call sends.
    New(SendTicket),
    /// It was sent, with these (group id, message id) pairs.
    Done(Vec<(String, String)>),
    /// A live instance is sending it.
    InFlight,
    /// It may have been delivered.
    InDoubt {
        /// When its latest request began.
        since: Duration,
    },
    /// The key was used for another message.
    Different,
}

/// The right to make one single send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendTicket {
    instance: i64,
    send: Arc<NewSend>,
    row: Option<i64>,
}

impl SendTicket {
    /// The app of the send.
    pub fn app(&self) -> AppId {
        self.send.app
    }
}

/// A filter for listing single sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendFilter {
    /// Only sends of this app.
    pub app: Option<AppId>,
    /// Only sends in this state.
    pub state: Option<RecipientState>,
    /// Only sends with a lower number; for the next page.
    pub before: Option<i64>,
}

/// A single send and its current state.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SendRow {
    /// Its number.
    pub id: i64,
    pub app: AppId,
    /// Its `once` key.
    pub once: Option<String>,
    /// Its groups and users, as JSON.
    pub recipients: String,
    /// The script, job or command that sent it.
    pub origin: String,
    /// The id of the job run that made it, if one did.
    pub job_run: Option<String>,
    pub state: RecipientState,
    /// How many times it was tried.
    #[sqlx(try_from = "i64")]
    pub attempts: u32,
    /// (group id, message id) of each group that received it.
    #[sqlx(try_from = "JsonText<Vec<(String, String)>>")]
    pub receipts: Vec<(String, String)>,
    /// Why it failed or is in doubt.
    pub error: Option<String>,
    /// When it started.
    #[sqlx(try_from = "Millis")]
    pub created_at: Duration,
    /// When its state last changed; in doubt, when its latest request began.
    #[sqlx(try_from = "Millis")]
    pub updated_at: Duration,
}

impl SendRow {
    /// Whether its process ended before the answer came.
    pub fn is_abandoned(&self) -> bool {
        self.error.as_deref() == Some(ENDED_BEFORE)
    }

    /// Whether it is a call of `im.request`, which has no recipients.
    pub fn is_request(&self) -> bool {
        self.recipients.starts_with(r#"{"request":"#)
    }
}

impl Ledger {
    /// Begins a single send. A send without a `once` key is always new and writes nothing here.
    pub async fn begin_send(
        &self,
        instance: &Instance,
        send: NewSend,
    ) -> Result<BeginSendResult, LedgerError> {
        let mut ticket = SendTicket { instance: instance.id(), send: Arc::new(send), row: None };
        if ticket.send.once.is_none() {
            return Ok(BeginSendResult::New(ticket));
        }
        Ok(
            match self
                .store()
                .transaction(async |write| begin(write, instance.id(), &ticket.send).await)
                .await?
            {
                OnceKeyState::Free(row) => {
                    ticket.row = Some(row);
                    BeginSendResult::New(ticket)
                }
                OnceKeyState::Taken(begun) => begun,
            },
        )
    }

    /// Records that the send is about to be tried. The record is on disk once this returns, and only then may the
    /// request be sent. Call it again before another try of a send that is proved not to have been sent.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotIn`] when this instance no longer holds the send; [`LedgerError::Reaped`] when it was reaped; an
    /// error if the store fails. After any error nothing may be sent.
    pub async fn intend_send(&self, ticket: &mut SendTicket) -> Result<(), LedgerError> {
        let request = match ticket.row {
            Some(id) => CommitRequest::IntendSend { instance: ticket.instance, id },
            None => CommitRequest::NewSend { instance: ticket.instance, send: Arc::clone(&ticket.send) },
        };
        let number = self.0.queue.ask(request).await?;
        ticket.row.get_or_insert(number);
        Ok(())
    }

    /// Records the outcome of a send, also if the send is in doubt because its instance was reaped. It is safe to repeat
    /// this after an error.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotIn`] when this instance no longer holds the send.
    pub async fn settle_send(&self, ticket: &SendTicket, outcome: SendOutcome) -> Result<(), LedgerError> {
        match ticket.row {
            Some(id) => self
                .0
                .queue
                .ask(CommitRequest::SettleSend { instance: ticket.instance, id, outcome })
                .await
                .map(drop),
            // No intent was recorded, so the ledger has no row for it.
            None => Ok(()),
        }
    }

    /// Returns single sends, the newest first, at most `limit`.
    pub async fn sends(&self, filter: SendFilter, limit: u32) -> Result<Vec<SendRow>, LedgerError> {
        let question = sql(
            "SELECT id, app, once, recipients, origin, state, attempts, receipts, error, created_at, updated_at, job_run FROM sends
                WHERE id < ?1 AND (?2 IS NULL OR app = ?2) AND (?3 IS NULL OR state = ?3) ORDER BY id DESC LIMIT ?4",
        )
        .bind(filter.before.unwrap_or(i64::MAX))
        .bind(filter.app.map(|app| app.0))
        .bind(filter.state.map(RecipientState::number))
        .bind(limit);
        self.store().rows(question).await
    }

    /// Returns a single send by its number.
    pub async fn send(&self, id: i64) -> Result<Option<SendRow>, LedgerError> {
        let filter = SendFilter { before: id.checked_add(1), ..SendFilter::default() };
        Ok(self.sends(filter, 1).await?.pop().filter(|send| send.id == id))
    }

    /// Returns single sends in doubt with a lower number than `before`, the newest first, at most `limit`.
    pub async fn sends_in_doubt(&self, before: Option<i64>, limit: u32) -> Result<Vec<SendRow>, LedgerError> {
        // The state is a literal in the text, so that SQLite can use the partial index on sends in doubt.
        let question = sql(formatcp!(
            "SELECT id, app, once, recipients, origin, state, attempts, receipts, error, created_at, updated_at, job_run FROM sends
                WHERE state = {IN_DOUBT} AND id < ? ORDER BY id DESC LIMIT ?"
        ));
        self.store().rows(question.bind(before.unwrap_or(i64::MAX)).bind(limit)).await
    }

    /// Settles a single send in doubt by its number: either as sent, or as cancelled, which frees its `once` key.
    /// Returns whether it was in doubt.
    pub async fn settle_send_doubt(&self, id: i64, as_sent: bool) -> Result<bool, LedgerError> {
        let state = if as_sent { RecipientState::Sent } else { RecipientState::Cancelled };
        let statement =
            sql(formatcp!("UPDATE sends SET state = ?, updated_at = ? WHERE id = ? AND state = {IN_DOUBT}"))
                .bind(state)
                .bind(self.store().now())
                .bind(id);
        Ok(self.store().change(statement).await? > 0)
    }

    /// Deletes settled sends from before `time`, except those in doubt. Returns how many.
    pub(super) async fn prune_sends(&self, time: Duration) -> Result<u64, LedgerError> {
        let statement = sql(formatcp!(
            "DELETE FROM sends WHERE updated_at < ? AND state IN ({PENDING}, {SENT}, {REJECTED}, {CANCELLED})"
        ));
        self.store().change(statement.bind(millis(time))).await
    }
}

/// The send that has a `once` key.
#[derive(sqlx::FromRow)]
struct OnceKeyRow {
    id: i64,
    hash: String,
    #[sqlx(rename = "owner")]
    instance: i64,
    state: RecipientState,
    #[sqlx(try_from = "JsonText<Vec<(String, String)>>")]
    receipts: Vec<(String, String)>,
    #[sqlx(try_from = "Millis")]
    updated_at: Duration,
}

enum OnceKeyState {
    Free(i64),
    Taken(BeginSendResult),
}

async fn begin(
    write: &mut Transaction<'_>,
    instance: i64,
    send: &NewSend,
) -> Result<OnceKeyState, LedgerError> {
    let question =
        sql("SELECT id, hash, owner, state, receipts, updated_at FROM sends WHERE app = ? AND once = ?");
    let row: Option<OnceKeyRow> = write.row(question.bind(send.app.0).bind(&send.once)).await?;
    let Some(OnceKeyRow { id, hash, instance: holder, state, receipts, updated_at: since }) = row else {
        let numbers = write::write(write, &[(instance, send)], RecipientState::Pending, &[]).await?;
        let number = numbers.first().copied();
        return Ok(OnceKeyState::Free(number.ok_or_else(|| write.store.record("no number for a send"))?));
    };
    if hash != send.hash {
        return Ok(OnceKeyState::Taken(BeginSendResult::Different));
    }
    match state {
        RecipientState::Sent => {
            return Ok(OnceKeyState::Taken(BeginSendResult::Done(receipts)));
        }
        RecipientState::InDoubt => {
            return Ok(OnceKeyState::Taken(BeginSendResult::InDoubt { since }));
        }
        // A send that is proved not to have been sent has no holder.
        RecipientState::Pending | RecipientState::Sending if holder != 0 && lives(write, holder).await? => {
            return Ok(OnceKeyState::Taken(BeginSendResult::InFlight));
        }
        RecipientState::Sending => {
            let statement = sql(formatcp!("UPDATE sends SET state = {IN_DOUBT}, error = ? WHERE id = ?"));
            write.run(statement.bind(ENDED_BEFORE).bind(id)).await?;
            return Ok(OnceKeyState::Taken(BeginSendResult::InDoubt { since }));
        }
        RecipientState::Pending
        | RecipientState::Rejected
        | RecipientState::Skipped
        | RecipientState::Cancelled => {}
    }
    let statement = sql(formatcp!(
        "UPDATE sends SET owner = ?, state = {PENDING}, recipients = ?, origin = ?, fingerprints = ?,
            files = ?, job_run = ?, error = NULL, updated_at = ? WHERE id = ?"
    ));
    let statement =
        statement.bind(instance).bind(&send.recipients).bind(&send.origin).bind(&send.fingerprints);
    let statement = statement.bind(&send.files).bind(&send.job_run).bind(write.store.now()).bind(id);
    write.run(statement).await?;
    Ok(OnceKeyState::Free(id))
}

/// Records that a send of this instance is in flight.
pub(super) async fn intend(write: &mut Transaction<'_>, instance: i64, id: i64) -> Result<(), LedgerError> {
    // Other processes do not settle what an instance sends after they have reaped it.
    let statement = sql(format!(
        "UPDATE sends SET state = {SENDING}, updated_at = ?1, owner = ?2 WHERE id = ?3 AND owner IN (0, ?2) AND state = {PENDING}
            AND EXISTS (SELECT 1 FROM instances WHERE id = ?2{})",
        write.store.driver.texts().key_share
    ));
    match write.run(statement.bind(write.store.now()).bind(instance).bind(id)).await? {
        0 if !is_known(write, instance).await? => Err(LedgerError::Reaped),
        0 => {
            Err(LedgerError::NotIn { what: format!("send {id}"), wanted: RecipientState::Pending, count: 1 })
        }
        _ => Ok(()),
    }
}
