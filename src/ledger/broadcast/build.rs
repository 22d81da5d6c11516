//! Builds a plan: recipients and their messages, before anything is sent.

use bytes::Bytes;
use const_format::formatcp;
use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::ledger::sql::sql;
use crate::ledger::state::recipient::{PENDING, SKIPPED};
use crate::ledger::state::stage::BUILDING;
use crate::ledger::store::{Transaction, stored};
use crate::ledger::{BroadcastStage, Ledger, LedgerError, RecipientState};

use super::message_dedup::{MessageDedup, MessageHash};
use super::shift::RANGE_LENGTH;
use super::{BroadcastId, CountsDelta, Lease, StoredSpec, apply, fields};

/// A recipient as the audience provides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecipient {
    pub group_id: String,
    /// The members of a targeted message, in the order in which they are sent; empty for the whole group.
    pub users: Vec<String>,
    /// The id of the message to edit; `None` for a message of its own.
    pub target: Option<String>,
    /// Its own time zone for the window of the broadcast.
    pub zone: Option<String>,
    /// The message; `None` if the recipient is skipped.
    pub message: Option<NewMessage>,
    /// The audience's own columns, as names and values, for exports. Columns that identify the recipient are left out.
    pub fields: Vec<(String, Value)>,
}

/// A checked message without its recipients. Clones of one message are stored once. So are equal messages that are not
/// too far apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Its JSON.
    pub content: Bytes,
    /// Its size in bytes, as the service's limit counts it.
    pub size: u64,
    /// Replaces the content in the plan's hash: the same message, with its files identified by content. `None` uses
    /// `content`.
    pub known_as: Option<Bytes>,
}

impl Ledger {
    /// Appends recipients to a plan that is being built, in this order. Returns the sequence number of the last one.
    /// Batches of about a thousand are best.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`], [`LedgerError::NotNow`] when the plan is fixed.
    pub async fn append(&self, lease: Lease, recipients: &[NewRecipient]) -> Result<i64, LedgerError> {
        let mut dedup = self.0.dedups.take(lease);
        let last = self
            .store()
            .transaction(async |write| append(write, &mut dedup, lease, recipients).await)
            .await?;
        self.0.dedups.put(lease, dedup);
        Ok(last)
    }

    /// Records audience lines that cannot be sent to, each with its reason. They are `skipped`, without a group.
    pub async fn append_skipped(&self, lease: Lease, reasons: &[String]) -> Result<(), LedgerError> {
        self.store().transaction(async |write| append_skipped(write, lease, reasons).await).await
    }

    /// Deletes a broadcast whose plan was never fixed, as if it had never been requested.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`], [`LedgerError::NotNow`] when the plan is fixed.
    pub async fn forget_unbuilt(&self, lease: Lease) -> Result<(), LedgerError> {
        drop(self.0.dedups.take(lease));
        self.clear(lease.broadcast, Some(lease.number)).await?;
        let statement =
            sql(formatcp!("DELETE FROM broadcasts WHERE id = ? AND lease_number = ? AND state = {BUILDING}"));
        let mut write = self.store().write().await?;
        let result = match write.run(statement.bind(lease.broadcast.0).bind(lease.number)).await {
            Ok(0) => Err(why_not(&mut write, lease).await?),
            other => other.map(drop),
        };
        write.end(result).await
    }

    /// Discards what was built of a plan that was never fixed, so that it can be built again with `spec`.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`], [`LedgerError::NotNow`] when the plan is fixed.
    pub async fn discard_unbuilt(&self, lease: Lease, spec: &StoredSpec) -> Result<(), LedgerError> {
        drop(self.0.dedups.take(lease));
        let spec = serde_json::to_string(spec).map_err(|error| self.store().record(error))?;
        self.store()
            .transaction(async |write| {
                let statement = sql(formatcp!(
                    "UPDATE broadcasts SET spec = ? WHERE id = ? AND lease_number = ? AND state = {BUILDING}"
                ))
                .bind(spec)
                .bind(lease.broadcast.0)
                .bind(lease.number);
                if write.run(statement).await? == 0 {
                    return Err(why_not(write, lease).await?);
                }
                Ok(())
            })
            .await?;
        self.clear(lease.broadcast, Some(lease.number)).await?;
        // Otherwise the numbers of the deleted recipients would count as duplicates when the plan is fixed.
        let statement = sql(formatcp!(
            "UPDATE broadcasts SET next_seq = 1, next_message = 1 WHERE id = ? AND lease_number = ? AND state = {BUILDING}"
        ));
        let mut write = self.store().write().await?;
        let result = match write.run(statement.bind(lease.broadcast.0).bind(lease.number)).await {
            Ok(0) => Err(why_not(&mut write, lease).await?),
            other => other.map(drop),
        };
        write.end(result).await
    }

