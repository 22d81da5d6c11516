//! The store that many machines share: a Postgres server.
//!
//! Nearly all statements are the ones that SQLite runs. Writes that are exclusive in a file are exclusive here too, by
//! an advisory lock for the schema (`take_turn`). Writes that must be fast do not take that lock; row locks separate
//! them. Moves of recipients lock the row of their driver (`moves`, `drivers`), and a single send belongs to one
//! instance (`sends`).
//!
//! The clock of a program that uses such a store follows the server's clock, so that instants mean the same to all
//! programs.
//!
//! A broken connection is replaced, with growing waits between attempts. Meanwhile nothing can be written, so nothing
//! is sent. A caller waits for the first `PATIENCE` of an outage, and gets an error from then on. The driver of a
//! broadcast and a task with an outcome to write retry. A statement that had not begun is started again. The result of
//! a statement in progress is unknown, and its caller gets that error. After an outage, a process waits for `CALM`
//! before it considers any other process dead, so that the others can reconnect too.

mod address;
mod drivers;
mod heartbeat;
mod inspect;
mod migrate;
mod moves;
mod registered_jobs;
mod sends;
mod server;
mod texts;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::broadcast::{BroadcastId, Lease, PendingRow};
use super::commit_request::RecipientMoves;
use super::connection::Connection;
use super::driver::{SqlTexts, StoreDriver, WriteScope};
use super::sends::{NewSend, SendOutcome};
use super::sql::sql;
use super::store::{PROOF, Store, Transaction};
use super::{DeliveryState, Instance, Ledger, LedgerError, Reaped};

#[cfg(test)]
pub(super) use heartbeat::LIFE;
pub(super) use inspect::inspect;
pub(super) use migrate::{known, open};
use server::PostgresServer;

