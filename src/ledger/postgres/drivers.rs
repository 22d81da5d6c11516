//! The drivers of a broadcast on a store that many machines share. Any number of processes can send one broadcast;
//! each holds ranges of its recipients.
//!
//! All of this is written exclusively ([`Store::write`]), except the moves of recipients (`moves`), which lock the row
//! of their driver. A process that deletes that row has therefore waited for the driver's last write and sees it.
//! Afterwards the driver writes nothing any more.

use std::collections::VecDeque;

use async_trait::async_trait;
use const_format::formatcp;

use crate::ledger::broadcast::{
    BroadcastId, CountsDelta, Lease, PendingRow, apply, changed_at, holds, next_lease,
};
use crate::ledger::driver::LeaseDriver;
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::{PENDING, SENDING};
use crate::ledger::store::{Store, Transaction};
use crate::ledger::{BroadcastStage, Ledger, LedgerError, RecipientState};

use super::server::PostgresServer;

/// How many recipients a driver takes at once. The recipients of a dead driver wait until its lease has expired.
const RANGE_LENGTH: i64 = if cfg!(test) { 16 } else { 1000 };

#[async_trait]
impl LeaseDriver for PostgresServer {
    async fn claim(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
        instance: i64,
        length: i64,
        shared: bool,
    ) -> Result<Option<Lease>, LedgerError> {
        let question = sql("SELECT state, n_sending FROM broadcasts WHERE id = ?").bind(id.0);
        let (stage, sending) =
            write.row::<(BroadcastStage, i64)>(question).await?.ok_or(LedgerError::Unknown(id))?;
        end_dead(write, id).await?;
        let question = sql("SELECT owner FROM drivers WHERE broadcast = ?").bind(id.0);
        let drivers: Vec<(i64,)> = write.rows(question).await?;
        let ready = stage == BroadcastStage::Ready;
        let may = if shared && ready { !drivers.contains(&(instance,)) } else { drivers.is_empty() };
        if !may {
            return Ok(None);
        }
        if drivers.is_empty() && sending > 0 {
            orphan_in_flight(write, id).await?;
        }
        let Some(lease) = next_lease(write, id, instance, length).await? else { return Ok(None) };
        let until = write.store.now().saturating_add(length);
        let statement = sql(
            "INSERT INTO drivers (broadcast, number, owner, lease_until, lease_for, ramp_turn) VALUES (?, ?, ?, ?, ?, false)",
        );
        write.run(statement.bind(id.0).bind(lease.number).bind(instance).bind(until).bind(length)).await?;
        Ok(Some(lease))
    }

    async fn release(&self, write: &mut Transaction<'_>, lease: Lease) -> Result<(), LedgerError> {
        give_back(write, lease).await?;
        let statement = sql("DELETE FROM drivers WHERE broadcast = ? AND number = ?");
        write.run(statement.bind(lease.broadcast.0).bind(lease.number)).await?;
        let statement = sql(
            "UPDATE broadcasts SET owner = (SELECT max(d.owner) FROM drivers d WHERE d.broadcast = id) WHERE id = ?",
        );
        write.run(statement.bind(lease.broadcast.0)).await.map(drop)
    }

    async fn is_driven(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
        _owner: i64,
    ) -> Result<bool, LedgerError> {
        end_dead(write, id).await?;
        let question = sql("SELECT number FROM drivers WHERE broadcast = ? LIMIT 1").bind(id.0);
        Ok(write.row::<(i64,)>(question).await?.is_some())
    }

    async fn has_other_drivers(
        &self,
        write: &mut Transaction<'_>,
        lease: Lease,
    ) -> Result<bool, LedgerError> {
        end_dead(write, lease.broadcast).await?;
        let question = sql("SELECT number FROM drivers WHERE broadcast = ? AND number <> ? LIMIT 1");
        Ok(write.row::<(i64,)>(question.bind(lease.broadcast.0).bind(lease.number)).await?.is_some())
    }

    async fn set_ramp_turn(
        &self,
        write: &mut Transaction<'_>,
        lease: Lease,
        has: bool,
    ) -> Result<(), LedgerError> {
        let statement = sql("UPDATE drivers SET ramp_turn = ? WHERE broadcast = ? AND number = ?").bind(has);
        write.run(statement.bind(lease.broadcast.0).bind(lease.number)).await.map(drop)
    }

