//! A copy of a ledger as it stands, for whoever wants to try something on it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::open::{FILE, GATE};
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
        let log = from.join(format!("{FILE}-wal"));
        if !file.exists() {
            return Ok(());
        }
        if !log.exists() {
            // Nobody has it open, and nobody opens it while the gate is held.
            let _gate = hold_gate(from)?;
            if !log.exists() {
                fs::copy(&file, &copy).map_err(|error| LedgerError::of_system(&copy, &error))?;
                return Ok(());
            }
        }
        let options = SqliteConnectOptions::new().filename(&file).read_only(true);
        let failed = |error: sqlx::Error| LedgerError::of(&file, &error);
        let mut connection = options.connect().await.map_err(failed)?;
        let copied =
            sqlx::query("VACUUM INTO ?").bind(copy.display().to_string()).execute(&mut connection).await;
        copied.map_err(failed)?;
        connection.close().await.map_err(failed)
    }
}

/// Keeps others from opening the ledger until it is dropped, where there is a gate.
fn hold_gate(folder: &Path) -> Result<Option<File>, LedgerError> {
    let gate = folder.join(GATE);
    let failed = |error: std::io::Error| LedgerError::of_system(&gate, &error);
    match File::open(&gate) {
        Ok(file) => {
            file.lock_shared().map_err(failed)?;
            Ok(Some(file))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