    /// Deletes all recipients and messages of a broadcast, in short writes.
    pub(in crate::ledger) async fn clear(
        &self,
        id: BroadcastId,
        lease: Option<i64>,
    ) -> Result<(), LedgerError> {
        let mut after = 0;
        loop {
            let last =
                self.store().transaction(async |write| clear_range(write, id, lease, after).await).await?;
            after += RANGE_LENGTH;
            if after >= last {
                return Ok(());
            }
        }
    }
}

/// Returns the reason why a builder's write changed nothing.
pub(super) async fn why_not(write: &mut Transaction<'_>, lease: Lease) -> Result<LedgerError, LedgerError> {
    let question = sql("SELECT state FROM broadcasts WHERE id = ? AND lease_number = ?");
    let row: Option<(BroadcastStage,)> =
        write.row(question.bind(lease.broadcast.0).bind(lease.number)).await?;
    let Some((stage,)) = row else { return Ok(LedgerError::LeaseLost(lease.broadcast)) };
    let why =
        if stage == BroadcastStage::Building { "its plan is not fixed yet" } else { "its plan is fixed" };
    Ok(LedgerError::NotNow { broadcast: lease.broadcast, is: stage.name(), why })
}

/// The numbers that a plan's next recipient and its next message get.
#[derive(sqlx::FromRow)]
struct NextNumbers {
    next_seq: i64,
    next_message: i64,
}

async fn append(
    write: &mut Transaction<'_>,
    dedup: &mut MessageDedup,
    lease: Lease,
    recipients: &[NewRecipient],
) -> Result<i64, LedgerError> {
    // The new messages, and the message hash of each recipient.
    let mut fresh: Vec<(MessageHash, &NewMessage)> = Vec::new();
    let mut seen: std::collections::HashSet<MessageHash> = std::collections::HashSet::new();
    let mut hashes = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        hashes.push(recipient.message.as_ref().map(|message| {
            let hash = dedup.hash(message.known_as.as_ref().unwrap_or(&message.content));
            if dedup.number(&hash).is_none() && seen.insert(hash) {
                fresh.push((hash, message));
            }
            hash
        }));
    }
    let skipped = hashes.iter().filter(|hash| hash.is_none()).count() as u64;
    let (many, messages) = (recipients.len() as u64, fresh.len() as u64);
    let statement = sql(formatcp!(
        "UPDATE broadcasts SET next_seq = next_seq + ?, next_message = next_message + ?
            WHERE id = ? AND lease_number = ? AND state = {BUILDING} RETURNING next_seq, next_message"
    ))
    .bind(stored(many))
    .bind(stored(messages))
    .bind(lease.broadcast.0)
    .bind(lease.number);
    let Some(NextNumbers { next_seq, next_message }) = write.row(statement).await? else {
        return Err(why_not(write, lease).await?);
    };
    let mut delta = CountsDelta::default();
    delta.add(RecipientState::Pending, stored(many - skipped));
    delta.add(RecipientState::Skipped, stored(skipped));
    apply(write, lease.broadcast, Some(lease.number), &delta).await?;

    let mut rows = Vec::with_capacity(fresh.len());
    let mut numbers = std::collections::HashMap::with_capacity(fresh.len());
    for (number, (hash, message)) in (next_message - stored(messages)..).zip(fresh) {
        numbers.insert(hash, number);
        let content = std::str::from_utf8(&message.content).map_err(|error| write.store.record(error))?;
        rows.push((number, HEXLOWER.encode(&hash), message.size, content));
    }
    if !rows.is_empty() {
        let statement = sql("INSERT INTO messages (broadcast, id, hash, size, content)
                SELECT ?, CAST(value ->> 0 AS BIGINT), value ->> 1, CAST(value ->> 2 AS BIGINT), value ->> 3
                    FROM json_each(?)");
        write.run(statement.bind(lease.broadcast.0).bind(json(write, &rows)?)).await?;
    }
    let mut rows = Vec::with_capacity(recipients.len());
    for (recipient, hash) in recipients.iter().zip(&hashes) {
        let number = hash.and_then(|hash| dedup.number(&hash).or_else(|| numbers.get(&hash).copied()));
        let users = users_json(write, &recipient.users)?;
        rows.push((&recipient.group_id, users, number, &recipient.target, &recipient.zone));
    }
    let statement =
        sql(formatcp!(
            "INSERT INTO recipients (broadcast, seq, state, updated_at, group_id, users, message, target, zone)
            SELECT ?, ? + key, CASE WHEN value ->> 2 IS NULL THEN {SKIPPED} ELSE {PENDING} END, ?, value ->> 0, value ->> 1,
                CAST(value ->> 2 AS BIGINT), value ->> 3, value ->> 4 FROM json_each(?)"
        ))
        .bind(lease.broadcast.0)
        .bind(next_seq - stored(many))
        .bind(write.store.now())
        .bind(json(write, &rows)?);
    write.run(statement).await?;
    fields::keep(write, lease.broadcast, next_seq - stored(many), recipients).await?;
    for (hash, number) in numbers {
        dedup.remember(hash, number);
    }
    Ok(next_seq - 1)
}

