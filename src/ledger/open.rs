//! Opens the ledger: the folder, the file and its permissions, the schema.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::clock::Clock;

use super::LedgerError;
use super::connection::Connection as AnyConnection;
use super::postgres::{self, PostgresServer};
use super::sql::sql;
use super::store::{Store, StoreBackend};

/// The name of a ledger's file in its folder.
pub const FILE: &str = "ledger.db";
/// How long a write waits for another process before it fails.
const PATIENCE: Duration = Duration::from_secs(10);
/// Opening checks a file of up to this many pages (of 4 KB) from end to end, which takes about 20 ms.
const CHECKED_PAGES: i64 = 1024;
/// The migrations from each version of the schema to the next. Entries are only ever added.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_start.sql"),
    include_str!("migrations/0002_files.sql"),
    include_str!("migrations/0003_shares.sql"),
    include_str!("migrations/0004_daemon.sql"),
    include_str!("migrations/0005_alerts.sql"),
    include_str!("migrations/0006_scripts.sql"),
    include_str!("migrations/0007_data.sql"),
    include_str!("migrations/0008_hooks.sql"),
    include_str!("migrations/0009_web.sql"),
    include_str!("migrations/0010_asked.sql"),
    include_str!("migrations/0011_hosts.sql"),
    include_str!("migrations/0012_app_tokens.sql"),
    include_str!("migrations/0013_fleet.sql"),
    include_str!("migrations/0014_deaths.sql"),
    include_str!("migrations/0015_operators.sql"),
    include_str!("migrations/0016_retry.sql"),
    include_str!("migrations/0017_drafts.sql"),
    include_str!("migrations/0018_served_tokens.sql"),
    include_str!("migrations/0019_restores.sql"),
];
/// The newest schema version that this program supports.
#[expect(clippy::cast_possible_wrap, reason = "there are a few")]
pub(super) const KNOWN: i64 = STEPS.len() as i64;

/// The schema version before a migration, and the version after it.
pub(super) type MigrationVersions = (i64, i64);

/// Opens the ledger in `folder`, and creates the folder if it does not exist. A scratch ledger's data need not reach
/// the disk.
pub(super) async fn open(
    folder: &Path,
    clock: Clock,
    scratch: bool,
) -> Result<(Store, MigrationVersions), LedgerError> {
    let hold = clock.hold();
    let path = folder.join(FILE);
    // Only one process at a time opens: changing the journal mode of a new file while another process opens it is an
    // error.
    let prepared = tokio::task::spawn_blocking({
        let (folder, path) = (folder.to_owned(), path.clone());
        move || prepare(&folder, &path)
    });
    let opening = prepared.await.map_err(|_| LedgerError::Closed)??;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(if scratch { SqliteSynchronous::Off } else { SqliteSynchronous::Full })
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .row_buffer_size(256)
        // 4 MB for each connection.
        .pragma("cache_size", "-4096")
        // After a large write, the log is truncated to 64 MB.
        .pragma("journal_size_limit", "67108864")
        // Planning a million recipients takes seconds; slow-statement warnings would be noise.
        .disable_statement_logging();
    let store = Store::new(&path, StoreBackend::File(Box::new(options)), clock.clone(), scratch);
    let AnyConnection::Sqlite(mut connection) = store.connect().await? else {
        return Err(LedgerError::Closed);
    };
    probe(&store, &mut connection).await?;
    let step = migrate(&store, &mut connection).await?;
    connection.close().await.map_err(|error| store.error(&error))?;
    prove(&store).await?;
    drop(opening);
    drop(hold);
    Ok((store, step))
}

/// Opens the ledger on the server at this address.
pub(super) async fn open_server(
    address: &str,
    clock: Clock,
) -> Result<(Store, MigrationVersions), LedgerError> {
    let hold = clock.hold();
    let (server, shown) = PostgresServer::new(address)?;
    let store = Store::new(&shown, StoreBackend::Server(Box::new(server)), clock.clone(), false);
    let mut connection = store.connect().await?;
    let step = postgres::migrate(&store, &mut connection).await?;
    drop(connection);
    prove(&store).await?;
    drop(hold);
    Ok((store, step))
}

