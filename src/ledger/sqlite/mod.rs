//! A store in an SQLite file. Only the processes of one machine use it.
//!
//! Instances keep lock files locked (`instances`). A broadcast has one driver, whose lease is in the broadcast's row
//! (`leases`). All writes of all processes exclude each other.

mod instances;
mod leases;
mod migrate;
mod moves;
mod open;
mod sends;
mod texts;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::OnceLock;

use async_trait::async_trait;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::broadcast::{BroadcastId, Lease, LeaseHolder, PendingRow};
use super::commit_request::RecipientMoves;
use super::connection::Connection;
use super::driver::{SqlTexts, StoreDriver, WriteScope};
use super::sends::{NewSend, SendOutcome};
use super::sql::sql;
use super::store::{PROOF, Store, Transaction};
use super::{DeliveryState, Instance, Ledger, LedgerError, Reaped};

pub(super) use instances::{FOLDER, is_alive};
pub(super) use migrate::known;
pub use open::FILE;
pub(super) use open::{inspect, lock_opening, open, open_alone, private, size_of};

/// An SQLite file.
pub(super) struct SqliteFile {
    options: SqliteConnectOptions,
    /// Whether it is a scratch ledger.
    temporary: bool,
    /// Device and inode number of the open file.
    identity: OnceLock<(u64, u64)>,
}

impl SqliteFile {
    const fn new(options: SqliteConnectOptions, temporary: bool) -> Self {
        Self { options, temporary, identity: OnceLock::new() }
    }

    /// Opens a new connection. After a failure it returns one only when a write to the file has succeeded.
    async fn revive(&self, store: &Store) -> Result<Connection, LedgerError> {
        let healthy = store.is_healthy();
        let attempt = async {
            let mut connection = self.connect(store).await?;
            if !healthy {
                connection.run(sql(PROOF)).await.map_err(|error| store.error(&error))?;
            }
            Ok(connection)
        };
        let connection = attempt
            .await
            .map_err(|error| if healthy { error } else { LedgerError::Unhealthy(Box::new(error)) })?;
        store.works();
        Ok(connection)
    }
}

#[async_trait]
impl StoreDriver for SqliteFile {
    fn texts(&self) -> &'static SqlTexts {
        &texts::TEXTS
    }

    fn error(&self, path: &Path, error: &sqlx::Error) -> LedgerError {
        LedgerError::of(path, error)
    }

    fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// The next process would not find a file that was removed or replaced, and would repeat what it records.
    fn check_place(&self, path: &Path) -> Result<(), LedgerError> {
        if self.temporary {
            return Ok(());
        }
        let found = std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
        let gone = match found {
            Ok(found) => found != *self.identity.get_or_init(|| found),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound && self.identity.get().is_some(),
        };
        if gone { Err(LedgerError::Gone { path: path.to_owned() }) } else { Ok(()) }
    }

    async fn connect(&self, store: &Store) -> Result<Connection, LedgerError> {
        let options = &self.options;
        #[cfg(test)]
        let options = options
            .clone()
            .pragma("max_page_count", store.max_pages.load(std::sync::atomic::Ordering::Relaxed).to_string());
        options.connect().await.map(Connection::Sqlite).map_err(|error| store.error(&error))
    }

    async fn begin(
        &self,
        store: &Store,
        kept: Option<Connection>,
        scope: WriteScope,
    ) -> Result<Connection, LedgerError> {
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.revive(store).await?,
        };
        if scope != WriteScope::Single {
            store.answer(connection.run(sql("BEGIN IMMEDIATE"))).await?;
        }
        Ok(connection)
    }

    async fn size(&self, store: &Store) -> Result<u64, LedgerError> {
        Ok(size_of(&store.path))
    }

    async fn advance_ids(
        &self,
        write: &mut Transaction<'_>,
        table: &str,
        highest: i64,
    ) -> Result<(), LedgerError> {
        // A table without AUTOINCREMENT has no row there and needs none.
        let remembers =
            sql("SELECT count(*) FROM sqlite_schema WHERE name = ? AND sql LIKE '%AUTOINCREMENT%'");
        if write.row::<(i64,)>(remembers.bind(table)).await? != Some((1,)) {
            return Ok(());
        }
        write.run(sql("DELETE FROM sqlite_sequence WHERE name = ?").bind(table)).await?;
        let set = sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)");
        write.run(set.bind(table).bind(highest)).await.map(drop)
    }

    async fn register(&self, ledger: &Ledger, name: &str) -> Result<Instance, LedgerError> {
        instances::register(ledger, name).await
    }

    async fn reap_dead(&self, ledger: &Ledger) -> Result<Reaped, LedgerError> {
        instances::reap_dead(ledger).await
    }

    async fn lives(&self, write: &mut Transaction<'_>, owner: i64) -> Result<bool, LedgerError> {
        instances::lives(write, owner).await
    }

    async fn wait_for_driver(&self, ledger: &Ledger, id: BroadcastId) -> Result<bool, LedgerError> {
        Ok(ledger.show(id).await?.driver.is_some())
    }

    fn drives(&self, store: &Store, holder: &LeaseHolder) -> bool {
        let now = store.clock.unix_time();
        (now..=now + holder.given).contains(&holder.until)
            && is_alive(&instances::folder(store).join(&holder.lock))
    }

    async fn register_jobs(
        &self,
        write: &mut Transaction<'_>,
        _owner: i64,
        rows: &str,
    ) -> Result<(), LedgerError> {
        instances::register_jobs(write, rows).await
    }

    async fn claim(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
        owner: i64,
        length: i64,
        _shared: bool,
    ) -> Result<Option<Lease>, LedgerError> {
        leases::claim(write, id, owner, length).await
    }

    async fn release(&self, write: &mut Transaction<'_>, lease: Lease) -> Result<(), LedgerError> {
        leases::release(write, lease).await
    }

    async fn is_driven(
        &self,
        write: &mut Transaction<'_>,
        _id: BroadcastId,
        owner: i64,
    ) -> Result<bool, LedgerError> {
        instances::lives(write, owner).await
    }

    async fn pending(
        &self,
        store: &Store,
        lease: Lease,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<PendingRow>, LedgerError> {
        leases::pending(store, lease.broadcast, after_seq, limit).await
    }

    async fn take_over(
        &self,
        ledger: &Ledger,
        lease: Lease,
        to: DeliveryState,
        error: Option<&str>,
    ) -> Result<u64, LedgerError> {
        ledger.shift(lease.broadcast, Some(lease.number), DeliveryState::Sending, to, error).await
    }

    async fn count_abandoned(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
    ) -> Result<i64, LedgerError> {
        leases::count_abandoned(write, id).await
    }

    async fn move_all(
        &self,
        write: &mut Transaction<'_>,
        lease: Lease,
        moves: &RecipientMoves<'_>,
        whole: bool,
    ) -> Result<bool, LedgerError> {
        moves::move_all(write, lease, moves, whole).await
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
