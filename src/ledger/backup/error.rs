//! Why a ledger was not backed up or restored.

use std::path::{Path, PathBuf};

use crate::ledger::{CopyError, LedgerError};

/// Why a ledger was not backed up or restored. The ledger is as it was, and no file was left under the backup's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] LedgerError),
    /// The rows could not be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The system refused something with a file.
    #[error("{}: {error}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// There is a file of this name.
    #[error("{}: this file exists; choose another name, or add --overwrite to replace it", .0.display())]
    Exists(PathBuf),
    /// The name is not one of a file.
    #[error("{}: this is not the name of a file that can be written", .0.display())]
    NoFile(PathBuf),
    /// Another process is at it.
    #[error("{}: another backup or restore works in this folder; wait for its end", .0.display())]
    Busy(PathBuf),
    /// The file is not a backup.
    #[error(
        "{}: this is not a complete backup of `mooncast store backup`: the mark at its end is missing. It may be another file, or cut off; nothing was changed",
        .0.display()
    )]
    NoBackup(PathBuf),
    /// The file is a backup, and its content is not what was written.
    #[error("{}: this backup is damaged ({detail}); take another one. Nothing was changed", path.display())]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A newer program made the backup.
    #[error(
        "{}: a newer mooncast made this backup (version {found}, and this program knows versions up to {known}); restore it with that one. Nothing was changed",
        path.display()
    )]
    Newer {
        /// The backup.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A process works on the ledger that would be replaced.
    #[error("{}: {by} works on this ledger; stop it, then restore. Nothing was changed", path.display())]
    InUse {
        /// The ledger.
        path: PathBuf,
        /// The process, for people.
        by: String,
    },
}

impl BackupError {
    /// The error that the system gave for `path`.
    pub(super) fn of_file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }
}
