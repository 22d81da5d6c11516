//! Single sends: a record of every send, and `once` for sends that ask for it.

pub(super) mod entry;
mod write;

use std::sync::Arc;
use std::time::Duration;

use super::commit_request::CommitRequest;
use super::instance::{ENDED_BEFORE, lives};
use super::store::{Transaction, from_millis, millis, small};
use super::{AppId, DeliveryState, Instance, Ledger, LedgerError};
use crate::ledger::sql::{Statement, sql};

pub use entry::{NewSend, SendOutcome};
pub(super) use write::{MOST, write};

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
        /// When it came to be in doubt.
        since: Duration,
    },
    /// The key was used for another message.
    Different,
}

/// The right to make one single send.
#[derive(Debug, PartialEq, Eq)]
pub struct SendTicket {
    owner: i64,
    send: Arc<NewSend>,
    row: Option<i64>,
}

/// A filter for listing single sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendFilter {
    /// Only sends of this app.
    pub app: Option<AppId>,
    /// Only sends in this state.
    pub state: Option<DeliveryState>,
    /// Only sends with a lower number; for the next page.
    pub before: Option<i64>,
}

/// A single send and its current state.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub state: DeliveryState,
    /// How many times it was tried.
    pub attempts: u32,
    /// (group id, message id) of each group that received it.
    pub receipts: Vec<(String, String)>,
    /// Why it failed or is in doubt.
    pub error: Option<String>,
    /// When it was begun.
    pub created_at: Duration,
    /// When its state last changed.
    pub updated_at: Duration,
}

impl Ledger {
    /// Begins a single send. A send without a `once` key is always new and writes nothing here.
    pub async fn begin_send(&self, owner: &Instance, send: NewSend) -> Result<BeginSendResult, LedgerError> {
        let mut ticket = SendTicket { owner: owner.id(), send: Arc::new(send), row: None };
        if ticket.send.once.is_none() {
            return Ok(BeginSendResult::New(ticket));
        }
        let mut write = self.store().write().await?;
        let result = begin(&mut write, owner.id(), &ticket.send).await;
        Ok(match write.end(result).await? {
            OnceKeyState::Free(row) => {
                ticket.row = Some(row);
                BeginSendResult::New(ticket)
            }
            OnceKeyState::Taken(begun) => begun,
        })
    }

    /// Records that the send is about to be tried. The record is on disk once this returns, and only then may the
    /// request be sent. Call it again before another try of a send that is proved not to have been sent.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotIn`] when this instance no longer holds the send; an error if the store fails. After any error
    /// nothing may be sent.
    pub async fn intend_send(&self, ticket: &mut SendTicket) -> Result<(), LedgerError> {
        let request = match ticket.row {
            Some(id) => CommitRequest::IntendSend { owner: ticket.owner, id },
            None => CommitRequest::NewSend { owner: ticket.owner, send: Arc::clone(&ticket.send) },
        };
        let number = self.0.queue.ask(request).await?;
        ticket.row.get_or_insert(number);
        Ok(())
    }

    /// Records the outcome of a send. It is safe to repeat this after an error.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotIn`] when this instance no longer holds the send.
    pub async fn settle_send(&self, ticket: &SendTicket, outcome: SendOutcome) -> Result<(), LedgerError> {
        match ticket.row {
            Some(id) => self
                .0
                .queue
                .ask(CommitRequest::SettleSend { owner: ticket.owner, id, outcome })
                .await
                .map(drop),
            // No intent was recorded, so the ledger has no row for it.
            None => Ok(()),
        }
    }

    /// Returns single sends, the newest first, at most `limit`.
    pub async fn sends(&self, filter: SendFilter, limit: u32) -> Result<Vec<SendRow>, LedgerError> {
        let question = sql(
            "SELECT id, app, once, recipients, origin, state, attempts, receipts, error, created_at, updated_at FROM sends
                WHERE id < ?1 AND (?2 IS NULL OR app = ?2) AND (?3 IS NULL OR state = ?3) ORDER BY id DESC LIMIT ?4",
        )
        .bind(filter.before.unwrap_or(i64::MAX))
        .bind(filter.app.map(|app| app.0))
        .bind(filter.state.map(DeliveryState::number))
        .bind(limit);
        self.send_rows(question).await
    }

    /// Returns a single send by its number.
    pub async fn send(&self, id: i64) -> Result<Option<SendRow>, LedgerError> {
        let filter = SendFilter { before: id.checked_add(1), ..SendFilter::default() };
        Ok(self.sends(filter, 1).await?.pop().filter(|send| send.id == id))
    }

    /// Returns single sends in doubt with a lower number than `before`, the newest first, at most `limit`.
    pub async fn sends_in_doubt(&self, before: Option<i64>, limit: u32) -> Result<Vec<SendRow>, LedgerError> {
        // The state is a literal in the text, so that SQLite can use the partial index on sends in doubt.
        let question = sql(
            "SELECT id, app, once, recipients, origin, state, attempts, receipts, error, created_at, updated_at FROM sends
                WHERE state = 4 AND id < ? ORDER BY id DESC LIMIT ?",
        );
        self.send_rows(question.bind(before.unwrap_or(i64::MAX)).bind(limit)).await
    }

