//! The work of a driver: taking recipients, recording which ones it is about to send to, and recording the outcomes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use const_format::formatcp;
use serde::Deserialize;
use sqlx::FromRow;

use crate::core::InDoubtPolicy;
use crate::ledger::commit_request::CommitRequest;
use crate::ledger::instance::ENDED_BEFORE;
use crate::ledger::reservation::Reservation;
use crate::ledger::sql::sql;
use crate::ledger::state::stage::{BUILDING, CANCELLED, FINISHED, READY};
use crate::ledger::{
    BroadcastCommand, BroadcastStage, CapRule, Ledger, LedgerError, RecipientCounts, RecipientState,
    Unreserved,
};

use super::{BroadcastId, Lease, holds};

/// A pending recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Its sequence number in the plan: positive and ascending, with gaps.
    pub seq: i64,
    pub group_id: String,
    /// The members of a targeted message; empty for the whole group.
    pub users: Vec<String>,
    /// The id of the message to edit; `None` for a message of its own.
    pub target: Option<String>,
    /// Its own time zone for the window of the broadcast.
    pub zone: Option<String>,
    /// The message without its recipients, as JSON. Recipients of one message share it.
    pub message: Bytes,
    /// The number of that message. Within a broadcast, equal numbers mean equal messages.
    pub message_number: i64,
    /// How many times it was tried.
    pub attempts: u32,
}

/// The outcome of a recipient that was in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientOutcome {
    /// Its sequence number in the plan.
    pub seq: i64,
    /// Its new state. [`RecipientState::Pending`] means that it is proved that nothing was sent.
    pub state: RecipientState,
    /// The service's id of the message, if it was sent.
    pub message_id: Option<String>,
    /// Why it failed or is in doubt. Keep it short.
    pub error: Option<String>,
    /// How many times it was tried, including this time.
    pub attempts: u32,
}

impl RecipientOutcome {
    /// The outcome of a delivered message.
    pub fn sent(seq: i64, message_id: impl Into<String>, attempts: u32) -> Self {
        Self { seq, state: RecipientState::Sent, message_id: Some(message_id.into()), error: None, attempts }
    }

    /// The outcome of a message that was not delivered, or is in doubt.
    pub fn failed(seq: i64, state: RecipientState, error: impl Into<String>, attempts: u32) -> Self {
        Self { seq, state, message_id: None, error: Some(error.into()), attempts }
    }
}

/// What a new driver found in flight from the previous one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TakeoverCounts {
    pub in_doubt: u64,
    /// Recipients that are pending again, because the broadcast resends messages in doubt.
    pub pending: u64,
}

/// A pending recipient as it is stored.
#[derive(Debug, FromRow, Deserialize)]
pub(in crate::ledger) struct PendingRow {
    pub(in crate::ledger) seq: i64,
    group_id: String,
    users: String,
    /// The message's number.
    message: i64,
    attempts: i64,
    target: Option<String>,
    zone: Option<String>,
}

/// The messages of the current page of each broadcast.
#[derive(Debug, Default)]
pub(in crate::ledger) struct MessageCache(Mutex<HashMap<BroadcastId, HashMap<i64, Bytes>>>);

impl MessageCache {
    pub(in crate::ledger) fn take(&self, id: BroadcastId) -> HashMap<i64, Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id).unwrap_or_default()
    }

    fn put(&self, id: BroadcastId, page: HashMap<i64, Bytes>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, page);
    }
}

