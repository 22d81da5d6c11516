//! A store in an SQLite file. Only the processes of one machine use it.
//!
//! Instances keep lock files locked (`instances`). A broadcast has one driver, whose lease is in the broadcast's row
//! (`leases`). All writes of all processes exclude each other.

mod instances;
mod leases;
mod migrate;
mod moves;
mod open;
mod scratch;
mod sends;
mod texts;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::OnceLock;

use async_trait::async_trait;
use sqlx::ConnectOptions as _;
use sqlx_sqlite::SqliteConnectOptions;

use super::connection::Connection;
use super::driver::{RetentionDriver, SqlTexts, StoreDriver, WriteScope};
use super::sql::sql;
use super::store::{PROOF, Store, Transaction};
use super::{LedgerError, StoreFault};

pub(super) use instances::{FOLDER, is_alive};
pub(super) use migrate::known;
pub use open::FILE;
pub(super) use open::{
    inspect, lock_opening, open, open_alone, open_scratch, open_timed_scratch, private, size_of,
};

/// An SQLite file. Its kind says what it keeps: all ([`Durable`]), or what its process needs ([`scratch`]).
pub(super) struct SqliteFile<K> {
    options: SqliteConnectOptions,
    pub(super) kind: K,
}

/// The kind of a file that outlives its process.
#[derive(Default)]
pub(super) struct Durable {
    /// Device and inode number of the open file.
    identity: OnceLock<(u64, u64)>,
}

impl<K: Default> SqliteFile<K> {
    fn new(options: SqliteConnectOptions) -> Self {
        Self { options, kind: K::default() }
    }
}

impl<K: Send + Sync> SqliteFile<K>
where
    Self: StoreDriver,
{
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
            .map_err(|error| if healthy { error } else { StoreFault::Unhealthy(Box::new(error)).into() })?;
        store.works();
        Ok(connection)
    }
}

impl RetentionDriver for SqliteFile<Durable> {
    /// The next process would not find a file that was removed or replaced, and would repeat what it records.
    fn check_place(&self, path: &Path) -> Result<(), LedgerError> {
        let found = std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
        let identity = &self.kind.identity;
        let gone = match found {
            Ok(found) => found != *identity.get_or_init(|| found),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound && identity.get().is_some(),
        };
        if gone { Err(StoreFault::Gone { path: path.to_owned() }.into()) } else { Ok(()) }
    }
}

#[async_trait]
impl<K: Send + Sync> StoreDriver for SqliteFile<K>
where
    Self: RetentionDriver,
{
    fn texts(&self) -> &'static SqlTexts {
        &texts::TEXTS
    }

    fn error(&self, path: &Path, error: &sqlx::Error) -> LedgerError {
        LedgerError::of(path, error)
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
}
