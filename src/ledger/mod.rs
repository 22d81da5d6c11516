//! The durable store: broadcasts and their recipients, single sends, uploads, job runs, and the scripts' data.
//!
//! All SQL of the program is in this module. The store is SQLite in one file, or a Postgres server that the hosts of a
//! fleet share. The module's interface hides which one it is, except for the functions that only a fleet needs.
//!
//! When an awaited write returns, its data is on disk and survives a power cut. After a failed write, every further
//! write first proves that the store works again, and fails with [`StoreFault::Unhealthy`] until it does. A caller
//! that sends only after its intent was acknowledged therefore sends nothing meanwhile.
//!
//! Any number of processes may have the same ledger open. No lock is held from one call to the next. A process writes
//! a broadcast only while it holds the broadcast's [`Lease`]; in a fleet, several processes can hold one. The lease's
//! number fences off all earlier holders.
//!
//! Instants are durations since 1970-01-01T00:00:00Z, as [`Clock::unix_time`] returns them, kept to the millisecond.

mod activity;
mod alerts;
mod announcements;
mod app_keys;
mod app_tokens;
mod attachments;
mod audit;
mod audit_chain;
mod backup;
mod broadcast;
mod callbacks;
mod claims;
mod columns;
mod command_runs;
mod commit;
mod commit_request;
mod connection;
mod copy;
mod data;
mod deferred;
mod doubts;
mod driver;
mod error;
mod events;
mod examine;
mod fault;
mod figures;
mod files;
mod fleet;
mod flush;
mod history;
mod hooks;
mod hosts;
mod inspection;
mod instance;
mod job_registry;
mod jobs;
mod kept_outcomes;
mod migrate;
mod moves;
mod orphaned_runs;
mod output_write;
mod postgres;
mod prune;
mod queue;
mod registered_job;
mod rehearsals;
mod requested_runs;
mod reservation;
mod reservations;
mod restores;
mod run_files;
mod run_links;
mod run_output;
mod scripts;
mod senders;
mod sends;
mod shares;
mod single_edits;
mod sql;
mod sqlite;
mod state;
mod store;
mod suppression_lookups;
mod suppressions;
mod table_row;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;
mod transfer;
mod uploads;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub use crate::core::{
    BroadcastCommand, BroadcastStage, CommandLineStart, InDoubtPolicy, JobCommand, JobState, OutputLine,
    OutputStream, RecipientCounts, RecipientState, RunRequest,
};
pub use activity::{Activity, NewActivity};
pub use alerts::{AdoptedAlerts, AlertAddress, DueAlert, StoredAlerts, UndeliveredAlerts};
pub use announcements::{AnnouncementQuota, AnnouncementTurn, AnnouncementUse};
pub use attachments::Attachment;
pub use audit::{AuditCheck, AuditFilter};
pub use audit_chain::AuditEntry;
pub use backup::{BackupStep, ReplacedLedger};
pub use broadcast::*;
pub use callbacks::{CallbackActivity, CallbackContent, NewCallback, ReadReceipt, StoredCallbacks};
pub use command_runs::{InterruptedRun, NewCommandRun};
pub use data::AddResult;
pub use doubts::{BroadcastDoubts, Doubts, RecipientSettlement, SendDoubt, SendSettlement, SettledCounts};
pub use error::LedgerError;
pub use events::NewJobEvent;
pub use fault::StoreFault;
pub use files::SentFile;
pub use history::{HistoryRead, HistoryTurn, ServiceRecord};
pub use hooks::{HookAcceptance, NewHookRequest};
pub use hosts::Host;
pub use inspection::StoreInspection;
pub use instance::{ENDED_BEFORE, Instance, InstanceName};
pub use job_registry::{JobRow, PendingJobCommand, PreviousSchedule};
pub use jobs::{BeginResult, DecidedUntil, EndedRun, JobClaim, JobRun, JobRunAction, NewJobRun};
pub use orphaned_runs::OrphanedRun;
pub use output_write::{NewOutput, OutputWrite};
pub use prune::PruneCounts;
pub use registered_job::RegisteredJob;
pub use rehearsals::{NewRehearsal, RehearsalRow};
pub use reservation::{CapRule, Unreserved};
pub use restores::PendingRestore;
pub use run_files::{ALL_RUN_FILES, KeepFileResult};
pub use run_output::{OutputPart, RunOutput};
pub use scripts::ScriptRow;
pub use sends::{BeginSendResult, NewSend, SendFilter, SendOutcome, SendRow, SendTicket};
pub use shares::QuotaClaim;
pub use single_edits::{BeginEditResult, NewEdit};
pub use sqlite::FILE as LEDGER_FILE;
pub use suppressions::{NewSuppressions, Suppression, SuppressionFilter};
pub use tokens::{AccessToken, NewAccessToken};
pub use transfer::CopyError;
pub use versions::{StoredModule, StoredScript};

use secrecy::{ExposeSecret as _, SecretString};
use sql::sql;

use crate::clock::Clock;

use inspection::ServerInspection;
use instance::Reaped;
use migrate::MigrationVersions;
use queue::CommitQueue;
use store::Store;

/// The durable store. Cheap to clone; all clones share its connections.
#[derive(Clone)]
pub struct Ledger(Arc<LedgerInner>);

struct LedgerInner {
    store: Arc<Store>,
    queue: CommitQueue,
    message_cache: broadcast::MessageCache,
    dedups: broadcast::DedupRegistry,
    kept_outcomes: kept_outcomes::KeptOutcomes,
    suppression_lookups: suppression_lookups::SuppressionLookups,
    /// How many times this process added to the suppression list.
    suppressed: AtomicU64,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Ledger").field(&self.0.store.path).finish()
    }
}

