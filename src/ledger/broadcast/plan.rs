//! Fixes the plan: drops duplicates, marks exclusions, counts and hashes everything.
//!
//! Memory use does not grow with the number of recipients: the store sorts on disk, and rows are streamed.

use const_format::formatcp;
use data_encoding::HEXLOWER;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::core::{Call, SuppressedKind};
use crate::ledger::connection::Connection;
use crate::ledger::sql::Statement;
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::{PENDING, SKIPPED};
use crate::ledger::state::stage::{BUILDING, READY};
use crate::ledger::store::{count, stored};
use crate::ledger::{AppId, Ledger, LedgerError, RecipientState};
use crate::message::DEFAULT_SENDER;

use super::approval::ApprovalColumns;
use super::build::{json, why_not};
use super::identity::identity;
use super::{BroadcastId, CountsDelta, Lease, apply};

/// How many rows one short write changes.
const CHUNK: usize = 10_000;

/// Recipients of earlier broadcasts that are left out. Recipients are equal if they have the same group and the same
/// users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// The earlier broadcasts.
    pub broadcasts: Vec<BroadcastId>,
    /// The states in those broadcasts that exclude a recipient.
    pub states: Vec<RecipientState>,
}

/// A plan that was fixed or checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastPlan {
    /// Recipients that will be sent to.
    pub total: u64,
    /// Duplicate recipients that were dropped.
    pub duplicates: u64,
    /// Recipients left out by the exclusion; they are `skipped`.
    pub excluded: u64,
    /// All `skipped` recipients, including excluded ones.
    pub skipped: u64,
    /// Recipients that are on the suppression list when the plan is made. Those that still are when their turn comes are
    /// skipped then.
    #[serde(default)]
    pub suppressed: u64,
    /// Recipients that are at the cap of the broadcast when the plan is made, likewise.
    #[serde(default)]
    pub capped: u64,
    /// The size of the largest message in bytes, as the service's limit counts them.
    pub largest_message_bytes: u64,
    /// SHA-256 over the group, users and message of each recipient in order, in hexadecimal.
    pub hash: String,
    /// The same over the rest of each recipient: its time zone, and the message that it edits.
    #[serde(default)]
    pub details: String,
}

/// What happens to the rows of a query.
#[derive(Clone, Copy)]
enum SweepAction {
    Dropped,
    Skipped,
}

/// The recipients of a plan that are not sent to.
#[derive(sqlx::FromRow)]
struct UnsentCounts {
    duplicates: i64,
    n_skipped: i64,
}

impl UnsentCounts {
    /// Returns the plan with these counts.
    fn of(&self, plan: BroadcastPlan) -> BroadcastPlan {
        BroadcastPlan { duplicates: count(self.duplicates), skipped: count(self.n_skipped), ..plan }
    }
}

/// A recipient as the plan's hash covers it.
#[derive(sqlx::FromRow)]
struct PlannedRow {
    group_id: String,
    /// As a JSON list.
    users: String,
    /// The message's hash.
    hash: String,
    /// The message's size in bytes.
    size: i64,
    target: Option<String>,
    zone: Option<String>,
}

impl Ledger {
    /// Fixes the plan of a broadcast. Afterwards it can be sent, and nothing can be added. Of equal recipients the
    /// first one stays, so sequence numbers have gaps.
    ///
    /// If this is interrupted, or the plan has too many recipients, the plan stays unfixed. A plan without a recipient
    /// to send to also stays unfixed; its total is 0.
    ///
    /// # Errors
    ///
    /// [`LedgerError::TooMany`], [`LedgerError::LeaseLost`], [`LedgerError::NotNow`] if it is already fixed, and
    /// an error if the store fails.
    pub async fn fix_plan(
        &self,
        lease: Lease,
        exclude: Option<&Exclusion>,
        max_recipients: Option<u64>,
    ) -> Result<BroadcastPlan, LedgerError> {
        self.fix_plan_as(lease, exclude, max_recipients, None).await
    }

    /// The same, only if the plan has this hash.
    pub async fn fix_plan_as(
        &self,
        lease: Lease,
        exclude: Option<&Exclusion>,
        max_recipients: Option<u64>,
        wanted: Option<&str>,
    ) -> Result<BroadcastPlan, LedgerError> {
        let checked = self.check_plan(lease, exclude, max_recipients, wanted).await?;
        if checked.total == 0 {
            return Ok(checked);
        }
        self.fix(lease, checked).await
    }

    /// Fixes a plan that was checked. If recipients were added since, it is checked again.
    pub async fn fix_checked(
        &self,
        lease: Lease,
        exclude: Option<&Exclusion>,
        max_recipients: Option<u64>,
        checked: BroadcastPlan,
    ) -> Result<BroadcastPlan, LedgerError> {
        if checked.total == 0 {
            return Ok(checked);
        }
        match self.fix(lease, checked).await {
            Err(LedgerError::NotNow { is: "building", .. }) => {
                self.fix_plan(lease, exclude, max_recipients).await
            }
            fixed => fixed,
        }
    }

