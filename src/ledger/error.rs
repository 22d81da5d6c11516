//! What can go wrong with the store, in words that say what, where and what next.

use std::path::{Path, PathBuf};

use super::{BroadcastId, State};

/// A failure of the ledger. Clone, because one failed commit fails all who waited for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A later version of the program has written this ledger.
    #[error(
        "{path}: this ledger is of version {found}, and this program knows versions up to {known}; use the newer mooncast that wrote it",
        path = path.display()
    )]
    Newer {
        /// The ledger's file.
        path: PathBuf,
        /// The version that the file says.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The file is damaged, or no ledger at all.
    #[error(
        "{path}: the ledger is damaged ({detail}); keep a copy, then restore it from a backup or recover it with `sqlite3 {path} .recover`",
        path = path.display()
    )]
    Corrupt {
        /// The ledger's file.
        path: PathBuf,
        /// What the store says.
        detail: String,
    },
    /// The file or its folder may not be written.
    #[error("{path}: the ledger cannot be written ({detail}); give this user the right to write the folder and its files", path = path.display())]
    ReadOnly {
        /// The ledger's file or folder.
        path: PathBuf,
        /// What the system says.
        detail: String,
    },
    /// The disk is full.
    #[error("{path}: the disk is full; free some space, then go on: nothing that was acknowledged is lost", path = path.display())]
    Full {
        /// The ledger's file.
        path: PathBuf,
    },
    /// The disk did not do as it was told.
    #[error("{path}: reading or writing the ledger failed ({detail}); check the disk", path = path.display())]
    Io {
        /// The ledger's file or folder.
        path: PathBuf,
        /// What the system says.
        detail: String,
    },
    /// Another process wrote for longer than this one would wait.
    #[error("{path}: another process has kept the ledger locked for too long; see who has it open (`fuser {path}`)", path = path.display())]
    Locked {
        /// The ledger's file.
        path: PathBuf,
    },
    /// Any other refusal of the store: an error in this program.
    #[error("{path}: the ledger refused a statement ({detail}); please report this", path = path.display())]
    Refused {
        /// The ledger's file.
        path: PathBuf,
        /// What the store says.
        detail: String,
    },
    /// A write failed before, and the ledger still cannot be written: nothing may be sent.
    #[error("nothing is sent while the ledger cannot be written: {0}")]
    Unhealthy(Box<LedgerError>),
    /// The runtime that the ledger was opened in has ended.
    #[error("the ledger is closed")]
    Closed,
    /// Another driver has taken the broadcast over.
    #[error("broadcast {0} is driven by another process now")]
    LeaseLost(BroadcastId),
    /// There is no such broadcast.
    #[error("there is no broadcast {0}")]
    Unknown(BroadcastId),
    /// Recipients or sends were not in the state that a change starts from; nothing was changed.
    #[error("{count} of {what} are not `{}`", wanted.name())]
    NotIn {
        /// Of which broadcast or send.
        what: String,
        /// The state that they should have been in.
        wanted: State,
        /// How many were not.
        count: u64,
    },
    /// The broadcast is in a state that does not allow this.
    #[error("broadcast {broadcast} is {is}: {why}")]
    NotNow {
        /// Which broadcast.
        broadcast: BroadcastId,
        /// Its state.
        is: &'static str,
        /// What would have to be so.
        why: &'static str,
    },
    /// The plan has more recipients than `max_recipients` allows.
    #[error("the plan has {total} recipients, and max_recipients is {max}")]
    TooMany {
        /// How many would be sent to.
        total: u64,
        /// The most that are allowed.
        max: u64,
    },
    /// The plan is not the one that was wanted.
    #[error("the plan is another one, of {total} recipients and at most {largest} bytes a message")]
    OtherPlan {
        /// How many would be sent to.
        total: u64,
        /// Its largest message, in bytes that count against the limit.
        largest: u64,
    },
    /// A row holds what this program cannot read.
    #[error("{path}: a row of the ledger cannot be read ({detail})", path = path.display())]
    Record {
        /// The ledger's file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
}

impl LedgerError {
    /// Whether the store failed, and not what was asked of it: after such an error nothing may be sent.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::LeaseLost(_)
                | Self::Unknown(_)
                | Self::NotIn { .. }
                | Self::NotNow { .. }
                | Self::TooMany { .. }
                | Self::OtherPlan { .. }
                | Self::Record { .. }
        )
    }

    /// The error that the store at `path` gave.
    pub(super) fn of(path: &Path, error: &sqlx::Error) -> Self {
        let path = path.to_owned();
        let detail = match error {
            sqlx::Error::Database(error) => match error.code() {
                Some(code) => format!("{}, code {code}", error.message()),
                None => error.message().to_owned(),
            },
            _ => error.to_string(),
        };
        let code = match error {
            sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<u32>().ok()),
            sqlx::Error::Io(_) => return Self::Io { path, detail },
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                return Self::Record { path, detail };
            }
            sqlx::Error::WorkerCrashed => return Self::Closed,
            _ => None,
        };
        Self::of_code(&path, code, detail)
    }

    /// The error of a result code of the store.
    pub(super) fn of_code(path: &Path, code: Option<u32>, detail: String) -> Self {
        let path = path.to_owned();
        // The low byte is the primary result code: https://sqlite.org/rescode.html
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Locked { path },
            Some(3 | 8 | 14 | 23) => Self::ReadOnly { path, detail },
            Some(10) => Self::Io { path, detail },
            Some(11 | 26) => Self::Corrupt { path, detail },
            Some(13) => Self::Full { path },
            _ => Self::Refused { path, detail },
        }
    }

    /// The error that the system gave for `path`.
    pub(super) fn of_system(path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let path = path.to_owned();
        let detail = error.to_string();
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotADirectory => {
                Self::ReadOnly { path, detail }
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { path, detail },
        }
    }
}
