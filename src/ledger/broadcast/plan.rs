//! Fixes the plan: drops duplicates, marks exclusions, counts and hashes everything.
//!
//! Memory use does not grow with the number of recipients: the store sorts on disk, and rows are streamed.

use data_encoding::HEXLOWER;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ledger::connection::Connection;
use crate::ledger::sql::Statement;
use crate::ledger::sql::sql;
use crate::ledger::store::{count, stored};
use crate::ledger::{DeliveryState, Ledger, LedgerError};

use super::build::{json, why_not};
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
    pub states: Vec<DeliveryState>,
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
    /// The size of the largest message in bytes, as the service's limit counts them.
    pub largest_message_bytes: u64,
    /// SHA-256 over the group, users and message of each recipient in order, in hexadecimal.
    pub hash: String,
}

/// What happens to the rows of a query.
#[derive(Clone, Copy)]
enum SweepAction {
    Dropped,
    Skipped,
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
        self.fix(lease, checked.excluded, checked.total, checked.largest_message_bytes, checked.hash).await
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
        let BroadcastPlan { excluded, total, largest_message_bytes: largest, hash, .. } = checked;
        match self.fix(lease, excluded, total, largest, hash).await {
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
        let duplicates = sql("SELECT seq, state FROM (SELECT seq, state,
                row_number() OVER (PARTITION BY group_id, users ORDER BY seq) AS nth
                FROM recipients WHERE broadcast = ? AND NOT (state = 5 AND group_id = '')) n WHERE nth > 1");
        self.sweep(lease, &mut reader, duplicates.bind(id), SweepAction::Dropped).await?;
        let mut excluded = 0;
        if let Some(exclusion) = exclude {
            let ids: Vec<i64> = exclusion.broadcasts.iter().map(|id| id.0).collect();
            let states: Vec<i64> = exclusion.states.iter().map(|state| state.number()).collect();
            let text = |list: &[i64]| serde_json::to_string(list).map_err(|error| self.store().record(error));
            let question = sql(
                "SELECT seq, state FROM recipients WHERE broadcast = ? AND state = 0 AND (group_id, users) IN (
                    SELECT group_id, users FROM recipients WHERE broadcast IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))
                    AND state IN (SELECT CAST(atom AS BIGINT) FROM json_each(?)))",
            );
            let question = question.bind(id).bind(text(&ids)?).bind(text(&states)?);
            self.sweep(lease, &mut reader, question, SweepAction::Skipped).await?;
            // An earlier attempt that failed may have excluded some recipients, so all marked rows are counted.
            let marked = sql(
                "SELECT count(*) FROM recipients WHERE broadcast = ? AND state = 5 AND error = 'excluded'",
            );
            let marked: Option<(i64,)> =
                reader.row(marked.bind(id)).await.map_err(|error| self.store().error(&error))?;
            excluded = count(marked.unwrap_or_default().0);
        }
        let (total, largest, hash) = self.digest(lease.broadcast, &mut reader).await?;
        drop(reader);
        if let Some(max) = max_recipients.filter(|max| total > *max) {
            return Err(LedgerError::TooMany { total, max });
        }
        if wanted.is_some_and(|wanted| wanted != hash) {
            return Err(LedgerError::OtherPlan { total, largest });
        }
        self.figures(lease, excluded, total, largest, hash).await
    }

    /// Returns the totals of a plan that is not fixed.
    async fn figures(
        &self,
        lease: Lease,
        excluded: u64,
        total: u64,
        largest: u64,
        hash: String,
    ) -> Result<BroadcastPlan, LedgerError> {
        let question = sql("SELECT next_seq - 1 - n_pending - n_skipped, n_skipped FROM broadcasts
                WHERE id = ? AND lease_number = ? AND state = 0")
        .bind(lease.broadcast.0)
        .bind(lease.number);
        let mut read = self.store().read().await?;
        let row: Option<(i64, i64)> = read.row(question).await?;
        read.done();
        let (dropped, skipped) = row.ok_or(LedgerError::LeaseLost(lease.broadcast))?;
        Ok(BroadcastPlan {
            total,
            duplicates: count(dropped),
            excluded,
            skipped: count(skipped),
            largest_message_bytes: largest,
            hash,
        })
    }

    /// Drops or skips the rows of a query, in short writes.
    async fn sweep(
        &self,
        lease: Lease,
        reader: &mut Connection,
        question: Statement,
        fate: SweepAction,
    ) -> Result<(), LedgerError> {
        let mut rows = reader.stream::<(i64, i64)>(question).map_err(|error| self.store().error(&error))?;
        let mut chunk = Vec::new();
        loop {
            let row = rows.try_next().await.map_err(|error| self.store().error(&error))?;
            let ended = row.is_none();
            chunk.extend(row);
            if chunk.len() >= CHUNK || (ended && !chunk.is_empty()) {
                self.sweep_chunk(lease, &chunk, fate).await?;
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
        chunk: &[(i64, i64)],
        fate: SweepAction,
    ) -> Result<(), LedgerError> {
        let mut write = self.store().write().await?;
        let result = async {
            let mut delta = CountsDelta::default();
            let mut seqs = Vec::with_capacity(chunk.len());
            for &(seq, state) in chunk {
                let state = DeliveryState::from_number(state).map_err(|detail| self.store().record(detail))?;
                delta.add(state, -1);
                if matches!(fate, SweepAction::Skipped) {
                    delta.add(DeliveryState::Skipped, 1);
                }
                seqs.push(seq);
            }
            let seqs = json(&write, &seqs)?;
            let statement = match fate {
                SweepAction::Dropped => sql(
                    "DELETE FROM recipients WHERE broadcast = ? AND seq IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))",
                )
                .bind(lease.broadcast.0)
                .bind(seqs),
                SweepAction::Skipped => sql(
                    "UPDATE recipients SET state = 5, error = 'excluded'
                        WHERE broadcast = ? AND seq IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))",
                )
                .bind(lease.broadcast.0)
                .bind(seqs),
            };
            if write.run(statement).await? != chunk.len() as u64 {
                return Err(LedgerError::LeaseLost(lease.broadcast));
            }
            apply(&mut write, lease.broadcast, Some(lease.number), &delta).await
        }
        .await;
        write.end(result).await
    }

    /// Returns the count, the largest message and the hash of what will be sent.
    async fn digest(
        &self,
        id: BroadcastId,
        reader: &mut Connection,
    ) -> Result<(u64, u64, String), LedgerError> {
        let question = sql("SELECT r.group_id, r.users, m.hash, m.size FROM recipients r
                CROSS JOIN messages m ON m.broadcast = r.broadcast AND m.id = r.message
                WHERE r.broadcast = ? AND r.state = 0 ORDER BY r.seq")
        .bind(id.0);
        let mut rows = reader
            .stream::<(String, String, String, i64)>(question)
            .map_err(|error| self.store().error(&error))?;
        let (mut total, mut largest) = (0, 0);
        let mut hasher = Sha256::new();
        while let Some((group, users, message, size)) =
            rows.try_next().await.map_err(|error| self.store().error(&error))?
        {
            total += 1;
            largest = largest.max(size);
            // No field can contain a line feed: ids are checked, and users are JSON.
            for field in [&group, &users, &message] {
                hasher.update(field);
                hasher.update(b"\n");
            }
        }
        Ok((total, count(largest), HEXLOWER.encode(&hasher.finalize())))
    }

    async fn fix(
        &self,
        lease: Lease,
        excluded: u64,
        total: u64,
        largest: u64,
        hash: String,
    ) -> Result<BroadcastPlan, LedgerError> {
        // Rows that an earlier failed attempt dropped count too.
        let statement = sql(
            "UPDATE broadcasts SET state = 1, duplicates = next_seq - 1 - n_pending - n_skipped, excluded = ?,
                largest = ?, plan = ?, planned_at = ?
                WHERE id = ? AND lease_number = ? AND state = 0 AND n_pending = ? RETURNING duplicates, n_skipped",
        )
        .bind(stored(excluded))
        .bind(stored(largest))
        .bind(&hash)
        .bind(self.store().now())
        .bind(lease.broadcast.0)
        .bind(lease.number)
        .bind(stored(total));
        let mut write = self.store().write().await?;
        let result = match write.row::<(i64, i64)>(statement).await {
            Ok(None) => Err(why_not(&mut write, lease).await.unwrap_or_else(|error| error)),
            Ok(Some(row)) => Ok(row),
            Err(error) => Err(error),
        };
        let (dropped, skipped) = write.end(result).await?;
        drop(self.0.desks.take(lease));
        Ok(BroadcastPlan {
            total,
            duplicates: count(dropped),
            excluded,
            skipped: count(skipped),
            largest_message_bytes: largest,
            hash,
        })
    }
}