/// Writes once, so that a store that cannot be written fails now and not at the first send.
async fn prove(store: &Store) -> Result<(), LedgerError> {
    let mut pulse = store.write().await?;
    let beaten = pulse.run(sql("UPDATE pulse SET beats = beats + 1")).await.map(drop);
    pulse.end(beaten).await
}

/// Locks the folder, so that no other process opens the ledger in it until the returned file is dropped. Creates the
/// folder if it does not exist.
pub(super) fn lock_opening(folder: &Path) -> Result<File, LedgerError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| LedgerError::of_system(folder, &error))?;
    let gate = folder.join("ledger.lock");
    let opening = private()
        .create(true)
        .truncate(false)
        .open(&gate)
        .map_err(|error| LedgerError::of_system(&gate, &error))?;
    opening.lock().map_err(|error| LedgerError::of_system(&gate, &error))?;
    Ok(opening)
}

/// Creates what is missing and sets the permissions. The returned file keeps other processes from opening until it is
/// dropped.
fn prepare(folder: &Path, path: &Path) -> Result<File, LedgerError> {
    let opening = lock_opening(folder)?;
    // An existing file is not opened here: closing it again would release all locks that this process has on it.
    match private().create_new(true).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path)
                .map_err(|error| LedgerError::of_system(path, &error))?
                .permissions()
                .mode();
            if mode & 0o077 != 0 {
                fs::set_permissions(path, Permissions::from_mode(mode & 0o700))
                    .map_err(|error| LedgerError::of_system(path, &error))?;
            }
        }
        Err(error) => return Err(LedgerError::of_system(path, &error)),
    }
    Ok(opening)
}

/// Options for new files of the ledger: only the owner can read and write them.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).read(true).mode(0o600);
    options
}

/// Checks for damage with the checks that are quick. Damage found later is an error where it is found.
async fn probe(store: &Store, connection: &mut SqliteConnection) -> Result<(), LedgerError> {
    let pages: i64 = one(store, connection, "PRAGMA page_count").await?;
    if pages > CHECKED_PAGES {
        return Ok(());
    }
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(connection)
        .await
        .map_err(|error| store.error(&error))?;
    if found == "ok" { Ok(()) } else { Err(LedgerError::Corrupt { path: store.path.clone(), detail: found }) }
}

async fn one(
    store: &Store,
    connection: &mut SqliteConnection,
    question: &'static str,
) -> Result<i64, LedgerError> {
    sqlx::query_scalar(question).fetch_one(connection).await.map_err(|error| store.error(&error))
}

/// Opens a ledger's file on one connection, for a process that has exclusive use of it, and migrates its schema to the
/// newest version. No write-ahead log is used: once the connection is closed, the file is the whole ledger.
pub(super) async fn open_alone(path: &Path, clock: Clock) -> Result<(Store, SqliteConnection), LedgerError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .disable_statement_logging();
    let store = Store::new(path, StoreBackend::File(Box::new(options)), clock, false);
    let AnyConnection::Sqlite(mut connection) = store.connect().await? else {
        return Err(LedgerError::Closed);
    };
    migrate(&store, &mut connection).await?;
    Ok((store, connection))
}

/// Migrates the schema to the newest version, each step in its own transaction.
async fn migrate(store: &Store, connection: &mut SqliteConnection) -> Result<MigrationVersions, LedgerError> {
    let known = KNOWN;
    let version = one(store, connection, "PRAGMA user_version").await?;
    if version > known {
        return Err(LedgerError::Newer { path: store.path.clone(), found: version, known });
    }
    for (step, number) in STEPS.iter().zip(1..).filter(|(_, number)| *number > version) {
        let script = format!("BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT");
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(script));
        script.execute(&mut *connection).await.map_err(|error| store.error(&error))?;
    }
    Ok((version, known))
}
