//! The errors of the store. Their messages say what failed, where, and what to do next.

use std::path::{Path, PathBuf};

use super::{BroadcastId, DeliveryState};

/// An error of the ledger. It is `Clone` because one failed commit fails every caller that waits for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A newer version of the program has written this ledger.
    #[error(
        "{path}: this ledger is of version {found}, and this program knows versions up to {known}; use the newer mooncast that wrote it",
        path = path.display()
    )]
    Newer {
        path: PathBuf,
        /// The schema version of the ledger.
        found: i64,
        /// The newest schema version that this program supports.
        known: i64,
    },
    /// The file is damaged, or it is not a ledger.
    #[error(
        "{path}: the ledger is damaged ({detail}); keep a copy, then restore it from a backup{}",
        if path.is_absolute() || path.is_file() { format!(" or recover it with `sqlite3 {} .recover`", path.display()) } else { String::new() },
        path = path.display()
    )]
    Corrupt {
        path: PathBuf,
        /// The store's error message.
        detail: String,
    },
    /// The file or its folder is not writable.
    #[error("{path}: the ledger cannot be written ({detail}); give this user the right to write the folder and its files", path = path.display())]
    ReadOnly {
        /// The ledger's file or folder.
        path: PathBuf,
        /// The system's error message.
        detail: String,
    },
    /// The file that was opened is no longer at its path.
    #[error("{path}: the ledger's file was removed or replaced while it was open, so what is written there would be lost; put the file back, or start this process again", path = path.display())]
    Gone {
        /// Where the ledger's file was.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("{path}: the disk is full; free some space, then go on: nothing that was acknowledged is lost", path = path.display())]
    Full { path: PathBuf },
    /// The system reported an input/output error.
    #[error("{path}: reading or writing the ledger failed ({detail}); check the disk", path = path.display())]
    Io {
        /// The ledger's file or folder.
        path: PathBuf,
        /// The system's error message.
        detail: String,
    },
    /// Another process wrote for longer than this process waits.
    #[error("{path}: another process has kept the ledger locked for too long; find the process that has it \
     open (`fuser {path}`)", path = path.display())]
    Locked { path: PathBuf },
    /// The server rejected the user.
    #[error("{path}: the store refused the login ({detail}); check the user, the password and the database \
     in its address", path = path.display())]
    Denied {
        /// The server's address, without credentials.
        path: PathBuf,
        /// The server's error message.
        detail: String,
    },
    /// The server's address cannot be parsed.
    #[error("{path}: the store's address cannot be read: {detail}; it is postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, and letters like @ / ? # % in a password are written %40 %2F %3F %23 %25", path = path.display())]
    Unreadable {
        /// The address, without credentials.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The connection to the server is not encrypted as it has to be, or not as the server requires.
    #[error("{path}: no secure connection to the store is possible ({detail}); check sslmode and \
     sslrootcert in its address, and the server's certificate", path = path.display())]
    Untrusted {
        /// The server's address, without credentials.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The server does not answer, or does not exist.
    #[error("{path}: the store cannot be reached ({detail}); nothing is sent until it answers", path = path.display())]
    Away {
        /// The server's address, without credentials.
        path: PathBuf,
        /// The attempt and its result.
        detail: String,
    },
    /// Any other error of the store. It is a bug in this program.
    #[error("{path}: the ledger refused a statement ({detail}); please report this", path = path.display())]
    Refused {
        path: PathBuf,
        /// The store's error message.
        detail: String,
    },
    /// A write failed before, and the ledger still cannot be written. Nothing may be sent.
    #[error("nothing is sent while the ledger cannot be written: {0}")]
    Unhealthy(Box<LedgerError>),
    /// The runtime that the ledger was opened in has ended.
    #[error("the ledger is closed")]
    Closed,
    /// The other hosts of a fleet considered this process dead, because it sent no heartbeat for too long.
    #[error(
        "the other hosts declared this process dead because it sent no heartbeat for too long; it registers \
         again within seconds"
    )]
    Buried,
    /// Another driver has taken over the broadcast.
    #[error("broadcast {0} is driven by another process now")]
    LeaseLost(BroadcastId),
    /// There is no such broadcast.
    #[error("there is no broadcast {0}")]
    Unknown(BroadcastId),
    /// Recipients or sends were not in the state that the change requires; nothing was changed.
    #[error("{count} of {what} are not `{}`", wanted.name())]
    NotIn {
        /// The broadcast or send.
        what: String,
        /// The required state.
        wanted: DeliveryState,
        /// How many were in another state.
        count: u64,
    },
    /// The state of the broadcast does not allow this operation.
    #[error("broadcast {broadcast} is {is}: {why}")]
    NotNow {
        broadcast: BroadcastId,
        /// Its state.
        is: &'static str,
        /// What the operation requires.
        why: &'static str,
    },
    /// The plan has more recipients than `max_recipients` allows.
    #[error("the plan has {total} recipients, and max_recipients is {max}")]
    TooMany {
        /// How many recipients would be sent to.
        total: u64,
        /// The most that are allowed.
        max: u64,
    },
    /// The plan is not the expected one.
    #[error("the plan is another one, of {total} recipients and at most {largest} bytes a message")]
    OtherPlan {
        /// How many recipients would be sent to.
        total: u64,
        /// Its largest message, in bytes that count against the limit.
        largest: u64,
    },
    /// The ledger was restored from a backup, and the restore is not accepted yet.
    #[error(
        "{path}: this ledger was restored from a backup of {taken_at}. Messages may have been sent since then that it does not know, so nothing is sent from it until you accept that: settle or cancel what is unfinished (`mooncast runs list --unfinished`, `mooncast runs settle NAME --as-sent` or `--again`, `mooncast runs cancel NAME`), then `mooncast store accept` shows what it releases",
        path = path.display()
    )]
    Restored {
        /// The ledger's file, or the server's address without credentials.
        path: PathBuf,
        /// When the backup was taken, in UTC.
        taken_at: String,
    },
    /// A row holds a value that this program cannot read.
    #[error("{path}: a row of the ledger cannot be read ({detail})", path = path.display())]
    Record {
        path: PathBuf,
        /// The unreadable value.
        detail: String,
    },
}

