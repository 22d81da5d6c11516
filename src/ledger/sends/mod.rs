//! Single sends: an audit of all, and `once` for those that ask for it.

mod write;

use std::sync::Arc;
use std::time::Duration;

use super::commit::CommitRequest;
use super::instance::{ENDED_BEFORE, lives};
use super::store::{Transaction, from_millis, millis, small};
use super::{AppId, DeliveryState, Instance, Ledger, LedgerError};
use crate::ledger::sql::{Statement, sql};

pub(super) use write::{MOST, write};

/// A single send before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSend {
    /// To which app.
    pub app: AppId,
    /// Its `once` key.
    pub once: Option<String>,
    /// What tells its message from others, recipients included, where there is a `once` key; else nothing.
    pub hash: String,
    /// Its groups, and the users of a targeted one, as JSON; shown to people.
    pub recipients: String,
    /// Which script, job or command sends it; shown to people.
    pub origin: String,
}

/// What a `once` key has come to.
#[derive(Debug, PartialEq, Eq)]
pub enum BeginSendResult {
    /// Nothing was sent with it: this call sends.
    New(SendTicket),
    /// It was sent, with these (group id, message id).
    Done(Vec<(String, String)>),
    /// A living owner is sending it.
    InFlight,
    /// It may have been delivered.
    InDoubt {
        /// Since when that is known.
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

/// What came of a single send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendOutcome {
    /// Its state from now on. [`State::Pending`] when it is proved that nothing was sent: the key is free again.
    pub state: DeliveryState,
    /// (group id, message id) of each group that has it.
    pub receipts: Vec<(String, String)>,
    /// Why not, or why it is in doubt; keep it short.
    pub error: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
}

/// Which single sends to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendFilter {
    /// Of this app only.
    pub app: Option<AppId>,
    /// In this state only.
    pub state: Option<DeliveryState>,
    /// Only those with a number below; for the next page.
    pub before: Option<i64>,
}

/// A single send as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRow {
    /// Its number.
    pub id: i64,
    /// The app that it went to.
    pub app: AppId,
    /// Its `once` key.
    pub once: Option<String>,
    /// Its groups and users, as JSON.
    pub recipients: String,
    /// Which script, job or command sent it.
    pub origin: String,
    /// Its state.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// (group id, message id) of each group that has it.
    pub receipts: Vec<(String, String)>,
    /// Why not, or why it is in doubt.
    pub error: Option<String>,
    /// When it was begun.
    pub created_at: Duration,
    /// When its state changed last.
    pub updated_at: Duration,
}

impl Ledger {
    /// Begins a single send. One without a `once` key is always new, and costs nothing here.
    ///
    /// # Errors
    ///
    /// Faults of the store.
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

    /// Writes down that it is about to be sent. Once this returns it is on the disk, and only then may the request
    /// leave. Said again before another try of what was proved not to be sent.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotIn`] when it is not this owner's any more, and faults of the store. After any error nothing
    /// may be sent.
    pub async fn intend_send(&self, ticket: &mut SendTicket) -> Result<(), LedgerError> {
        let request = match ticket.row {
            Some(id) => CommitRequest::IntendSend { owner: ticket.owner, id },
            None => CommitRequest::NewSend { owner: ticket.owner, send: Arc::clone(&ticket.send) },
        };
        let number = self.0.queue.ask(request).await?;
        ticket.row.get_or_insert(number);
        Ok(())
    }

    /// Writes down what came of it. Said again after an error, it is the same.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotIn`] when it is not this owner's any more, and faults of the store.
    pub async fn settle_send(&self, ticket: &SendTicket, outcome: SendOutcome) -> Result<(), LedgerError> {
        match ticket.row {
            Some(id) => self
                .0
                .queue
                .ask(CommitRequest::SettleSend { owner: ticket.owner, id, outcome })
                .await
                .map(drop),
            // Never intended: nothing of it is in the ledger.
            None => Ok(()),
        }
    }

    /// Single sends, the newest first, at the most `limit`.
    ///
    /// # Errors
    ///
    /// Faults of the store.
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

    /// A single send by its number.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn send(&self, id: i64) -> Result<Option<SendRow>, LedgerError> {
        let filter = SendFilter { before: id.checked_add(1), ..SendFilter::default() };
        Ok(self.sends(filter, 1).await?.pop().filter(|send| send.id == id))
    }

    /// Single sends in doubt with a number below, the newest first, at the most `limit`.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn sends_in_doubt(&self, before: Option<i64>, limit: u32) -> Result<Vec<SendRow>, LedgerError> {
        // The number stands in the text, so that the index of those in doubt serves.
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

    /// Settles a single send that is in doubt, by its number: as sent, or its `once` key free to be sent again. Gives
    /// whether it was in doubt.
    ///
    /// # Errors
    ///
    /// Faults of the store.
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

    /// Forgets settled sends from before `instant`; those in doubt stay. Gives how many.
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
        // An outcome that was proved to be nothing has no owner any more.
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

/// Writes that a send of this owner is being sent.
pub(super) async fn intend(write: &mut Transaction<'_>, owner: i64, id: i64) -> Result<(), LedgerError> {
    let statement = sql(
        "UPDATE sends SET state = 1, updated_at = ?, owner = ?2 WHERE id = ?3 AND owner IN (0, ?2) AND state = 0",
    );
    match write.run(statement.bind(write.store.now()).bind(owner).bind(id)).await? {
        0 => Err(LedgerError::NotIn { what: format!("send {id}"), wanted: DeliveryState::Pending, count: 1 }),
        _ => Ok(()),
    }
}
