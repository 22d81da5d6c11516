//! Backups: writing a whole ledger to one file, and restoring it.
//!
//! - `seal`: the end of a backup's file, which detects damage;
//! - `work_folder`: the folder where files are written before they get their final name;
//! - `write`: takes a backup while other processes use the ledger;
//! - `prepare`: turns a backup into a ledger in which everything that may have been sent since is in doubt;
//! - `replace`: puts that ledger in place of the one in a folder or on a server.

mod error;
mod prepare;
mod replace;
mod seal;
mod work_folder;
mod write;

pub use error::BackupError;
pub use replace::ReplacedLedger;

/// A point at which a crash test may end the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupStep {
    /// A backup is complete under its temporary name.
    Written,
    /// A restored ledger is complete beside the one that it replaces.
    Prepared,
    /// The replaced ledger has its new name, and the restored one is not in place yet.
    Kept,
}
