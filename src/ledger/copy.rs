//! Copies a ledger as it is, so that a command can try something on the copy.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sqlx::{ConnectOptions, Connection};
use sqlx_sqlite::SqliteConnectOptions;

use super::sqlite::FILE;
use super::{Ledger, LedgerError};

impl Ledger {
    /// Copies the ledger in `from`, if there is one, into the folder `to`. Nothing in `from` changes, and other
    /// processes may continue to write there.
    pub async fn copy(from: &Path, to: &Path) -> Result<(), LedgerError> {
        let (file, copy) = (from.join(FILE), to.join(FILE));
        if !file.exists() || copy_files(from, to)? {
            return Ok(());
        }
        // Another process is writing, so SQLite must make a consistent copy. It is not used otherwise: the last
        // connection to close a ledger modifies its files.
        let options = SqliteConnectOptions::new().filename(&file).read_only(true);
        let failed = |error: sqlx::Error| LedgerError::of(&file, &error);
        let mut connection = options.connect().await.map_err(failed)?;
        let copied =
            sqlx::query("VACUUM INTO ?").bind(copy.display().to_string()).execute(&mut connection).await;
        copied.map_err(failed)?;
        connection.close().await.map_err(failed)
    }
}

/// Copies the file and its log; returns whether both stayed unchanged meanwhile. If not, the copies are deleted.
fn copy_files(from: &Path, to: &Path) -> Result<bool, LedgerError> {
    let names = [FILE.to_owned(), format!("{FILE}-wal")];
    let stamps = || names.iter().map(|name| stamp(&from.join(name))).collect::<Vec<_>>();
    let before = stamps();
    let mut copies: Vec<PathBuf> = Vec::new();
    for name in &names {
        let (file, copy) = (from.join(name), to.join(name));
        if file.exists() {
            match fs::copy(&file, &copy) {
                Ok(_) => copies.push(copy),
                // The last process that had the ledger open has just deleted its log, so the files changed.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(LedgerError::of_system(&file, &error)),
            }
        }
    }
    if stamps() == before {
        return Ok(true);
    }
    for copy in copies {
        fs::remove_file(&copy).map_err(|error| LedgerError::of_system(&copy, &error))?;
    }
    Ok(false)
}

/// The length and the modification time, which change when a file changes.
fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let found = fs::metadata(path).ok()?;
    Some((found.len(), found.modified().ok()?))
}
