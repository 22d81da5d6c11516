//! The durable store: broadcasts and their recipients, single sends, uploads, job runs, the scripts' data.
//!
//! All SQL of the house is in this module, and nothing of the store that is behind it (SQLite in one file, or a Postgres
//! server that the hosts of a fleet share) shows in its interface, but for what a fleet alone has. What a caller awaited is on the disk: a power cut does not undo it. After a write that failed, every
//! further write proves first that the store works again, and fails with [`LedgerError::Unhealthy`] until it does; so
//! whoever sends only after an intent was acknowledged sends nothing meanwhile.
//!
//! Any number of processes may have the same ledger open. No lock is held from one call to the next. A broadcast is
//! written by the one who holds its [`Lease`], or in a fleet by those who do, and its number fences off all who held one
//! before.
//!
//! Instants are durations since 1970-01-01T00:00:00Z, as [`Clock::unix_time`] gives them, kept to the millisecond.
//!
//! May import: `clock`, `config`, `message`.

mod activity;
mod alerts;
mod app_tokens;
mod backup;
mod broadcast;
mod claims;
mod commit;
mod connection;
mod copy;
mod data;
mod deferred;
mod error;
mod examine;
mod figures;
mod files;
mod heartbeat;
mod hooks;
mod hosts;
mod inspection;
mod instance;
mod job_registry;
mod jobs;
mod moves;
mod open;
mod postgres;
mod prune;
mod queue;
mod requested_runs;
mod restores;
mod scripts;
mod sends;
mod shares;
mod sql;
mod state;
mod store;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;
mod transfer;
mod uploads;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use activity::{Activity, NewActivity};
pub use alerts::DueAlert;
pub use app_tokens::{StoredAppToken, TokenTurn};
pub use backup::{BackupError, BackupInfo, BackupStep, ReplacedLedger, RestoredLedger};
pub use broadcast::*;
pub use data::AddResult;
pub use error::LedgerError;
pub use examine::ConsistencyReport;
pub use files::SentFile;
pub use hooks::{HookAcceptance, NewHookRequest};
pub use hosts::Host;
pub use inspection::{ServerInspection, StoreInspection};
pub use instance::{Instance, InstanceName, Reaped};
pub use job_registry::{JobControl, JobRow, PendingJobCommand, PreviousSchedule, RegisteredJob};
pub use jobs::{BeginResult, DecidedUntil, EndedRun, JobClaim, JobRun, JobRunAction, NewJobRun, OrphanedRun};
pub use open::FILE as LEDGER_FILE;
pub use prune::PruneCounts;
pub use restores::{PendingRestore, UncertainBroadcast};
pub use scripts::ScriptRow;
pub use sends::{BeginSendResult, NewSend, SendFilter, SendOutcome, SendRow, SendTicket};
pub use shares::{QuotaClaim, QuotaShare};
pub use state::{BroadcastCommand, BroadcastStage, DeliveryState, JobCommand, JobState, RecipientCounts};
pub use tokens::TokenRole;
pub use transfer::{CopiedTable, CopyError, CopySummary};
pub use versions::{StoredModule, StoredScript};

use secrecy::{ExposeSecret as _, SecretString};
use sql::sql;

use crate::clock::Clock;

use queue::CommitQueue;
use store::Store;

/// The durable store. Cheap to clone; all clones share its connections.
#[derive(Clone)]
pub struct Ledger(Arc<LedgerInner>);

struct LedgerInner {
    store: Arc<Store>,
    queue: CommitQueue,
    shelf: broadcast::MessageCache,
    desks: broadcast::DedupRegistry,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Ledger").field(&self.0.store.path).finish()
    }
}

/// Where a ledger is.
#[derive(Debug, Clone)]
pub enum LedgerLocation {
    /// A file in a folder of this machine, for the programs of this machine.
    Folder(PathBuf),
    /// A Postgres server's address with its credentials, for the hosts of a fleet.
    Server(SecretString),
}

impl LedgerLocation {
    /// The ledger's file that ought to be here where none is: looking must not make one.
    #[must_use]
    pub fn missing_file(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.join(open::FILE)).filter(|file| !file.is_file()),
            Self::Server(_) => None,
        }
    }
}

/// An app as the ledger knows it; see [`Ledger::app`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(pub(crate) i64);