impl Ledger {
    /// Returns the next pending recipients, in order. After the last one, begin again at 0 while any are counted as
    /// pending: a recipient that is proved not to be sent becomes pending again, and other processes can make
    /// recipients pending again.
    pub async fn pending(
        &self,
        lease: Lease,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<Recipient>, LedgerError> {
        let id = lease.broadcast;
        let rows = self.store().driver.pending(self.store(), lease, after_seq, limit).await?;
        let mut read = self.store().read().await?;
        let mut known = self.0.message_cache.take(id);
        let mut missing: Vec<i64> =
            rows.iter().map(|row| row.message).filter(|number| !known.contains_key(number)).collect();
        missing.dedup();
        let mut page = HashMap::new();
        if !missing.is_empty() {
            let list = serde_json::to_string(&missing).map_err(|error| self.store().record(error))?;
            let question = sql(
                "SELECT id, content FROM messages WHERE broadcast = ? AND id IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))",
            );
            let found: Vec<(i64, String)> = read.rows(question.bind(id.0).bind(list)).await?;
            known.extend(found.into_iter().map(|(number, content)| (number, Bytes::from(content))));
        }
        read.done();
        let mut recipients = Vec::with_capacity(rows.len());
        for PendingRow { seq, group_id, users, message: number, attempts, target, zone } in rows {
            let message = known.get(&number).ok_or_else(|| {
                self.store().record(format!("message {number} of broadcast {id} is missing"))
            })?;
            page.insert(number, message.clone());
            recipients.push(Recipient {
                seq,
                group_id,
                users: self.users(&users)?,
                target,
                zone,
                message: message.clone(),
                message_number: number,
                attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            });
        }
        if !page.is_empty() {
            self.0.message_cache.put(id, page);
        }
        Ok(recipients)
    }

    /// Releases the ranges that this driver holds, so that other drivers can take them. The driver calls this when it has
    /// reached their end and nothing in them is in flight. Does nothing on a file store.
    pub async fn hand_back(&self, lease: Lease) -> Result<(), LedgerError> {
        self.store().driver.hand_back(self.store(), lease).await
    }

    /// Records that these recipients are about to be sent to. The record is on disk once this returns, and only then
    /// may a request be sent.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`]; [`LedgerError::NotIn`] if not all of them are pending (none is changed then);
    /// [`LedgerError::NotNow`] if the plan is not fixed; an error if the store fails. After any error
    /// nothing may be sent.
    pub async fn intend(&self, lease: Lease, seqs: Vec<i64>) -> Result<(), LedgerError> {
        self.0.queue.ask(CommitRequest::Intend { lease, seqs }).await.map(drop)
    }

    /// As [`Ledger::intend`], under a cap: if one of the recipients is at its cap, none is recorded. Those that certainly
    /// are at their cap are skipped.
    pub async fn reserve(
        &self,
        lease: Lease,
        rule: &Arc<CapRule>,
        seqs: Vec<i64>,
    ) -> Result<Unreserved, LedgerError> {
        let reservation = Reservation::new(seqs, rule);
        let request = CommitRequest::Reserve { lease, reservation: reservation.clone() };
        self.0.queue.ask(request).await?;
        Ok(reservation.answer())
    }

    /// Records the outcomes of recipients that were in flight. It is safe to repeat this after an error.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`]; [`LedgerError::NotIn`] if not all of them were in flight (none is changed then);
    /// an error if the store fails.
    pub async fn settle(&self, lease: Lease, outcomes: Vec<RecipientOutcome>) -> Result<(), LedgerError> {
        self.0.queue.ask(CommitRequest::Settle { lease, outcomes }).await.map(drop)
    }

    /// Settles what the previous driver had in flight: as in doubt, or as pending if the broadcast resends what is in
    /// doubt.
    pub async fn take_over(&self, lease: Lease) -> Result<TakeoverCounts, LedgerError> {
        let broadcast = self.show(lease.broadcast).await?;
        self.take_over_as(lease, broadcast.spec.in_doubt).await
    }

    /// The same with another policy than the broadcast's own. Outcomes that this process could not write before are
    /// written first.
    pub async fn take_over_as(
        &self,
        lease: Lease,
        in_doubt: InDoubtPolicy,
    ) -> Result<TakeoverCounts, LedgerError> {
        self.write_kept_outcomes(lease).await?;
        let (to, error) = match in_doubt {
            InDoubtPolicy::Hold | InDoubtPolicy::Reconcile => (RecipientState::InDoubt, Some(ENDED_BEFORE)),
            InDoubtPolicy::Resend => (RecipientState::Pending, None),
        };
        let moved = self.store().driver.take_over(self, lease, to, error).await?;
        Ok(match to {
            RecipientState::Pending => TakeoverCounts { in_doubt: 0, pending: moved },
            _ => TakeoverCounts { in_doubt: moved, pending: 0 },
        })
    }

    /// Cancels all pending recipients, for a driver that was asked to cancel; returns how many.
    pub async fn cancel_rest(&self, lease: Lease) -> Result<u64, LedgerError> {
        self.shift(
            lease.broadcast,
            Some(lease.number),
            RecipientState::Pending,
            RecipientState::Cancelled,
            None,
        )
        .await
    }

    /// Finishes a broadcast that has nothing pending or in flight, stores its report, and releases the lease.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotNow`] if something is left, because another process made recipients pending again; continue
    /// to send then. [`LedgerError::LeaseLost`]; an error if the store fails.
    pub async fn finish(&self, lease: Lease, report: &str) -> Result<BroadcastStage, LedgerError> {
        let id = lease.broadcast;
        let driver = &self.store().driver;
        let statement = sql(format!(
            "UPDATE broadcasts SET state = CASE WHEN command = ?1 THEN {CANCELLED} ELSE {FINISHED} END, report = ?2, finished_at = ?3,
                owner = NULL, lease_until = 0
                WHERE id = ?4 AND {} AND state = {READY} AND n_pending = 0 AND n_sending = 0 RETURNING state",
            (driver.texts().lease_is_held)("?5")
        ))
        .bind(BroadcastCommand::Cancel)
        .bind(report)
        .bind(self.store().now())
        .bind(id.0)
        .bind(lease.number);
        let stage: BroadcastStage = self
            .store()
            .transaction(async |write| {
                if let Some((ended,)) = write.row(statement).await? {
                    driver.end_drivers(write, Some(id)).await?;
                    return Ok(ended);
                }
                let held = holds(write, lease).await?;
                match write.row(sql("SELECT state FROM broadcasts WHERE id = ?").bind(id.0)).await? {
                    Some((found,)) if held => {
                        let found: BroadcastStage = found;
                        let why = if found == BroadcastStage::Ready {
                            "some recipients are not settled"
                        } else {
                            "it is not being sent"
                        };
                        Err(LedgerError::NotNow { broadcast: id, is: found.name(), why })
                    }
                    _ => Err(LedgerError::LeaseLost(id)),
                }
            })
            .await?;
        drop(self.0.message_cache.take(id));
        Ok(stage)
    }

    /// Ends a cancelled broadcast, with a fixed plan or without, that has nothing pending or in flight. Stores its
    /// report and releases the lease.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotNow`] if something is left, [`LedgerError::LeaseLost`].
    pub async fn end_cancelled(&self, lease: Lease, report: &str) -> Result<(), LedgerError> {
        let id = lease.broadcast;
        let statement =
            sql(formatcp!(
                "UPDATE broadcasts SET state = {CANCELLED}, report = ?, finished_at = ?, owner = NULL, lease_until = 0
                WHERE id = ? AND command = ? AND state IN ({BUILDING}, {READY}) AND n_pending = 0 AND n_sending = 0"
            ))
            .bind(report)
            .bind(self.store().now())
            .bind(id.0)
            .bind(BroadcastCommand::Cancel);
        self.store()
            .transaction(async |write| {
                if !holds(write, lease).await? {
                    return Err(LedgerError::LeaseLost(id));
                }
                if write.run(statement).await? == 0 {
                    let why = "some recipients are not settled";
                    return Err(LedgerError::NotNow { broadcast: id, is: "being cancelled", why });
                }
                self.store().driver.end_drivers(write, Some(id)).await
            })
            .await?;
        drop(self.0.message_cache.take(id));
        Ok(())
    }

    /// Returns the number of recipients in each state.
    pub async fn counts(&self, id: BroadcastId) -> Result<RecipientCounts, LedgerError> {
        let question =
            sql("SELECT n_pending, n_sending, n_sent, n_rejected, n_in_doubt, n_skipped, n_cancelled
                FROM broadcasts WHERE id = ?");
        self.store().row(question.bind(id.0)).await?.ok_or(LedgerError::Unknown(id))
    }

    /// Parses the users of a recipient from their stored form.
    pub(super) fn users(&self, stored: &str) -> Result<Vec<String>, LedgerError> {
        if stored.is_empty() {
            return Ok(Vec::new());
        }
        serde_json::from_str(stored).map_err(|error| self.store().record(error))
    }
}
