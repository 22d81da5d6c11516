//! A copy of a ledger as it stands, for whoever wants to try something on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::open::FILE;
use super::{Ledger, LedgerError};

impl Ledger {
    /// Copies the ledger in `from`, where there is one, into the folder `to`. Nothing in `from` changes, and others may
    /// go on writing there.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being read, or the copy from being written.
    pub async fn copy(from: &Path, to: &Path) -> Result<(), LedgerError> {
        let (file, copy) = (from.join(FILE), to.join(FILE));
        if !file.exists() || copy_files(from, to)? {
            return Ok(());
        }
        // Somebody writes just now, so the store has to say what belongs together. It is not asked otherwise: the last
        // one to leave it tidies up.
        let options = SqliteConnectOptions::new().filename(&file).read_only(true);
        let failed = |error: sqlx::Error| LedgerError::of(&file, &error);
        let mut connection = options.connect().await.map_err(failed)?;
        let copied =
            sqlx::query("VACUUM INTO ?").bind(copy.display().to_string()).execute(&mut connection).await;
        copied.map_err(failed)?;
        connection.close().await.map_err(failed)
    }
}

/// Copies the file and its log; gives whether both stayed as they were meanwhile. If not, nothing is left of the copies.
fn copy_files(from: &Path, to: &Path) -> Result<bool, LedgerError> {
    let names = [FILE.to_owned(), format!("{FILE}-wal")];
    let stamps = || names.iter().map(|name| stamp(&from.join(name))).collect::<Vec<_>>();
    let before = stamps();
    let mut copies: Vec<PathBuf> = Vec::new();
    for name in &names {
        let (file, copy) = (from.join(name), to.join(name));
        if file.exists() {
            fs::copy(&file, &copy).map_err(|error| LedgerError::of_system(&file, &error))?;
            copies.push(copy);
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

/// What changes when a file does.
fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let found = fs::metadata(path).ok()?;
    Some((found.len(), found.modified().ok()?))
}