#[async_trait]
impl StoreDriver for PostgresServer {
    fn texts(&self) -> &'static SqlTexts {
        &texts::TEXTS
    }

    fn error(&self, path: &Path, error: &sqlx::Error) -> LedgerError {
        LedgerError::of_server(path, error)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn answer_limit(&self) -> Option<Duration> {
        Some(server::ANSWER)
    }

    fn dead_before(&self, store: &Store) -> i64 {
        self.dead_since(store)
    }

    async fn connect(&self, store: &Store) -> Result<Connection, LedgerError> {
        self.connect_with_retry(store).await
    }

    async fn begin(
        &self,
        store: &Store,
        kept: Option<Connection>,
        scope: WriteScope,
    ) -> Result<Connection, LedgerError> {
        let mut connection = self.begin_on(store, kept, scope).await?;
        if !store.is_healthy() {
            let proved = store.answer(connection.run(sql(PROOF))).await;
            proved.map_err(
                |error| {
                    if error.broke() { error } else { LedgerError::Unhealthy(Box::new(error)) }
                },
            )?;
            store.works();
        }
        Ok(connection)
    }

    async fn size(&self, store: &Store) -> Result<u64, LedgerError> {
        inspect::size(store).await
    }

    async fn advance_ids(
        &self,
        write: &mut Transaction<'_>,
        table: &str,
        highest: i64,
    ) -> Result<(), LedgerError> {
        let set = sql("SELECT setval(CAST(pg_get_serial_sequence(?, 'id') AS regclass), ?)");
        write.run(set.bind(table).bind(highest)).await.map(drop)
    }

    async fn register(&self, ledger: &Ledger, name: &str) -> Result<Instance, LedgerError> {
        heartbeat::register(ledger, name).await
    }

    async fn unregister(&self, ledger: &Ledger, owner: i64) -> Result<(), LedgerError> {
        heartbeat::unregister(ledger, owner).await
    }

    async fn reap_dead(&self, ledger: &Ledger) -> Result<Reaped, LedgerError> {
        heartbeat::reap_dead(ledger).await
    }

    async fn lives(&self, write: &mut Transaction<'_>, owner: i64) -> Result<bool, LedgerError> {
        heartbeat::lives(write, owner).await
    }

    async fn wait_for_driver(&self, ledger: &Ledger, id: BroadcastId) -> Result<bool, LedgerError> {
        heartbeat::wait_for_driver(ledger, id).await
    }

    async fn register_jobs(
        &self,
        write: &mut Transaction<'_>,
        owner: i64,
        rows: &str,
    ) -> Result<(), LedgerError> {
        registered_jobs::register(write, owner, rows).await
    }

    async fn must_register_jobs(&self, store: &Store, owner: i64) -> Result<bool, LedgerError> {
        let mut write = store.write().await?;
        let result = registered_jobs::is_due(&mut write, owner).await;
        write.end(result).await
    }

    async fn active_elsewhere(
        &self,
        write: &mut Transaction<'_>,
        owner: i64,
        jobs: &[(&str, &str)],
    ) -> Result<BTreeSet<String>, LedgerError> {
        registered_jobs::active_elsewhere(write, owner, jobs).await
    }

    async fn jobs_elsewhere(
        &self,
        store: &Store,
        owner: i64,
        jobs: &[String],
    ) -> Result<BTreeSet<String>, LedgerError> {
        let mut write = store.write().await?;
        let result = registered_jobs::of_others(&mut write, owner, jobs).await;
        write.end(result).await
    }

    async fn claim(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
        owner: i64,
        length: i64,
        shared: bool,
    ) -> Result<Option<Lease>, LedgerError> {
        drivers::claim(write, id, owner, length, shared).await
    }

    async fn release(&self, write: &mut Transaction<'_>, lease: Lease) -> Result<(), LedgerError> {
        drivers::release(write, lease).await
    }

    async fn is_driven(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
        _owner: i64,
    ) -> Result<bool, LedgerError> {
        drivers::has_live_drivers(write, id).await
    }

    async fn has_other_drivers(
        &self,
        write: &mut Transaction<'_>,
        lease: Lease,
    ) -> Result<bool, LedgerError> {
        drivers::others(write, lease).await
    }

    async fn end_drivers(
        &self,
        write: &mut Transaction<'_>,
        id: Option<BroadcastId>,
    ) -> Result<(), LedgerError> {
        drivers::end_all(write, id).await
    }

    async fn forget_ranges(&self, write: &mut Transaction<'_>, id: BroadcastId) -> Result<(), LedgerError> {
        write.run(sql("DELETE FROM stretches WHERE broadcast = ?").bind(id.0)).await.map(drop)
    }

    async fn reopen_ranges(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
        after: i64,
        last: i64,
    ) -> Result<(), LedgerError> {
        let again = sql("UPDATE stretches SET done = false WHERE broadcast = ? AND last > ? AND first <= ?");
        write.run(again.bind(id.0).bind(after).bind(last)).await.map(drop)
    }

    async fn hand_back(&self, store: &Store, lease: Lease) -> Result<(), LedgerError> {
        let mut write = store.write().await?;
        let result = drivers::give_back(&mut write, lease).await;
        write.end(result).await
    }

    async fn pending(
        &self,
        store: &Store,
        lease: Lease,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<PendingRow>, LedgerError> {
        drivers::pending(store, lease, after_seq, limit).await
    }

    async fn take_over(
        &self,
        ledger: &Ledger,
        lease: Lease,
        to: DeliveryState,
        error: Option<&str>,
    ) -> Result<u64, LedgerError> {
        let mut write = ledger.store().write().await?;
        let reaped = drivers::reap_drivers(&mut write, lease, to, error).await;
        write.end(reaped).await
    }

    async fn count_abandoned(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
    ) -> Result<i64, LedgerError> {
        drivers::count_abandoned(write, id).await
    }

    async fn move_all(
        &self,
        write: &mut Transaction<'_>,
        lease: Lease,
        moves: &RecipientMoves<'_>,
        _whole: bool,
    ) -> Result<bool, LedgerError> {
        moves::move_all(write, lease, moves).await
    }

    async fn write_sends(
        &self,
        write: &mut Transaction<'_>,
        fresh: &[(i64, &NewSend)],
        state: DeliveryState,
        settled: &[(i64, i64, &SendOutcome)],
    ) -> Result<Option<Vec<i64>>, LedgerError> {
        sends::write(write, fresh, state, settled).await
    }
}
