//! Errors of a backup or a restore.

use std::path::{Path, PathBuf};

use crate::ledger::{CopyError, LedgerError};

/// Why a backup or a restore failed. The ledger is unchanged, and there is no new file under the backup's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] LedgerError),
    /// The rows could not be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A file operation failed.
    #[error("{}: {error}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// A file of this name already exists.
    #[error("{}: this file exists; choose another name, or add --overwrite to replace it", .0.display())]
    Exists(PathBuf),
    #[error("{}: this is not the name of a file that can be written", .0.display())]
    NoFile(PathBuf),
    /// Another process uses the work folder at this path.
    #[error("{}: another backup or restore is running in this folder; wait until it ends", .0.display())]
    Busy(PathBuf),
    /// The file is not a backup.
    #[error(
        "{}: this is not a complete backup of `mooncast store backup`: the mark at its end is missing. It \
         may be another kind of file, or truncated; nothing was changed",
        .0.display()
    )]
    NoBackup(PathBuf),
    /// The file is a backup, but its content is not what was written.
    #[error("{}: this backup is damaged ({detail}); take another one. Nothing was changed", path.display())]
    Damaged {
        path: PathBuf,
        /// The damage that was found.
        detail: String,
    },
    /// A newer program made the backup.
    #[error(
        "{}: a newer mooncast made this backup (version {found}, and this program knows versions up to {known}); restore it with that one. Nothing was changed",
        path.display()
    )]
    Newer {
        path: PathBuf,
        /// The schema version of the backup.
        found: i64,
        /// The newest schema version that this program supports.
        known: i64,
    },
    /// A process uses the ledger that would be replaced.
    #[error("{}: {by} uses this ledger; stop it, then restore. Nothing was changed", path.display())]
    InUse {
        /// The ledger.
        path: PathBuf,
        /// The process, as text for people.
        by: String,
    },
}

impl BackupError {
    /// Converts a system error for `path`.
    pub(super) fn of_file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }
}