async fn append_skipped(
    write: &mut Transaction<'_>,
    lease: Lease,
    reasons: &[String],
) -> Result<(), LedgerError> {
    let many = stored(reasons.len() as u64);
    let statement = sql(formatcp!(
        "UPDATE broadcasts SET next_seq = next_seq + ?
            WHERE id = ? AND lease_number = ? AND state = {BUILDING} RETURNING next_seq"
    ))
    .bind(many)
    .bind(lease.broadcast.0)
    .bind(lease.number);
    let Some((next_seq,)) = write.row::<(i64,)>(statement).await? else {
        return Err(why_not(write, lease).await?);
    };
    let mut delta = CountsDelta::default();
    delta.add(RecipientState::Skipped, many);
    apply(write, lease.broadcast, Some(lease.number), &delta).await?;
    let rows: Vec<[&String; 1]> = reasons.iter().map(|reason| [reason]).collect();
    let statement = sql(formatcp!(
        "INSERT INTO recipients (broadcast, seq, state, updated_at, group_id, users, error)
            SELECT ?, ? + key, {SKIPPED}, ?, '', '', value ->> 0 FROM json_each(?)"
    ))
    .bind(lease.broadcast.0)
    .bind(next_seq - many)
    .bind(write.store.now())
    .bind(json(write, &rows)?);
    write.run(statement).await.map(drop)
}

fn users_json(write: &Transaction<'_>, users: &[String]) -> Result<String, LedgerError> {
    if users.is_empty() { Ok(String::new()) } else { json(write, users) }
}

/// Serializes a list for an argument of a statement.
pub(in crate::ledger) fn json<T: serde::Serialize + ?Sized>(
    write: &Transaction<'_>,
    list: &T,
) -> Result<String, LedgerError> {
    serde_json::to_string(list).map_err(|error| write.store.record(error))
}

/// Clears one range of numbers; returns the last number of the broadcast.
async fn clear_range(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    lease: Option<i64>,
    after: i64,
) -> Result<i64, LedgerError> {
    let question =
        sql("SELECT CASE WHEN next_seq > next_message THEN next_seq ELSE next_message END FROM broadcasts WHERE id = ?").bind(id.0);
    let (next,): (i64,) = write.row(question).await?.ok_or(LedgerError::Unknown(id))?;
    let states = sql(
        "SELECT state, count(*) FROM recipients WHERE broadcast = ? AND seq BETWEEN ? AND ? GROUP BY state",
    );
    let states: Vec<(RecipientState, i64)> =
        write.rows(states.bind(id.0).bind(after + 1).bind(after + RANGE_LENGTH)).await?;
    let mut delta = CountsDelta::default();
    for (state, many) in states {
        delta.add(state, -many);
    }
    apply(write, id, lease, &delta).await?;
    if after == 0 {
        write.run(sql("DELETE FROM driver_status WHERE broadcast = ?").bind(id.0)).await?;
    }
    for statement in [
        "DELETE FROM recipients WHERE broadcast = ? AND seq BETWEEN ? AND ?",
        "DELETE FROM messages WHERE broadcast = ? AND id BETWEEN ? AND ?",
        "DELETE FROM recipient_fields WHERE broadcast = ? AND first BETWEEN ? AND ?",
    ] {
        write.run(sql(statement).bind(id.0).bind(after + 1).bind(after + RANGE_LENGTH)).await?;
    }
    Ok(next - 1)
}
