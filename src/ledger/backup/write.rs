//! Takes a backup: the ledger as it is at one instant, in one file. Other processes can use the ledger meanwhile.

use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use sqlx_sqlite::{SqliteConnectOptions, SqliteJournalMode};

use crate::clock::Clock;
use crate::ledger::sqlite::FILE;
use crate::ledger::store::{from_millis, millis};
use crate::ledger::{Ledger, LedgerError, LedgerLocation, StoreFault};

use super::work_folder::{WorkFolder, folder_of, make, publish};
use super::{BackupError, BackupStep, seal};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupInfo {
    /// The ledger: its file, or the server's address without credentials.
    pub from: PathBuf,
    /// The instant of the backup. It may contain a little data from after it.
    pub taken_at: std::time::Duration,
    /// The size of the backup's file in bytes.
    pub size: u64,
}

/// Tables whose rows are transient, and the app's token.
const LEFT_OUT: [&str; 4] = ["app_tokens", "instances", "quota_shares", "driver_status"];

impl Ledger {
    /// Takes a backup of the ledger in `location` into the new file `to`. Other processes may use the ledger meanwhile.
    /// The file gets its name only once it is complete, verified and on disk.
    pub async fn back_up(
        location: &LedgerLocation,
        to: &Path,
        overwrite: bool,
        clock: &Clock,
        step: &dyn Fn(BackupStep),
    ) -> Result<BackupInfo, BackupError> {
        let name = to.file_name().ok_or_else(|| BackupError::NoFile(to.to_owned()))?.to_string_lossy();
        if to.is_dir() {
            return Err(BackupError::NoFile(to.to_owned()));
        }
        if !overwrite && to.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let work = WorkFolder::open(folder_of(to).join(format!(".{name}.partial")))?;
        let (from, taken_at, source) = match location {
            LedgerLocation::Folder(folder) => {
                (folder.join(FILE), millis(clock.unix_time()), folder.join(FILE))
            }
            LedgerLocation::Server(_) => {
                let ledger = Self::open_at(location, clock.clone()).await?;
                // The store's clock follows the server's clock, which was read when the store was opened.
                let taken_at = ledger.store().now();
                let copy = work.join("copy");
                Self::snapshot_into(location, &copy, clock).await?;
                (ledger.path().to_owned(), taken_at, copy.join(FILE))
            }
        };
        let file = work.join("backup");
        copy_database(&source, &file).await?;
        finish(&file, taken_at)?;
        let size = file.metadata().map_err(BackupError::of_file(&file))?.len();
        step(BackupStep::Written);
        publish(&file, to, overwrite)?;
        Ok(BackupInfo { from, taken_at: from_millis(taken_at), size })
    }
}

/// Copies a database as it is at one instant into a new file, without transient rows, and checks the copy.
pub(super) async fn copy_database(from: &Path, to: &Path) -> Result<(), BackupError> {
    drop(make(to)?);
    let failed = |error: sqlx::Error| LedgerError::of(from, &error);
    let source = SqliteConnectOptions::new().filename(from).read_only(true).disable_statement_logging();
    let mut connection = source.connect().await.map_err(failed)?;
    let copied = sqlx::query("VACUUM INTO ?").bind(to.display().to_string()).execute(&mut connection).await;
    copied.map_err(failed)?;
    connection.close().await.map_err(failed)?;

    let failed = |error: sqlx::Error| LedgerError::of(to, &error);
    let copy = SqliteConnectOptions::new()
        .filename(to)
        .journal_mode(SqliteJournalMode::Delete)
        .foreign_keys(false)
        .pragma("secure_delete", "ON")
        .disable_statement_logging();
    let mut connection = copy.connect().await.map_err(failed)?;
    for table in LEFT_OUT {
        let there =
            sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?");
        let there: i64 = there.bind(table).fetch_one(&mut connection).await.map_err(failed)?;
        if there > 0 {
            let statement = AssertSqlSafe(format!("DELETE FROM {table}"));
            sqlx::query(statement).execute(&mut connection).await.map_err(failed)?;
        }
    }
    check(&mut connection, to).await?;
    connection.close().await.map_err(failed)?;
    Ok(())
}

/// Reads a whole database and checks it for damage.
pub(super) async fn check(
    connection: &mut sqlx_sqlite::SqliteConnection,
    path: &Path,
) -> Result<(), LedgerError> {
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(connection)
        .await
        .map_err(|error| LedgerError::of(path, &error))?;
    if found == "ok" {
        return Ok(());
    }
    Err(StoreFault::Corrupt { path: path.to_owned(), detail: found }.into())
}

/// Writes the seal at the end of a copy.
pub(super) fn finish(file: &Path, taken_at: i64) -> Result<(), BackupError> {
    let mut opened = std::fs::File::options().read(true).write(true).open(file);
    let opened = opened.as_mut().map_err(|error| BackupError::File {
        path: file.to_owned(),
        error: std::io::Error::new(error.kind(), error.to_string()),
    })?;
    seal::write(opened, taken_at).map_err(BackupError::of_file(file))
}
