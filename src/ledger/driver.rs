//! What differs between the kinds of store. Each kind is a [`StoreDriver`]: an SQLite file (`sqlite`), a scratch ledger
//! (`sqlite/scratch.rs`), or a Postgres server (`postgres`). All other modules use a store through this trait, and
//! never ask which kind it is.
//!
//! A method with a default is one that only a store for several hosts needs.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::broadcast::{BroadcastId, Lease, LeaseHolder, PendingRow};
use super::commit_request::RecipientMoves;
use super::connection::Connection;
use super::deferred::DeferredWrites;
use super::sends::entry::{NewSend, SendOutcome};
use super::store::{Store, Transaction};
use super::{Instance, Ledger, LedgerError, RecipientState};

/// How a write begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteScope {
    /// Several statements, with no other write at the same time in any process.
    Alone,
    /// A group commit of several statements. In a file it excludes other writes too; a server separates concurrent
    /// writes by row locks.
    Beside,
    /// A group commit of one statement, which is atomic by itself.
    Single,
}

/// Statements and parts of statements that the stores need in different words.
pub(super) struct SqlTexts {
    /// The condition on a row of `broadcasts` that the lease with this number, as a placeholder, is held.
    pub(super) lease_is_held: fn(lease: &str) -> String,
    /// The query for broadcasts with their drivers, without its condition; see `Broadcast`.
    pub(super) broadcasts: &'static str,
    /// Sets end and length of a lease, given by its broadcast and number.
    pub(super) renew_lease: &'static str,
    /// A condition on a row of `recipients`: no driver but the one with the given lease number holds it.
    pub(super) not_of_other_drivers: &'static str,
    /// Deletes the status of drivers of a broadcast that have ended, except the one with the given lease number.
    pub(super) delete_old_status: &'static str,
    /// The status of all drivers of a broadcast, or of all broadcasts.
    pub(super) driver_statuses: &'static str,
    /// The addresses of the files in a message `m`.
    pub(super) file_urls: &'static str,
    /// The sender of a message `m`. NULL if the message names none.
    pub(super) message_sender: &'static str,
    /// The rows (broadcast, message number, URL) of all files that messages carry. The URL can be null.
    pub(super) file_url_rows: &'static str,
    /// The URL of an upload.
    pub(super) upload_url: &'static str,
    /// Replaces ?4 by the file ?1 with the secret ?2 in all messages of the broadcast ?3: as content, and as thumb.
    pub(super) replace_file: [&'static str; 2],
    /// Locks the row of an app until the transaction ends. `None` if no two writes run at once.
    pub(super) lock_app: Option<&'static str>,
    /// Follows a text column in an ORDER BY, so that texts are compared by their bytes.
    pub(super) by_bytes: &'static str,
    /// The columns of all tables, as `ColumnRow` has them.
    pub(super) columns: &'static str,
    /// Follows a subquery whose rows no other process may delete before the transaction ends.
    pub(super) key_share: &'static str,
    /// The highest id that the store remembers to have given in a table. No row if it remembers none.
    pub(super) last_id: &'static str,
    /// Makes the store wait for this program while another store works; `None` if it waits anyway.
    pub(super) wait_longer: Option<&'static str>,
}

/// A kind of store.
#[async_trait]
pub(super) trait StoreDriver:
    InstanceDriver + JobDriver + LeaseDriver + MoveDriver + SendDriver + RetentionDriver
{
    fn texts(&self) -> &'static SqlTexts;

    /// Converts an error of the store at `path`.
    fn error(&self, path: &Path, error: &sqlx::Error) -> LedgerError;

    /// Whether the hosts of a fleet share the store. Several processes can then drive one broadcast, and group commits
    /// do not wait for other writes.
    fn is_shared(&self) -> bool {
        false
    }

    /// How long a statement may take.
    fn answer_limit(&self) -> Option<Duration> {
        None
    }

    /// Opens a new connection.
    async fn connect(&self, store: &Store) -> Result<Connection, LedgerError>;

    /// Begins a write on the connection of the last write, or on a new one. After a failed write, first proves that the
    /// store can be written.
    async fn begin(
        &self,
        store: &Store,
        kept: Option<Connection>,
        scope: WriteScope,
    ) -> Result<Connection, LedgerError>;

    /// The size of the store in bytes.
    async fn size(&self, store: &Store) -> Result<u64, LedgerError>;

    /// Makes a table's next id higher than `highest`.
    async fn advance_ids(
        &self,
        write: &mut Transaction<'_>,
        table: &str,
        highest: i64,
    ) -> Result<(), LedgerError>;
}

/// How moves of recipients are written.
#[async_trait]
pub(super) trait MoveDriver: Send + Sync {
    /// Writes moves of recipients that are all expected to be valid; returns whether they were. If not, none is
    /// written. With `whole`, they get their own transaction.
    async fn move_all(
        &self,
        write: &mut Transaction<'_>,
        lease: Lease,
        moves: &RecipientMoves<'_>,
        whole: bool,
    ) -> Result<bool, LedgerError>;
}

/// How single sends are written.
#[async_trait]
pub(super) trait SendDriver: Send + Sync {
    /// As `sends::write`; `None` if an outcome was refused.
    async fn write_sends(
        &self,
        write: &mut Transaction<'_>,
        fresh: &[(i64, &NewSend)],
        state: RecipientState,
        settled: &[(i64, i64, &SendOutcome)],
    ) -> Result<Option<Vec<i64>>, LedgerError>;
}

/// What a store keeps, and for whom. The defaults are those of a store that outlives its process.
pub(super) trait RetentionDriver: Send + Sync {
    /// Returns an error if the store is no longer where it was opened.
    fn check_place(&self, _path: &Path) -> Result<(), LedgerError> {
        Ok(())
    }

