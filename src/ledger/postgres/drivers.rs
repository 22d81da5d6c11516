//! The drivers of a broadcast on a store that many machines share. Any number of processes can send one broadcast;
//! each holds ranges of its recipients.
//!
//! All of this is written exclusively ([`Store::write`]), except the moves of recipients (`moves`), which lock the row
//! of their driver. A process that deletes that row has therefore waited for the driver's last write and sees it.
//! Afterwards the driver writes nothing any more.

use std::collections::VecDeque;

use crate::ledger::broadcast::{BroadcastId, CountsDelta, Lease, PendingRow, apply, holds};
use crate::ledger::sql::sql;
use crate::ledger::store::{Store, Transaction};
use crate::ledger::{BroadcastStage, DeliveryState, LedgerError};

/// How many recipients a driver takes at once. The recipients of a dead driver wait until its lease has expired.
const RANGE_LENGTH: i64 = if cfg!(test) { 16 } else { 1000 };

/// Claims a broadcast as [`crate::ledger::Ledger::claim`] does. With `shared`, other drivers may send it too.
pub(super) async fn claim(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    owner: i64,
    length: i64,
    shared: bool,
) -> Result<Option<Lease>, LedgerError> {
    let question = sql("SELECT state, n_sending FROM broadcasts WHERE id = ?").bind(id.0);
    let (stage, sending) = write.row::<(i64, i64)>(question).await?.ok_or(LedgerError::Unknown(id))?;
    end_dead(write, id).await?;
    let question = sql("SELECT owner FROM drivers WHERE broadcast = ?").bind(id.0);
    let drivers: Vec<(i64,)> = write.rows(question).await?;
    let ready = stage == BroadcastStage::Ready.number();
    let may = if shared && ready { !drivers.contains(&(owner,)) } else { drivers.is_empty() };
    if !may {
        return Ok(None);
    }
    if drivers.is_empty() && sending > 0 {
        orphan_in_flight(write, id).await?;
    }
    let now = write.store.now();
    let taken = sql(
        "UPDATE broadcasts SET owner = ?, lease_number = lease_number + 1, lease_until = ?, lease_for = ?
            WHERE id = ? RETURNING lease_number",
    );
    let taken = taken.bind(owner).bind(now.saturating_add(length)).bind(length).bind(id.0);
    let Some((number,)) = write.row::<(i64,)>(taken).await? else { return Ok(None) };
    let statement =
        sql("INSERT INTO drivers (broadcast, number, owner, lease_until, lease_for) VALUES (?, ?, ?, ?, ?)");
    let statement = statement.bind(id.0).bind(number).bind(owner).bind(now.saturating_add(length));
    write.run(statement.bind(length)).await?;
    Ok(Some(Lease { broadcast: id, number }))
}

/// Assigns recipients that are in flight without a driver to the driver 0, which never existed. Then the first driver
/// that reaps settles them (`reap_drivers`), however many drivers start at once.
async fn orphan_in_flight(write: &mut Transaction<'_>, id: BroadcastId) -> Result<(), LedgerError> {
    create_ranges(write, id).await?;
    let left = sql(
        "UPDATE stretches s SET driver = 0 WHERE broadcast = ?1 AND driver IS NULL AND EXISTS
            (SELECT 1 FROM recipients r WHERE r.broadcast = ?1 AND r.seq BETWEEN s.first AND s.last AND r.state = 1)",
    );
    write.run(left.bind(id.0)).await.map(drop)
}

/// Creates the ranges of a broadcast if it has none.
async fn create_ranges(write: &mut Transaction<'_>, id: BroadcastId) -> Result<(), LedgerError> {
    let made = sql(
        "INSERT INTO stretches (broadcast, first, last)
            SELECT ?1, first, first + ?2 - 1
                FROM generate_series(CAST(1 AS BIGINT), (SELECT next_seq - 1 FROM broadcasts WHERE id = ?1), ?2) first
            WHERE NOT EXISTS (SELECT 1 FROM stretches WHERE broadcast = ?1)",
    );
    write.run(made.bind(id.0).bind(RANGE_LENGTH)).await.map(drop)
}

