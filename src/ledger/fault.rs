//! Failures of a store, and the error codes of the stores.

use std::path::{Path, PathBuf};

use super::LedgerError;

/// A failure of the store. It is `Clone` because one failed commit fails every caller that waits for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreFault {
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
    #[error("{path}: the disk is full, so Mooncast sends nothing; free some space (nothing that is already in the ledger is lost)", path = path.display())]
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
}

impl LedgerError {
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
            sqlx::Error::Io(_) => return StoreFault::Io { path, detail }.into(),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                return Self::Record { path, detail };
            }
            sqlx::Error::WorkerCrashed => return StoreFault::Closed.into(),
            _ => None,
        };
        Self::of_code(&path, code, detail)
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
                    ("53100", _) => StoreFault::Full { path }.into(),
                    ("25006" | "42501", _) => StoreFault::ReadOnly { path, detail }.into(),
                    // A serialization failure, a deadlock, a timeout, a terminated transaction, or a server that
                    // starts or stops.
                    ("40001" | "40P01" | "25P03" | "55P03", _) | (_, Some("08" | "53" | "57" | "58")) => {
                        StoreFault::Away { path, detail }.into()
                    }
                    // The server accepts only encrypted connections.
                    ("28000", _) if detail.contains("no encryption") || detail.contains("SSL off") => {
                        StoreFault::Untrusted { path, detail }.into()
                    }
                    ("28P01" | "28000" | "3D000", _) => StoreFault::Denied { path, detail }.into(),
                    (_, Some("XX")) => StoreFault::Corrupt { path, detail }.into(),
                    _ => StoreFault::Refused { path, detail }.into(),
                }
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Self::Record { path, detail: error.to_string() }
            }
            sqlx::Error::Tls(error) => StoreFault::Untrusted { path, detail: error.to_string() }.into(),
            sqlx::Error::Io(error) if is_untrusted(error) => {
                StoreFault::Untrusted { path, detail: error.to_string() }.into()
            }
            _ => StoreFault::Away { path, detail: error.to_string() }.into(),
        }
    }

    /// Converts an SQLite result code.
    pub(super) fn of_code(path: &Path, code: Option<u32>, detail: String) -> Self {
        let path = path.to_owned();
        // The low byte is the primary result code: https://sqlite.org/rescode.html
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => StoreFault::Locked { path }.into(),
            Some(3 | 8 | 14 | 23) => StoreFault::ReadOnly { path, detail }.into(),
            Some(10) => StoreFault::Io { path, detail }.into(),
            Some(11 | 26) => StoreFault::Corrupt { path, detail }.into(),
            Some(13) => StoreFault::Full { path }.into(),
            _ => StoreFault::Refused { path, detail }.into(),
        }
    }

    /// Converts a system error for `path`.
    pub(super) fn of_system(path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let path = path.to_owned();
        let detail = error.to_string();
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotADirectory => {
                StoreFault::ReadOnly { path, detail }.into()
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreFault::Full { path }.into(),
            _ => StoreFault::Io { path, detail }.into(),
        }
    }
}

/// Returns whether a connection failed because of the server's certificate.
fn is_untrusted(error: &std::io::Error) -> bool {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}
