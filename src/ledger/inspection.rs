//! Inspects a store without changing it: which store it is, its schema version and its clock.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use crate::clock::Clock;

use super::{Ledger, LedgerError, LedgerLocation, postgres, sqlite};

/// The result of [`Ledger::inspect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreInspection {
    /// The file, or the server's address without credentials.
    pub path: PathBuf,
    /// The schema's version; 0 if there is no schema yet.
    pub version: i64,
    /// The lowest schema version that a program must support to work on this store.
    pub least: i64,
    /// The newest schema version that this program supports.
    pub known: i64,
    /// The size in bytes.
    pub size: u64,
    /// More about the server; `None` for a file.
    pub server: Option<ServerInspection>,
}

/// The result of inspecting a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInspection {
    pub version: String,
    /// The TLS version of the connection; `None` if the connection is not encrypted.
    pub tls: Option<String>,
    /// The minimum difference between the server's clock and this machine's clock, in either direction.
    pub apart: Duration,
}

impl Ledger {
    /// Inspects a store without changing anything in it. A folder must contain a ledger.
    pub async fn inspect(location: &LedgerLocation, clock: &Clock) -> Result<StoreInspection, LedgerError> {
        match location {
            LedgerLocation::Folder(folder) => sqlite::inspect(folder).await,
            LedgerLocation::Server(address) => postgres::inspect(address.expose_secret(), clock).await,
        }
    }
}