/// Where a ledger is stored.
#[derive(Debug, Clone)]
pub enum LedgerLocation {
    /// A file in a folder of this machine. Only processes of this machine can use it.
    Folder(PathBuf),
    /// The address of a Postgres server with its credentials. The hosts of a fleet share it.
    Server(SecretString),
}

impl LedgerLocation {
    /// Returns the path of the ledger's file if that file does not exist. A caller that only reads checks this first,
    /// because opening creates the file.
    pub fn missing_file(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.join(LEDGER_FILE)).filter(|file| !file.is_file()),
            Self::Server(_) => None,
        }
    }
}

/// The number of an app in the ledger; see [`Ledger::app`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct AppId(pub(crate) i64);

impl Ledger {
    /// Opens the ledger in `folder`. Creates the folder if it does not exist, readable by its owner only. Must be
    /// called within a tokio runtime, because the ledger's writer task runs in it.
    ///
    /// # Errors
    ///
    /// [`StoreFault::Newer`], [`StoreFault::Corrupt`], [`StoreFault::ReadOnly`], [`StoreFault::Full`],
    /// [`StoreFault::Io`] or [`StoreFault::Locked`]: anything that would keep a send from being recorded.
    pub async fn open(folder: &Path, clock: Clock) -> Result<Self, LedgerError> {
        Self::with(sqlite::open(folder, clock).await?.0).of_one_spelling().await
    }

    /// Opens a temporary ledger, as a rehearsal uses. Its data need not reach the disk. Moves of recipients are
    /// acknowledged at once and written before the next read.
    pub async fn open_scratch(folder: &Path, clock: Clock) -> Result<Self, LedgerError> {
        let ledger = Self::with(sqlite::open_scratch(folder, clock).await?);
        // Nobody can approve anything in a copy.
        ledger.change(sql::sql("UPDATE broadcasts SET needs_approval = 0 WHERE needs_approval = 1")).await?;
        Ok(ledger)
    }

    /// As [`Self::open_scratch`], with each move written at its time: a Lua test's simulated service has records that are
    /// compared with these times.
    pub async fn open_timed_scratch(folder: &Path, clock: Clock) -> Result<Self, LedgerError> {
        Ok(Self::with(sqlite::open_timed_scratch(folder, clock).await?))
    }

    pub async fn open_at(location: &LedgerLocation, clock: Clock) -> Result<Self, LedgerError> {
        Ok(Self::opened(location, clock).await?.0)
    }

    /// Opens a ledger, which migrates its schema to the newest version. Returns the ledger, the schema's version before
    /// (0 if there was no schema) and its version now.
    pub async fn migrate(location: &LedgerLocation, clock: Clock) -> Result<(Self, i64, i64), LedgerError> {
        let (ledger, MigrationVersions { found, now }) = Self::opened(location, clock).await?;
        Ok((ledger, found, now))
    }

    async fn opened(
        location: &LedgerLocation,
        clock: Clock,
    ) -> Result<(Self, MigrationVersions), LedgerError> {
        let (store, step) = match location {
            LedgerLocation::Folder(folder) => sqlite::open(folder, clock).await?,
            LedgerLocation::Server(address) => postgres::open(address.expose_secret(), clock).await?,
        };
        Ok((Self::with(store).of_one_spelling().await?, step))
    }

    async fn of_one_spelling(self) -> Result<Self, LedgerError> {
        self.unify_app_keys().await?;
        Ok(self)
    }

    fn with(store: Store) -> Self {
        let store = Arc::new(store);
        let queue = CommitQueue::start(Arc::clone(&store));
        Self(Arc::new(LedgerInner {
            store,
            queue,
            message_cache: broadcast::MessageCache::default(),
            dedups: broadcast::DedupRegistry::default(),
            kept_outcomes: kept_outcomes::KeptOutcomes::default(),
            suppression_lookups: suppression_lookups::SuppressionLookups::default(),
            suppressed: AtomicU64::new(0),
        }))
    }

    /// Returns the path of the ledger's file, or the server's address without credentials.
    pub fn path(&self) -> &Path {
        &self.0.store.path
    }

    /// Returns the size of the ledger in bytes, including data that is not yet in its main file.
    pub async fn size(&self) -> Result<u64, LedgerError> {
        self.store().driver.size(self.store()).await
    }

    /// Returns whether the last write succeeded.
    pub fn is_healthy(&self) -> bool {
        self.0.store.is_healthy()
    }

    /// Writes to the store, to test whether writing works.
    ///
    /// # Errors
    ///
    /// [`StoreFault::Unhealthy`] if writing failed before and still fails; any error of the store if writing worked
    /// before.
    pub async fn probe(&self) -> Result<(), LedgerError> {
        self.store().prove().await
    }

    /// Returns the app with this key (`config::App::key`: address, org and name). A new key is stored.
    pub async fn app(&self, key: &str) -> Result<AppId, LedgerError> {
        let (id,) = self
            .store()
            .transaction(async |write| {
                write.run(sql("INSERT INTO apps (key) VALUES (?) ON CONFLICT DO NOTHING").bind(key)).await?;
                write.row::<(i64,)>(sql("SELECT id FROM apps WHERE key = ?").bind(key)).await
            })
            .await?
            .ok_or_else(|| self.store().record("no id for an app"))?;
        Ok(AppId(id))
    }

    pub async fn known_app(&self, key: &str) -> Result<Option<AppId>, LedgerError> {
        let row: Option<(i64,)> =
            self.store().row_now(sql("SELECT id FROM apps WHERE key = ?").bind(key)).await?;
        Ok(row.map(|(id,)| AppId(id)))
    }

    fn store(&self) -> &Store {
        &self.0.store
    }
}