    /// The writes that are acknowledged before they are written; `None` for a store that writes first.
    fn deferred(&self) -> Option<&DeferredWrites> {
        None
    }

    /// Whether messages that the store records reach a service.
    fn reaches_service(&self) -> bool {
        true
    }

    /// Whether other processes read the store and write commands to it.
    fn has_other_processes(&self) -> bool {
        true
    }

    /// Whether broadcasts are exported after they were sent.
    fn is_exported(&self) -> bool {
        true
    }
}

/// How instances show that they live.
#[async_trait]
pub(super) trait InstanceDriver: Send + Sync {
    /// An instance whose heartbeat expired before this instant (in milliseconds since 1970) counts as dead.
    fn dead_before(&self, store: &Store) -> i64 {
        store.now()
    }

    /// As [`Ledger::register`].
    async fn register(&self, ledger: &Ledger, name: &str) -> Result<Instance, LedgerError>;

    /// As [`Ledger::unregister`].
    async fn unregister(&self, _ledger: &Ledger, _owner: i64) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Returns the instances that are dead or seem to be.
    async fn dead(&self, store: &Store) -> Result<Vec<i64>, LedgerError>;

    /// As [`Ledger::is_known`].
    async fn is_known(&self, _store: &Store, _owner: i64) -> Result<bool, LedgerError> {
        Ok(true)
    }

    /// Returns whether an instance is alive.
    async fn lives(&self, write: &mut Transaction<'_>, instance: i64) -> Result<bool, LedgerError>;

    /// As [`Ledger::wait_for_driver_heartbeat`].
    async fn wait_for_driver(&self, ledger: &Ledger, id: BroadcastId) -> Result<bool, LedgerError>;
}

/// The active jobs of hosts.
#[async_trait]
pub(super) trait JobDriver: Send + Sync {
    /// As [`Ledger::register_jobs`]. `rows` are the jobs as JSON: name, script, times, decided until, version.
    async fn register_jobs(
        &self,
        write: &mut Transaction<'_>,
        instance: i64,
        rows: &str,
    ) -> Result<(), LedgerError>;