/// Deletes drivers that are dead or whose lease has expired, so that they write nothing any more.
async fn end_dead(write: &mut Transaction<'_>, id: BroadcastId) -> Result<(), LedgerError> {
    // A lease that ends later than its own length from now shows that the clock was set back.
    let statement = sql(
        "DELETE FROM drivers d WHERE broadcast = ?1 AND (lease_until < ?2 OR lease_until > ?3 + lease_for
            OR NOT EXISTS (SELECT 1 FROM owners o WHERE o.id = d.owner AND o.alive_until >= ?2))",
    );
    let (dead_before, now) = (write.store.dead_before(), write.store.now());
    write.run(statement.bind(id.0).bind(dead_before).bind(now)).await.map(drop)
}

/// Returns whether a live process drives the broadcast.
pub(super) async fn has_live_drivers(
    write: &mut Transaction<'_>,
    id: BroadcastId,
) -> Result<bool, LedgerError> {
    end_dead(write, id).await?;
    let question = sql("SELECT number FROM drivers WHERE broadcast = ? LIMIT 1").bind(id.0);
    Ok(write.row::<(i64,)>(question).await?.is_some())
}

/// Returns whether other live processes drive the broadcast too.
pub(super) async fn others(write: &mut Transaction<'_>, lease: Lease) -> Result<bool, LedgerError> {
    end_dead(write, lease.broadcast).await?;
    let question = sql("SELECT number FROM drivers WHERE broadcast = ? AND number <> ? LIMIT 1");
    Ok(write.row::<(i64,)>(question.bind(lease.broadcast.0).bind(lease.number)).await?.is_some())
}

/// Settles what dead drivers had in flight, as `to`, and frees their ranges. Returns how many recipients were moved.
pub(super) async fn reap_drivers(
    write: &mut Transaction<'_>,
    lease: Lease,
    to: DeliveryState,
    error: Option<&str>,
) -> Result<u64, LedgerError> {
    let id = lease.broadcast;
    end_dead(write, id).await?;
    if !holds(write, lease).await? {
        return Err(LedgerError::LeaseLost(id));
    }
    let statement = sql(
        "UPDATE recipients r SET state = ?2, error = ?3, updated_at = ?4, attempts = attempts + 1 FROM stretches s
            WHERE r.broadcast = ?1 AND s.broadcast = ?1 AND r.seq BETWEEN s.first AND s.last AND r.state = 1
            AND s.driver IS NOT NULL AND NOT EXISTS
                (SELECT 1 FROM drivers d WHERE d.broadcast = ?1 AND d.number = s.driver)",
    );
    let now = write.store.now();
    let moved = write.run(statement.bind(id.0).bind(to.number()).bind(error).bind(now)).await?;
    let statement = sql(
        "UPDATE stretches s SET driver = NULL, done = false WHERE broadcast = ?1 AND driver IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM drivers d WHERE d.broadcast = ?1 AND d.number = s.driver)",
    );
    write.run(statement.bind(id.0)).await?;
    let mut delta = CountsDelta::default();
    delta.moved(DeliveryState::Sending, to, moved);
    apply(write, id, Some(lease.number), &delta).await?;
    Ok(moved)
}