impl Ledger {
    /// Opens the ledger in `folder` (made where there is none, for its owner alone). Must be called within a tokio
    /// runtime; the ledger's writer lives there.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Newer`], [`LedgerError::Corrupt`], [`LedgerError::ReadOnly`], [`LedgerError::Full`],
    /// [`LedgerError::Io`] or [`LedgerError::Locked`]: whatever would keep a send from being recorded.
    pub async fn open(folder: &Path, clock: Clock) -> Result<Self, LedgerError> {
        Ok(Self::with(open::open(folder, clock, false).await?.0))
    }

    /// The same for a ledger that is thrown away in the end, as a rehearsal's is: nothing has to be on the disk, and
    /// moves of recipients are acknowledged at once and written when somebody looks.
    ///
    /// # Errors
    ///
    /// As [`Ledger::open`].
    pub async fn open_scratch(folder: &Path, clock: Clock) -> Result<Self, LedgerError> {
        Ok(Self::with(open::open(folder, clock, true).await?.0))
    }

    /// Opens the ledger that a place names.
    ///
    /// # Errors
    ///
    /// As [`Ledger::open`]; of a server [`LedgerError::Away`] and [`LedgerError::Denied`] too.
    pub async fn open_at(place: &LedgerLocation, clock: Clock) -> Result<Self, LedgerError> {
        Ok(Self::opened(place, clock).await?.0)
    }

    /// Brings the schema of a place to the newest version, as whoever opens it does. Gives the version that was found, 0
    /// where there was none, and the one that it has now.
    ///
    /// # Errors
    ///
    /// As [`Ledger::open_at`].
    pub async fn migrate(place: &LedgerLocation, clock: Clock) -> Result<(Self, i64, i64), LedgerError> {
        let (ledger, (found, now)) = Self::opened(place, clock).await?;
        Ok((ledger, found, now))
    }

    async fn opened(
        place: &LedgerLocation,
        clock: Clock,
    ) -> Result<(Self, open::MigrationVersions), LedgerError> {
        let (store, step) = match place {
            LedgerLocation::Folder(folder) => open::open(folder, clock, false).await?,
            LedgerLocation::Server(address) => open::open_server(address.expose_secret(), clock).await?,
        };
        Ok((Self::with(store), step))
    }

    fn with(store: Store) -> Self {
        let store = Arc::new(store);
        let queue = CommitQueue::start(Arc::clone(&store));
        Self(Arc::new(LedgerInner {
            store,
            queue,
            shelf: broadcast::MessageCache::default(),
            desks: broadcast::DedupRegistry::default(),
        }))
    }

    /// The ledger's file, or the server's address without credentials.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.store.path
    }

    /// The bytes that it takes, with what is not yet in its file.
    ///
    /// # Errors
    ///
    /// Faults of a server.
    pub async fn size(&self) -> Result<u64, LedgerError> {
        if self.is_shared() {
            return inspection::size_at_server(self.store()).await;
        }
        let path = self.path().display();
        let parts = [format!("{path}"), format!("{path}-wal")];
        Ok(parts.iter().filter_map(|part| std::fs::metadata(part).ok()).map(|part| part.len()).sum())
    }

    /// Whether the last write went well.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.0.store.is_healthy()
    }

    /// Writes, to see whether that works.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unhealthy`] when it still does not, and any fault of the store when it did before.
    pub async fn probe(&self) -> Result<(), LedgerError> {
        let mut write = self.store().write().await?;
        let beaten = write.run(sql(store::PROOF)).await.map(drop);
        write.end(beaten).await
    }

    /// The app of this key (`config::App::key`: address, org and name), remembered when it is new.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn app(&self, key: &str) -> Result<AppId, LedgerError> {
        let mut write = self.store().write().await?;
        let id = async {
            write.run(sql("INSERT INTO apps (key) VALUES (?) ON CONFLICT DO NOTHING").bind(key)).await?;
            write.row::<(i64,)>(sql("SELECT id FROM apps WHERE key = ?").bind(key)).await
        }
        .await;
        let (id,) = write.end(id).await?.ok_or_else(|| self.store().record("no id for an app"))?;
        Ok(AppId(id))
    }

    /// The app of this key, if it is known.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn known_app(&self, key: &str) -> Result<Option<AppId>, LedgerError> {
        let mut read = self.store().read_now().await?;
        let row: Option<(i64,)> = read.row(sql("SELECT id FROM apps WHERE key = ?").bind(key)).await?;
        read.done();
        Ok(row.map(|(id,)| AppId(id)))
    }

    fn store(&self) -> &Store {
        &self.0.store
    }
}