impl LedgerError {
    /// Returns whether the store failed, as opposed to rejecting the request. Nothing may be sent after such an error.
    pub const fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::Buried
                | Self::LeaseLost(_)
                | Self::Unknown(_)
                | Self::NotIn { .. }
                | Self::NotNow { .. }
                | Self::TooMany { .. }
                | Self::OtherPlan { .. }
                | Self::Restored { .. }
                | Self::Record { .. }
        )
    }

    /// Converts an error of the store at `path`.
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

    /// Returns whether the server does not answer at the moment. The caller may retry later.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::Unhealthy(error) => error.is_away(),
            _ => false,
        }
    }

    /// Returns whether the connection to a server broke. A new connection may work.
    pub(super) const fn broke(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// Converts an error of the server at `path`.
    pub(super) fn of_server(path: &Path, error: &sqlx::Error) -> Self {
        let path = path.to_owned();
        match error {
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                let detail = format!("{}, code {code}", error.message());
                // Codes of https://www.postgresql.org/docs/current/errcodes-appendix.html; the first two characters
                // are the class.
                match (&*code, code.get(..2)) {
                    ("53100", _) => Self::Full { path },
                    ("25006" | "42501", _) => Self::ReadOnly { path, detail },
                    // A serialization failure, a deadlock, a timeout, a terminated transaction, or a server that
                    // starts or stops.
                    ("40001" | "40P01" | "25P03" | "55P03", _) | (_, Some("08" | "53" | "57" | "58")) => {
                        Self::Away { path, detail }
                    }
                    // The server accepts only encrypted connections.
                    ("28000", _) if detail.contains("no encryption") || detail.contains("SSL off") => {
                        Self::Untrusted { path, detail }
                    }
                    ("28P01" | "28000" | "3D000", _) => Self::Denied { path, detail },
                    (_, Some("XX")) => Self::Corrupt { path, detail },
                    _ => Self::Refused { path, detail },
                }
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Self::Record { path, detail: error.to_string() }
            }
            sqlx::Error::Tls(error) => Self::Untrusted { path, detail: error.to_string() },
            sqlx::Error::Io(error) if is_untrusted(error) => {
                Self::Untrusted { path, detail: error.to_string() }
            }
            _ => Self::Away { path, detail: error.to_string() },
        }
    }

    /// Converts an SQLite result code.
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

    /// Converts a system error for `path`.
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

/// Returns whether a connection failed because of the server's certificate.
fn is_untrusted(error: &std::io::Error) -> bool {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}