    async fn others_have_ramp_turns(
        &self,
        write: &mut Transaction<'_>,
        lease: Lease,
    ) -> Result<bool, LedgerError> {
        end_dead(write, lease.broadcast).await?;
        let question =
            sql("SELECT number FROM drivers WHERE broadcast = ? AND number <> ? AND ramp_turn IS NOT FALSE
                LIMIT 1");
        Ok(write.row::<(i64,)>(question.bind(lease.broadcast.0).bind(lease.number)).await?.is_some())
    }

    async fn end_drivers(
        &self,
        write: &mut Transaction<'_>,
        id: Option<BroadcastId>,
    ) -> Result<(), LedgerError> {
        for table in ["drivers", "ranges"] {
            let statement = sql(format!("DELETE FROM {table} WHERE ?1 IS NULL OR broadcast = ?1"));
            write.run(statement.bind(id.map(|id| id.0))).await?;
        }
        Ok(())
    }

    async fn forget_ranges(&self, write: &mut Transaction<'_>, id: BroadcastId) -> Result<(), LedgerError> {
        write.run(sql("DELETE FROM ranges WHERE broadcast = ?").bind(id.0)).await.map(drop)
    }

    async fn reopen_ranges(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
        after: i64,
        last: i64,
    ) -> Result<(), LedgerError> {
        let again = sql("UPDATE ranges SET done = false WHERE broadcast = ? AND last > ? AND first <= ?");
        write.run(again.bind(id.0).bind(after).bind(last)).await.map(drop)
    }

    async fn hand_back(&self, store: &Store, lease: Lease) -> Result<(), LedgerError> {
        store.transaction(async |write| give_back(write, lease).await).await
    }

    async fn pending(
        &self,
        store: &Store,
        lease: Lease,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<PendingRow>, LedgerError> {
        let question = sql(
            "SELECT first, last FROM ranges WHERE broadcast = ? AND driver = ? AND last > ? ORDER BY first",
        );
        let mut read = store.read().await?;
        let question = question.bind(lease.broadcast.0).bind(lease.number).bind(after_seq);
        let mut ranges: VecDeque<SeqRange> = read.rows(question).await?.into();
        read.done();
        loop {
            let range = match ranges.pop_front() {
                Some(held) => Some(held),
                None => store.transaction(async |write| take_range(write, lease, after_seq).await).await?,
            };
            let Some(SeqRange { first, last }) = range else { return Ok(Vec::new()) };
            let question = sql(formatcp!(
                "SELECT seq, group_id, users, message, attempts, target, zone FROM recipients
                    WHERE broadcast = ? AND seq > ? AND seq <= ? AND state = {PENDING} AND message IS NOT NULL
                    ORDER BY seq LIMIT ?"
            ));
            let question = question.bind(lease.broadcast.0).bind(after_seq.max(first - 1)).bind(last);
            let rows: Vec<PendingRow> = store.rows(question.bind(limit)).await?;
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
    }

    async fn take_over(
        &self,
        ledger: &Ledger,
        lease: Lease,
        to: RecipientState,
        error: Option<&str>,
    ) -> Result<u64, LedgerError> {
        ledger.store().transaction(async |write| reap_drivers(write, lease, to, error).await).await
    }

    async fn count_abandoned(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
    ) -> Result<i64, LedgerError> {
        let question = sql(formatcp!(
            "SELECT count(*) FROM recipients r WHERE r.broadcast = ?1 AND r.state = {SENDING} AND NOT EXISTS
                (SELECT 1 FROM ranges s JOIN drivers d ON d.broadcast = s.broadcast AND d.number = s.driver
                    JOIN instances o ON o.id = d.owner
                    WHERE s.broadcast = ?1 AND r.seq BETWEEN s.first AND s.last
                        AND d.lease_until >= ?2 AND o.alive_until >= ?2)"
        ));
        let row: Option<(i64,)> = write.row(question.bind(id.0).bind(write.store.dead_before())).await?;
        Ok(row.unwrap_or_default().0)
    }
}

/// Assigns recipients that are in flight without a driver to the driver 0, which never existed. Then the first driver
/// that reaps settles them (`reap_drivers`), however many drivers start at once.
async fn orphan_in_flight(write: &mut Transaction<'_>, id: BroadcastId) -> Result<(), LedgerError> {
    create_ranges(write, id).await?;
    let left = sql(formatcp!(
        "UPDATE ranges s SET driver = 0 WHERE broadcast = ?1 AND driver IS NULL AND EXISTS
            (SELECT 1 FROM recipients r WHERE r.broadcast = ?1 AND r.seq BETWEEN s.first AND s.last AND r.state = {SENDING})"
    ));
    write.run(left.bind(id.0)).await.map(drop)
}

/// Creates the ranges of a broadcast if it has none.
async fn create_ranges(write: &mut Transaction<'_>, id: BroadcastId) -> Result<(), LedgerError> {
    let made = sql(
        "INSERT INTO ranges (broadcast, first, last)
            SELECT ?1, first, first + ?2 - 1
                FROM generate_series(CAST(1 AS BIGINT), (SELECT next_seq - 1 FROM broadcasts WHERE id = ?1), ?2) first
            WHERE NOT EXISTS (SELECT 1 FROM ranges WHERE broadcast = ?1)",
    );
    write.run(made.bind(id.0).bind(RANGE_LENGTH)).await.map(drop)
}

/// Deletes drivers that are dead or whose lease has expired, so that they write nothing any more.
async fn end_dead(write: &mut Transaction<'_>, id: BroadcastId) -> Result<(), LedgerError> {
    // A lease that ends later than its own length from now shows that the clock was set back.
    let statement = sql(
        "DELETE FROM drivers d WHERE broadcast = ?1 AND (lease_until < ?2 OR lease_until > ?3 + lease_for
            OR NOT EXISTS (SELECT 1 FROM instances o WHERE o.id = d.owner AND o.alive_until >= ?2))",
    );
    let (dead_before, now) = (write.store.dead_before(), write.store.now());
    write.run(statement.bind(id.0).bind(dead_before).bind(now)).await.map(drop)
}

/// Settles what dead drivers had in flight, as `to`, and frees their ranges. Returns how many recipients were moved.
pub(super) async fn reap_drivers(
    write: &mut Transaction<'_>,
    lease: Lease,
    to: RecipientState,
    error: Option<&str>,
) -> Result<u64, LedgerError> {
    let id = lease.broadcast;
    end_dead(write, id).await?;
    if !holds(write, lease).await? {
        return Err(LedgerError::LeaseLost(id));
    }
    let statement = sql(formatcp!(
        "UPDATE recipients r SET state = ?2, error = ?3, updated_at = coalesce(?4, r.updated_at), attempts = attempts + 1 FROM ranges s
            WHERE r.broadcast = ?1 AND s.broadcast = ?1 AND r.seq BETWEEN s.first AND s.last AND r.state = {SENDING}
            AND s.driver IS NOT NULL AND NOT EXISTS
                (SELECT 1 FROM drivers d WHERE d.broadcast = ?1 AND d.number = s.driver)"
    ));
    let changed_at = changed_at(write, to);
    let moved = write.run(statement.bind(id.0).bind(to).bind(error).bind(changed_at)).await?;
    let statement = sql(
        "UPDATE ranges s SET driver = NULL, done = false WHERE broadcast = ?1 AND driver IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM drivers d WHERE d.broadcast = ?1 AND d.number = s.driver)",
    );
    write.run(statement.bind(id.0)).await?;
    let mut delta = CountsDelta::default();
    delta.moved(RecipientState::Sending, to, moved);
    apply(write, id, Some(lease.number), &delta).await?;
    Ok(moved)
}

/// A range of sequence numbers.
#[derive(sqlx::FromRow)]
struct SeqRange {
    first: i64,
    last: i64,
}

/// Releases the driver's ranges that are done, and takes the next free range after a sequence number. Returns `None`
/// if there is none.
async fn take_range(
    write: &mut Transaction<'_>,
    lease: Lease,
    after_seq: i64,
) -> Result<Option<SeqRange>, LedgerError> {
    if !holds(write, lease).await? {
        return Err(LedgerError::LeaseLost(lease.broadcast));
    }
    create_ranges(write, lease.broadcast).await?;
    let done = sql(formatcp!(
        "UPDATE ranges s SET driver = NULL, done = true WHERE broadcast = ?1 AND driver = ?2 AND NOT EXISTS
            (SELECT 1 FROM recipients r WHERE r.broadcast = ?1 AND r.seq BETWEEN s.first AND s.last
                AND r.state IN ({PENDING}, {SENDING}))"
    ));
    write.run(done.bind(lease.broadcast.0).bind(lease.number)).await?;
    let taken = sql(
        "UPDATE ranges SET driver = ?2 WHERE broadcast = ?1 AND first =
            (SELECT min(first) FROM ranges WHERE broadcast = ?1 AND driver IS NULL AND NOT done AND first > ?3)
            RETURNING first, last",
    );
    write.row(taken.bind(lease.broadcast.0).bind(lease.number).bind(after_seq)).await
}

/// Releases all ranges of a driver that have nothing in flight.
pub(super) async fn give_back(write: &mut Transaction<'_>, lease: Lease) -> Result<(), LedgerError> {
    let statement = sql(formatcp!(
        "UPDATE ranges s SET driver = NULL, done = NOT EXISTS
            (SELECT 1 FROM recipients r WHERE r.broadcast = ?1 AND r.seq BETWEEN s.first AND s.last AND r.state = {PENDING})
            WHERE broadcast = ?1 AND driver = ?2 AND NOT EXISTS
            (SELECT 1 FROM recipients r WHERE r.broadcast = ?1 AND r.seq BETWEEN s.first AND s.last AND r.state = {SENDING})"
    ));
    write.run(statement.bind(lease.broadcast.0).bind(lease.number)).await.map(drop)
}