    /// Sweeps, counts and hashes a plan as [`Ledger::fix_plan_as`] does, but does not fix it. The plan can still be
    /// discarded.
    pub async fn check_plan(
        &self,
        lease: Lease,
        exclude: Option<&Exclusion>,
        max_recipients: Option<u64>,
        wanted: Option<&str>,
    ) -> Result<BroadcastPlan, LedgerError> {
        let _hold = self.store().clock.hold();
        let mut reader = self.store().connect().await?;
        let id = lease.broadcast.0;
        let same = identity(self.show(lease.broadcast).await?.spec.call, "");
        let duplicates = sql(format!(
            "SELECT seq, state FROM (SELECT seq, state,
                row_number() OVER (PARTITION BY {same} ORDER BY seq) AS nth
                FROM recipients WHERE broadcast = ? AND NOT (state = {SKIPPED} AND group_id = '')) n WHERE nth > 1"
        ));
        self.sweep(lease, &mut reader, duplicates.bind(id), SweepAction::Dropped).await?;
        let mut excluded = 0;
        if let Some(exclusion) = exclude {
            let ids: Vec<i64> = exclusion.broadcasts.iter().map(|id| id.0).collect();
            let states: Vec<i64> = exclusion.states.iter().map(|state| state.number()).collect();
            let text = |list: &[i64]| serde_json::to_string(list).map_err(|error| self.store().record(error));
            let question = sql(format!(
                "SELECT seq, state FROM recipients WHERE broadcast = ? AND state = {PENDING} AND ({same}) IN (
                    SELECT {same} FROM recipients WHERE broadcast IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))
                    AND state IN (SELECT CAST(atom AS BIGINT) FROM json_each(?)))"
            ));
            let question = question.bind(id).bind(text(&ids)?).bind(text(&states)?);
            self.sweep(lease, &mut reader, question, SweepAction::Skipped).await?;
            // An earlier attempt that failed may have excluded some recipients, so all marked rows are counted.
            let marked = sql(formatcp!(
                "SELECT count(*) FROM recipients WHERE broadcast = ? AND state = {SKIPPED} AND error = 'excluded'"
            ));
            let marked: Option<(i64,)> =
                reader.row(marked.bind(id)).await.map_err(|error| self.store().error(&error))?;
            excluded = count(marked.unwrap_or_default().0);
        }
        let mut digest = self.digest(lease.broadcast, &mut reader).await?;
        let broadcast = self.show(lease.broadcast).await?;
        digest.suppressed = self.count_suppressed(&broadcast).await?;
        digest.capped = self.count_capped(&broadcast).await?;
        self.store_plan_senders(lease.broadcast, &mut reader).await?;
        drop(reader);
        let (total, largest) = (digest.total, digest.largest_message_bytes);
        if let Some(max) = max_recipients.filter(|max| total > *max) {
            return Err(LedgerError::TooMany { total, max });
        }
        if wanted.is_some_and(|wanted| wanted != digest.hash) {
            return Err(LedgerError::OtherPlan { total, largest });
        }
        // Of the plan that is not fixed.
        let question = sql(formatcp!(
            "SELECT next_seq - 1 - n_pending - n_skipped AS duplicates, n_skipped FROM broadcasts
                WHERE id = ? AND lease_number = ? AND state = {BUILDING}"
        ))
        .bind(lease.broadcast.0)
        .bind(lease.number);
        let row: Option<UnsentCounts> = self.store().row(question).await?;
        let unsent = row.ok_or(LedgerError::LeaseLost(lease.broadcast))?;
        Ok(unsent.of(BroadcastPlan { excluded, ..digest }))
    }

    /// Drops or skips the rows of a query, in short writes.
    async fn sweep(
        &self,
        lease: Lease,
        reader: &mut Connection,
        question: Statement,
        action: SweepAction,
    ) -> Result<(), LedgerError> {
        let mut rows =
            reader.stream::<(i64, RecipientState)>(question).map_err(|error| self.store().error(&error))?;
        let mut chunk = Vec::new();
        loop {
            let row = rows.try_next().await.map_err(|error| self.store().error(&error))?;
            let ended = row.is_none();
            chunk.extend(row);
            if chunk.len() >= CHUNK || (ended && !chunk.is_empty()) {
                self.sweep_chunk(lease, &chunk, action).await?;
                chunk.clear();
            }
            if ended {
                return Ok(());
            }
        }
    }

    async fn sweep_chunk(
        &self,
        lease: Lease,
        chunk: &[(i64, RecipientState)],
        action: SweepAction,
    ) -> Result<(), LedgerError> {
        self.store().transaction(async |write| {
            let mut delta = CountsDelta::default();
            let mut seqs = Vec::with_capacity(chunk.len());
            for &(seq, state) in chunk {
                delta.add(state, -1);
                if matches!(action, SweepAction::Skipped) {
                    delta.add(RecipientState::Skipped, 1);
                }
                seqs.push(seq);
            }
            let seqs = json(write, &seqs)?;
            let statement = match action {
                SweepAction::Dropped => sql(
                    "DELETE FROM recipients WHERE broadcast = ? AND seq IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))",
                )
                .bind(lease.broadcast.0)
                .bind(seqs),
                SweepAction::Skipped => sql(formatcp!(
                    "UPDATE recipients SET state = {SKIPPED}, error = 'excluded'
                        WHERE broadcast = ? AND seq IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))"
                ))
                .bind(lease.broadcast.0)
                .bind(seqs),
            };
            if write.run(statement).await? != chunk.len() as u64 {
                return Err(LedgerError::LeaseLost(lease.broadcast));
            }
            apply(write, lease.broadcast, Some(lease.number), &delta).await
        }).await
    }

    /// Stores the senders of a plan's messages, so that the service's records of these messages are kept.
    async fn store_plan_senders(&self, id: BroadcastId, reader: &mut Connection) -> Result<(), LedgerError> {
        let sender = self.store().driver.texts().message_sender;
        let text = format!(
            "SELECT DISTINCT b.app, coalesce({sender}, ?2) FROM broadcasts b JOIN messages m ON m.broadcast = b.id WHERE b.id = ?1"
        );
        let question = sql(text).bind(id.0).bind(DEFAULT_SENDER);
        let senders: Vec<(AppId, String)> =
            reader.rows(question).await.map_err(|error| self.store().error(&error))?;
        let Some((app, _)) = senders.first() else { return Ok(()) };
        let names: Vec<&str> = senders.iter().map(|(_, name)| name.as_str()).collect();
        self.store_senders(*app, &names).await
    }

    /// Returns the count, the largest message and the hash of what will be sent; the other figures are 0.
    async fn digest(&self, id: BroadcastId, reader: &mut Connection) -> Result<BroadcastPlan, LedgerError> {
        let call = self.show(id).await?.spec.call;
        let question = sql(formatcp!(
            "SELECT r.group_id, r.users, m.hash, m.size, r.target, r.zone FROM recipients r
                CROSS JOIN messages m ON m.broadcast = r.broadcast AND m.id = r.message
                WHERE r.broadcast = ? AND r.state = {PENDING} ORDER BY r.seq"
        ))
        .bind(id.0);
        let mut rows = reader.stream::<PlannedRow>(question).map_err(|error| self.store().error(&error))?;
        let (mut total, mut largest) = (0, 0);
        let (mut hasher, mut details) = (Sha256::new(), Sha256::new());
        if matches!(call, Call::User | Call::Room) {
            // A group may have the id of a user or a room.
            hasher.update(format!("{call}\n"));
        }
        while let Some(row) = rows.try_next().await.map_err(|error| self.store().error(&error))? {
            total += 1;
            largest = largest.max(row.size);
            // No field can contain a line feed: ids are checked, and users are JSON.
            for field in [&row.group_id, &row.users, &row.hash] {
                hasher.update(field);
                hasher.update(b"\n");
            }
            // The id of a message and the name of a zone have no line feed either.
            for field in [&row.target, &row.zone] {
                details.update(field.as_deref().unwrap_or_default());
                details.update(b"\n");
            }
        }
        Ok(BroadcastPlan {
            total,
            duplicates: 0,
            excluded: 0,
            skipped: 0,
            suppressed: 0,
            capped: 0,
            largest_message_bytes: count(largest),
            hash: HEXLOWER.encode(&hasher.finalize()),
            details: HEXLOWER.encode(&details.finalize()),
        })
    }

    async fn fix(&self, lease: Lease, checked: BroadcastPlan) -> Result<BroadcastPlan, LedgerError> {
        let spec = self.show(lease.broadcast).await?.spec;
        let approval = ApprovalColumns::new(self, &checked, &spec);
        // Rows that an earlier failed attempt dropped count too.
        let statement = sql(formatcp!(
            "UPDATE broadcasts SET state = {READY}, duplicates = next_seq - 1 - n_pending - n_skipped, excluded = ?,
                largest = ?, plan = ?, planned_at = ?, kind = ?, overrides = ?, tag = ?,
                needs_approval = ?, approval_hash = ?, approved = NULL, begun_by = ?
                WHERE id = ? AND lease_number = ? AND state = {BUILDING} AND n_pending = ? RETURNING duplicates, n_skipped"
        ))
        .bind(stored(checked.excluded))
        .bind(stored(checked.largest_message_bytes))
        .bind(&checked.hash)
        .bind(self.store().now())
        .bind(SuppressedKind::of(spec.call).map(SuppressedKind::name))
        .bind(spec.overrides)
        .bind(&spec.tag)
        .bind(approval.needs)
        .bind(approval.hash)
        .bind(approval.begun_by.concat())
        .bind(lease.broadcast.0)
        .bind(lease.number)
        .bind(stored(checked.total));
        let mut write = self.store().write().await?;
        let result = match write.row::<UnsentCounts>(statement).await {
            Ok(None) => Err(why_not(&mut write, lease).await.unwrap_or_else(|error| error)),
            Ok(Some(row)) => Ok(row),
            Err(error) => Err(error),
        };
        let unsent = write.end(result).await?;
        drop(self.0.dedups.take(lease));
        Ok(unsent.of(checked))
    }
}
