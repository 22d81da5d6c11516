//! Opens a ledger in a file: the folder, the file and its permissions, the schema.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{ConnectOptions, Connection};
use sqlx_sqlite::SqliteConnection;
use sqlx_sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use crate::clock::Clock;
use crate::ledger::driver::StoreDriver;
use crate::ledger::migrate::MigrationVersions;
use crate::ledger::store::Store;
use crate::ledger::{LedgerError, StoreFault, StoreInspection};

use super::migrate::{known, migrate, version};
use super::scratch::{Scratch, TimedScratch};
use super::{Durable, SqliteFile};

/// The name of a ledger's file in its folder.
pub const FILE: &str = "ledger.db";
/// How long a write waits for another process before it fails.
const PATIENCE: Duration = Duration::from_secs(10);
/// Opening checks a file of up to this many pages (of 4 KB) from end to end, which takes about 20 ms.
const CHECKED_PAGES: i64 = 1024;
/// Opens the ledger in `folder`, and creates the folder if it does not exist.
pub(in crate::ledger) async fn open(
    folder: &Path,
    clock: Clock,
) -> Result<(Store, MigrationVersions), LedgerError> {
    open_kind::<Durable>(folder, clock, SqliteSynchronous::Full).await
}

/// As [`open`], for a scratch ledger, whose data need not reach the disk.
pub(in crate::ledger) async fn open_scratch(folder: &Path, clock: Clock) -> Result<Store, LedgerError> {
    Ok(open_kind::<Scratch>(folder, clock, SqliteSynchronous::Off).await?.0)
}

/// As [`open_scratch`], with each move written at its time.
pub(in crate::ledger) async fn open_timed_scratch(folder: &Path, clock: Clock) -> Result<Store, LedgerError> {
    Ok(open_kind::<TimedScratch>(folder, clock, SqliteSynchronous::Off).await?.0)
}

async fn open_kind<K: Default + Send + Sync + 'static>(
    folder: &Path,
    clock: Clock,
    synchronous: SqliteSynchronous,
) -> Result<(Store, MigrationVersions), LedgerError>
where
    SqliteFile<K>: StoreDriver,
{
    let hold = clock.hold();
    let path = folder.join(FILE);
    // Only one process at a time opens: changing the journal mode of a new file while another process opens it is an
    // error.
    let prepared = tokio::task::spawn_blocking({
        let (folder, path) = (folder.to_owned(), path.clone());
        move || prepare(&folder, &path)
    });
    let opening = prepared.await.map_err(|_| StoreFault::Closed)??;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .row_buffer_size(256)
        // 4 MB for each connection.
        .pragma("cache_size", "-4096")
        // After a large write, the log is truncated to 64 MB.
        .pragma("journal_size_limit", "67108864")
        // Planning a million recipients takes seconds; slow-statement warnings would be noise.
        .disable_statement_logging();
    let mut connection = connect(&path, &options).await?;
    let store = Store::new(&path, SqliteFile::<K>::new(options), clock.clone());
    probe(&store, &mut connection).await?;
    let step = migrate(&store, &mut connection).await?;
    connection.close().await.map_err(|error| store.error(&error))?;
    store.prove().await?;
    drop(opening);
    drop(hold);
    Ok((store, step))
}

/// Locks the folder, so that no other process opens the ledger in it until the returned file is dropped. Creates the
/// folder if it does not exist.
pub(in crate::ledger) fn lock_opening(folder: &Path) -> Result<File, LedgerError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| LedgerError::of_system(folder, &error))?;
    let lock_path = folder.join("ledger.lock");
    let opening = private()
        .create(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(|error| LedgerError::of_system(&lock_path, &error))?;
    opening.lock().map_err(|error| LedgerError::of_system(&lock_path, &error))?;
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
pub(in crate::ledger) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).read(true).mode(0o600);
    options
}

/// Checks for damage with the checks that are quick. Damage found later is an error where it is found.
async fn probe(store: &Store, connection: &mut SqliteConnection) -> Result<(), LedgerError> {
    let pages = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *connection).await;
    let pages: i64 = pages.map_err(|error| store.error(&error))?;
    if pages > CHECKED_PAGES {
        return Ok(());
    }
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(connection)
        .await
        .map_err(|error| store.error(&error))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(StoreFault::Corrupt { path: store.path.clone(), detail: found }.into())
    }
}

/// Opens a ledger's file on one connection, for a process that has exclusive use of it, and migrates its schema to the
/// newest version. No write-ahead log is used: once the connection is closed, the file is the whole ledger.
pub(in crate::ledger) async fn open_alone(
    path: &Path,
    clock: Clock,
) -> Result<(Store, SqliteConnection), LedgerError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .disable_statement_logging();
    let mut connection = connect(path, &options).await?;
    let store = Store::new(path, SqliteFile::<Durable>::new(options), clock);
    migrate(&store, &mut connection).await?;
    Ok((store, connection))
}

async fn connect(path: &Path, options: &SqliteConnectOptions) -> Result<SqliteConnection, LedgerError> {
    options.connect().await.map_err(|error| LedgerError::of(path, &error))
}

/// Inspects the ledger in `folder`, which must contain one, without changing anything in it.
pub(in crate::ledger) async fn inspect(folder: &Path) -> Result<StoreInspection, LedgerError> {
    let path = folder.join(FILE);
    let mut connection = connect(&path, &SqliteConnectOptions::new().filename(&path).read_only(true)).await?;
    let version = version(&mut connection).await.map_err(|error| LedgerError::of(&path, &error))?;
    let size = size_of(&path);
    Ok(StoreInspection { path, version, least: version, known: known(), size, server: None })
}

/// Returns the size of a ledger in bytes, including data that is not yet in its main file.
pub(in crate::ledger) fn size_of(file: &Path) -> u64 {
    let log = PathBuf::from(format!("{}-wal", file.display()));
    [file, &log].iter().filter_map(|part| fs::metadata(part).ok()).map(|part| part.len()).sum()
}