    async fn send_rows(&self, question: Statement) -> Result<Vec<SendRow>, LedgerError> {
        type RawSendRow =
            (i64, i64, Option<String>, String, String, i64, i64, Option<String>, Option<String>, i64, i64);
        let mut read = self.store().read().await?;
        let rows: Vec<RawSendRow> = read.rows(question).await?;
        read.done();
        let read = |(
            id,
            app,
            once,
            recipients,
            origin,
            state,
            attempts,
            receipts,
            error,
            created_at,
            updated_at,
        ): RawSendRow| {
            let receipts = receipts.map(|text| serde_json::from_str(&text)).transpose();
            Ok(SendRow {
                id,
                app: AppId(app),
                once,
                recipients,
                origin,
                state: DeliveryState::from_number(state).map_err(|detail| self.store().record(detail))?,
                attempts: small(attempts),
                receipts: receipts.map_err(|error| self.store().record(error))?.unwrap_or_default(),
                error,
                created_at: from_millis(created_at),
                updated_at: from_millis(updated_at),
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Settles a single send in doubt by its number: either as sent, or as cancelled, which frees its `once` key.
    /// Returns whether it was in doubt.
    pub async fn settle_send_doubt(&self, id: i64, as_sent: bool) -> Result<bool, LedgerError> {
        let state = if as_sent { DeliveryState::Sent } else { DeliveryState::Cancelled };
        let statement = sql("UPDATE sends SET state = ?, updated_at = ? WHERE id = ? AND state = 4")
            .bind(state.number())
            .bind(self.store().now())
            .bind(id);
        let mut write = self.store().write().await?;
        let result = write.run(statement).await;
        Ok(write.end(result).await? > 0)
    }

    /// Deletes settled sends from before `instant`, except those in doubt. Returns how many.
    pub(super) async fn prune_sends(&self, instant: Duration) -> Result<u64, LedgerError> {
        let statement = sql("DELETE FROM sends WHERE updated_at < ? AND state IN (0, 2, 3, 6)");
        let mut write = self.store().write().await?;
        let result = write.run(statement.bind(millis(instant))).await;
        write.end(result).await
    }
}

enum OnceKeyState {
    Free(i64),
    Taken(BeginSendResult),
}

async fn begin(write: &mut Transaction<'_>, owner: i64, send: &NewSend) -> Result<OnceKeyState, LedgerError> {
    type OnceKeyRow = (i64, String, i64, i64, Option<String>, i64);
    let question =
        sql("SELECT id, hash, owner, state, receipts, updated_at FROM sends WHERE app = ? AND once = ?");
    let row: Option<OnceKeyRow> = write.row(question.bind(send.app.0).bind(&send.once)).await?;
    let Some((id, hash, holder, state, receipts, since)) = row else {
        let numbers = write::write(write, &[(owner, send)], DeliveryState::Pending, &[]).await?;
        let number = numbers.first().copied();
        return Ok(OnceKeyState::Free(number.ok_or_else(|| write.store.record("no number for a send"))?));
    };
    if hash != send.hash {
        return Ok(OnceKeyState::Taken(BeginSendResult::Different));
    }
    let now = write.store.now();
    let state = DeliveryState::from_number(state).map_err(|detail| write.store.record(detail))?;
    match state {
        DeliveryState::Sent => {
            let receipts = serde_json::from_str(receipts.as_deref().unwrap_or("[]"));
            return Ok(OnceKeyState::Taken(BeginSendResult::Done(
                receipts.map_err(|error| write.store.record(error))?,
            )));
        }
        DeliveryState::InDoubt => {
            return Ok(OnceKeyState::Taken(BeginSendResult::InDoubt { since: from_millis(since) }));
        }
        // A send that is proved not to have been sent has no holder.
        DeliveryState::Pending | DeliveryState::Sending if holder != 0 && lives(write, holder).await? => {
            return Ok(OnceKeyState::Taken(BeginSendResult::InFlight));
        }
        DeliveryState::Sending => {
            let statement = sql("UPDATE sends SET state = 4, error = ?, updated_at = ? WHERE id = ?");
            write.run(statement.bind(ENDED_BEFORE).bind(now).bind(id)).await?;
            return Ok(OnceKeyState::Taken(BeginSendResult::InDoubt { since: from_millis(now) }));
        }
        DeliveryState::Pending
        | DeliveryState::Rejected
        | DeliveryState::Skipped
        | DeliveryState::Cancelled => {}
    }
    let statement = sql(
        "UPDATE sends SET owner = ?, state = 0, recipients = ?, origin = ?, error = NULL, updated_at = ? WHERE id = ?",
    );
    let statement = statement.bind(owner).bind(&send.recipients).bind(&send.origin).bind(now).bind(id);
    write.run(statement).await?;
    Ok(OnceKeyState::Free(id))
}

/// Records that a send of this instance is in flight.
pub(super) async fn intend(write: &mut Transaction<'_>, owner: i64, id: i64) -> Result<(), LedgerError> {
    let statement = sql(
        "UPDATE sends SET state = 1, updated_at = ?, owner = ?2 WHERE id = ?3 AND owner IN (0, ?2) AND state = 0",
    );
    match write.run(statement.bind(write.store.now()).bind(owner).bind(id)).await? {
        0 => Err(LedgerError::NotIn { what: format!("send {id}"), wanted: DeliveryState::Pending, count: 1 }),
        _ => Ok(()),
    }
}
