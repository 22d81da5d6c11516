//! Backups: a whole ledger in one file, and back.
//!
//! - `seal`: the end of a backup's file, by which damage is found;
//! - `workplace`: where files are written before they get their name;
//! - `write`: a backup is taken while others work on the ledger;
//! - `prepare`: a backup becomes a ledger again, in which all that may have been sent since is in doubt;
//! - `replace`: that ledger takes the place of the one in a folder, or on a server.

mod error;
mod prepare;
mod replace;
mod seal;
mod work_folder;
mod write;

pub use error::BackupError;
pub use replace::{ReplacedLedger, RestoredLedger};
pub use write::BackupInfo;

/// A moment at which a crash test may end the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupStep {
    /// A backup is complete under its temporary name.
    Written,
    /// A restored ledger is complete beside the one that it replaces.
    Prepared,
    /// The replaced ledger is kept, and the restored one is not in its place yet.
    Kept,
}