    /// As [`Ledger::must_register_jobs`].
    async fn must_register_jobs(&self, _store: &Store, _owner: i64) -> Result<bool, LedgerError> {
        Ok(false)
    }

    /// Returns those of these (job, version) pairs whose job is active elsewhere in another version.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Reaped`] if this instance was reaped.
    async fn active_elsewhere(
        &self,
        _write: &mut Transaction<'_>,
        _owner: i64,
        _jobs: &[(&str, &str)],
    ) -> Result<BTreeSet<String>, LedgerError> {
        Ok(BTreeSet::new())
    }

    /// As [`Ledger::jobs_elsewhere`].
    async fn jobs_elsewhere(
        &self,
        _store: &Store,
        _owner: i64,
        _jobs: &[String],
    ) -> Result<BTreeSet<String>, LedgerError> {
        Ok(BTreeSet::new())
    }
}

/// The drivers of broadcasts, and what each of them holds.
#[async_trait]
pub(super) trait LeaseDriver: Send + Sync {
    /// Returns whether the holder of a lease that was just read drives its broadcast.
    fn drives(&self, _store: &Store, _holder: &LeaseHolder) -> bool {
        true
    }

    /// As [`Ledger::claim`]. With `shared`, other drivers may send the broadcast too.
    async fn claim(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
        instance: i64,
        length: i64,
        shared: bool,
    ) -> Result<Option<Lease>, LedgerError>;

    /// As [`Ledger::release`].
    async fn release(&self, write: &mut Transaction<'_>, lease: Lease) -> Result<(), LedgerError>;

    /// Returns whether a live process drives the broadcast, whose row names `instance`.
    async fn is_driven(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
        instance: i64,
    ) -> Result<bool, LedgerError>;

    /// Returns whether other live processes drive the broadcast too.
    async fn has_other_drivers(
        &self,
        _write: &mut Transaction<'_>,
        _lease: Lease,
    ) -> Result<bool, LedgerError> {
        Ok(false)
    }

    /// Records whether a driver may still send to recipients of a ramp's stage that were released to it.
    async fn set_ramp_turn(
        &self,
        _write: &mut Transaction<'_>,
        _lease: Lease,
        _has: bool,
    ) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Returns whether another live driver may still send to recipients of a ramp's stage that were released to it.
    async fn others_have_ramp_turns(
        &self,
        _write: &mut Transaction<'_>,
        _lease: Lease,
    ) -> Result<bool, LedgerError> {
        Ok(false)
    }

    /// Ends all drivers of a broadcast that has ended, or of all broadcasts.
    async fn end_drivers(
        &self,
        _write: &mut Transaction<'_>,
        _id: Option<BroadcastId>,
    ) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Frees the recipients that drivers of a broadcast hold, after its plan was replaced.
    async fn forget_ranges(&self, _write: &mut Transaction<'_>, _id: BroadcastId) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Lets drivers look again for pending recipients with sequence numbers in `after + 1..=last`.
    async fn reopen_ranges(
        &self,
        _write: &mut Transaction<'_>,
        _id: BroadcastId,
        _after: i64,
        _last: i64,
    ) -> Result<(), LedgerError> {
        Ok(())
    }

    /// As [`Ledger::hand_back`].
    async fn hand_back(&self, _store: &Store, _lease: Lease) -> Result<(), LedgerError> {
        Ok(())
    }

    /// As [`Ledger::pending`], without the messages.
    async fn pending(
        &self,
        store: &Store,
        lease: Lease,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<PendingRow>, LedgerError>;

    /// Settles what dead drivers of a broadcast had in flight, as `to`; returns how many recipients.
    async fn take_over(
        &self,
        ledger: &Ledger,
        lease: Lease,
        to: RecipientState,
        error: Option<&str>,
    ) -> Result<u64, LedgerError>;

    /// Counts the recipients of a broadcast that are in flight without a live driver that would settle them.
    async fn count_abandoned(&self, write: &mut Transaction<'_>, id: BroadcastId)
    -> Result<i64, LedgerError>;
}