/// Returns the next pending recipients in the ranges that this driver holds, in order. If nothing in them is pending,
/// takes the next free range.
pub(super) async fn pending(
    store: &Store,
    lease: Lease,
    after_seq: i64,
    limit: u32,
) -> Result<Vec<PendingRow>, LedgerError> {
    let question = sql(
        "SELECT first, last FROM stretches WHERE broadcast = ? AND driver = ? AND last > ? ORDER BY first",
    );
    let mut read = store.read().await?;
    let question = question.bind(lease.broadcast.0).bind(lease.number).bind(after_seq);
    let mut ranges: VecDeque<(i64, i64)> = read.rows(question).await?.into();
    read.done();
    loop {
        let (first, last) = if let Some(held) = ranges.pop_front() {
            held
        } else {
            let mut write = store.write().await?;
            let taken = take_range(&mut write, lease, after_seq).await;
            let Some(taken) = write.end(taken).await? else { return Ok(Vec::new()) };
            taken
        };
        let question = sql("SELECT seq, group_id, users, message, attempts FROM recipients
                WHERE broadcast = ? AND seq > ? AND seq <= ? AND state = 0 AND message IS NOT NULL
                ORDER BY seq LIMIT ?");
        let question = question.bind(lease.broadcast.0).bind(after_seq.max(first - 1)).bind(last);
        let mut read = store.read().await?;
        let rows: Vec<PendingRow> = read.rows(question.bind(limit)).await?;
        read.done();
        if !rows.is_empty() {
            return Ok(rows);
        }
    }
}

/// Releases the driver's ranges that are done, and takes the next free range after a sequence number. Returns `None`
/// if there is none.
async fn take_range(
    write: &mut Transaction<'_>,
    lease: Lease,
    after_seq: i64,
) -> Result<Option<(i64, i64)>, LedgerError> {
    if !holds(write, lease).await? {
        return Err(LedgerError::LeaseLost(lease.broadcast));
    }
    create_ranges(write, lease.broadcast).await?;
    let done = sql(
        "UPDATE stretches s SET driver = NULL, done = true WHERE broadcast = ?1 AND driver = ?2 AND NOT EXISTS
            (SELECT 1 FROM recipients r WHERE r.broadcast = ?1 AND r.seq BETWEEN s.first AND s.last
                AND r.state IN (0, 1))",
    );
    write.run(done.bind(lease.broadcast.0).bind(lease.number)).await?;
    let taken = sql(
        "UPDATE stretches SET driver = ?2 WHERE broadcast = ?1 AND first =
            (SELECT min(first) FROM stretches WHERE broadcast = ?1 AND driver IS NULL AND NOT done AND first > ?3)
            RETURNING first, last",
    );
    write.row(taken.bind(lease.broadcast.0).bind(lease.number).bind(after_seq)).await
}

/// Releases all ranges of a driver that have nothing in flight.
pub(super) async fn give_back(write: &mut Transaction<'_>, lease: Lease) -> Result<(), LedgerError> {
    let statement = sql(
        "UPDATE stretches s SET driver = NULL, done = NOT EXISTS
            (SELECT 1 FROM recipients r WHERE r.broadcast = ?1 AND r.seq BETWEEN s.first AND s.last AND r.state = 0)
            WHERE broadcast = ?1 AND driver = ?2 AND NOT EXISTS
            (SELECT 1 FROM recipients r WHERE r.broadcast = ?1 AND r.seq BETWEEN s.first AND s.last AND r.state = 1)",
    );
    write.run(statement.bind(lease.broadcast.0).bind(lease.number)).await.map(drop)
}

/// Ends a driver. The next driver settles what it has in flight.
pub(super) async fn release(write: &mut Transaction<'_>, lease: Lease) -> Result<(), LedgerError> {
    give_back(write, lease).await?;
    let statement = sql("DELETE FROM drivers WHERE broadcast = ? AND number = ?");
    write.run(statement.bind(lease.broadcast.0).bind(lease.number)).await?;
    let statement = sql(
        "UPDATE broadcasts SET owner = (SELECT max(d.owner) FROM drivers d WHERE d.broadcast = id) WHERE id = ?",
    );
    write.run(statement.bind(lease.broadcast.0)).await.map(drop)
}

/// Deletes all drivers and ranges of a broadcast that has ended, or of all broadcasts.
pub(super) async fn end_all(write: &mut Transaction<'_>, id: Option<BroadcastId>) -> Result<(), LedgerError> {
    for table in ["drivers", "stretches"] {
        let statement = sql(format!("DELETE FROM {table} WHERE ?1 IS NULL OR broadcast = ?1"));
        write.run(statement.bind(id.map(|id| id.0))).await?;
    }
    Ok(())
}

/// Counts the recipients of a broadcast that are in flight without a live driver that would settle them.
pub(super) async fn count_abandoned(
    write: &mut Transaction<'_>,
    id: BroadcastId,
) -> Result<i64, LedgerError> {
    let question =
        sql("SELECT count(*) FROM recipients r WHERE r.broadcast = ?1 AND r.state = 1 AND NOT EXISTS
            (SELECT 1 FROM stretches s JOIN drivers d ON d.broadcast = s.broadcast AND d.number = s.driver
                JOIN owners o ON o.id = d.owner
                WHERE s.broadcast = ?1 AND r.seq BETWEEN s.first AND s.last
                    AND d.lease_until >= ?2 AND o.alive_until >= ?2)");
    let row: Option<(i64,)> = write.row(question.bind(id.0).bind(write.store.dead_before())).await?;
    Ok(row.unwrap_or_default().0)
}
