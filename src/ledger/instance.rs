//! Instances, which hold leases and have sends in flight, and whether an instance is still alive.
//!
//! On a file store, each instance keeps a lock file locked. The system releases the lock as soon as the process dies,
//! however it dies. That needs no heartbeat, and no clock that could be set back. On a store that many machines share,
//! an instance sends heartbeats instead (`heartbeat`).

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::AbortHandle;

use super::heartbeat::{self, Heartbeat, host_name};
use super::open::private;
use super::restores::may_send;
use super::sql::sql;
use super::store::{Transaction, count};
use super::{DeliveryState, Ledger, LedgerError};

/// The error text of a send that is in doubt because its sender died.
pub(super) const ENDED_BEFORE: &str = "its sender ended before the answer";

/// The folder of the lock files, next to the ledger.
pub(super) const FOLDER: &str = "owners";

/// A live part of a program that drives broadcasts and sends. It is dead when its last clone is dropped.
#[derive(Debug, Clone)]
pub struct Instance(Arc<InstanceLiveness>);

impl Instance {
    /// The instance's number. An instance that the others considered dead returns under a new number; others own what
    /// it held under the old one.
    pub fn id(&self) -> i64 {
        match &*self.0 {
            InstanceLiveness::Locked { id, .. } => *id,
            InstanceLiveness::Beating { pulse, .. } => pulse.id(),
        }
    }
}

#[derive(Debug)]
enum InstanceLiveness {
    /// Alive while a file is locked.
    Locked { id: i64, lock: File },
    /// Alive while it sends heartbeats.
    Beating { pulse: Arc<Heartbeat>, task: AbortHandle },
}

impl Drop for InstanceLiveness {
    fn drop(&mut self) {
        match self {
            // A child process that is just being spawned may hold the file open for a moment longer.
            Self::Locked { lock, .. } => drop(lock.unlock()),
            Self::Beating { task, .. } => task.abort(),
        }
    }
}

/// The state that dead instances left behind; see [`Ledger::reap_dead`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reaped {
    /// How many instances were found dead.
    pub owners: u64,
    /// How many single sends in flight are in doubt now.
    pub in_doubt: u64,
}

impl Ledger {
    /// Registers an instance. `name` is the command that it runs; it is shown to people.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Restored`] while a restore of the ledger is not accepted.
    pub async fn register(&self, name: &str) -> Result<Instance, LedgerError> {
        if self.is_shared() {
            let pulse = Heartbeat::start(self, name).await?;
            let task = tokio::spawn(Arc::clone(&pulse).beat(self.clone())).abort_handle();
            return Ok(Instance(Arc::new(InstanceLiveness::Beating { pulse, task })));
        }
        let folder = self.owners();
        let (lock_name, lock) =
            make_lock(&folder).map_err(|error| LedgerError::of_system(&folder, &error))?;
        let statement =
            sql("INSERT INTO owners (name, pid, lock, since, host, program) VALUES (?, ?, ?, ?, ?, ?) RETURNING id")
                .bind(name)
                .bind(i64::from(std::process::id()))
                .bind(lock_name)
                .bind(self.store().now())
                .bind(host_name())
                .bind(env!("CARGO_PKG_VERSION"));
        let mut write = self.store().write().await?;
        let id = match may_send(&mut write).await {
            Ok(()) => write.row(statement).await,
            Err(error) => Err(error),
        };
        let (id,): (i64,) = write.end(id).await?.ok_or_else(|| self.store().record("no id for an owner"))?;
        Ok(Instance(Arc::new(InstanceLiveness::Locked { id, lock })))
    }

    /// Finds dead instances and marks their single sends in flight as in doubt. The next driver of a broadcast settles
    /// its recipients ([`Ledger::take_over`]).
    pub async fn reap_dead(&self) -> Result<Reaped, LedgerError> {
        if self.is_shared() {
            return self.reap_silent().await;
        }
        let mut read = self.store().read().await?;
        let owners: Vec<(i64, String)> = read.rows(sql("SELECT id, lock FROM owners")).await?;
        read.done();
        let mut buried = Reaped::default();
        for (id, lock) in owners {
            let path = self.owners().join(lock);
            if is_alive(&path) {
                continue;
            }
            let mut write = self.store().write().await?;
            let moved = reap(&mut write, id).await;
            let moved = write.end(moved).await?;
            // The file has no meaning any more, so a failure to delete it does not matter.
            let _ = std::fs::remove_file(&path);
            buried.owners += 1;
            buried.in_doubt += moved;
        }
        Ok(buried)
    }

    /// Returns whether the instance with this lock file is alive, on a file store.
    pub(super) fn owner_lives(&self, lock: &str) -> bool {
        is_alive(&self.owners().join(lock))
    }

    fn owners(&self) -> PathBuf {
        self.store().path.with_file_name(FOLDER)
    }
}

/// Returns whether the instance with this number is alive; `write` reads the current state of the ledger.
pub(super) async fn lives(write: &mut Transaction<'_>, owner: i64) -> Result<bool, LedgerError> {
    if write.store.server().is_some() {
        return heartbeat::beats(write, owner).await;
    }
    let lock: Option<(String,)> = write.row(sql("SELECT lock FROM owners WHERE id = ?").bind(owner)).await?;
    let folder = write.store.path.with_file_name(FOLDER);
    Ok(lock.is_some_and(|(lock,)| is_alive(&folder.join(lock))))
}

/// Marks the single sends that a dead instance had in flight as in doubt; returns how many. The instance is deleted
/// first, so that it writes nothing any more.
pub(super) async fn reap(write: &mut Transaction<'_>, owner: i64) -> Result<u64, LedgerError> {
    let now = write.store.now();
    write.run(sql("DELETE FROM owners WHERE id = ?").bind(owner)).await?;
    let doubts = sql("UPDATE sends SET state = ?, error = ?, updated_at = ? WHERE owner = ? AND state = 1")
        .bind(DeliveryState::InDoubt.number())
        .bind(ENDED_BEFORE)
        .bind(now)
        .bind(owner);
    write.run(doubts).await
}

fn make_lock(folder: &Path) -> std::io::Result<(String, File)> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    loop {
        let name = format!("{:016x}", rand::random::<u64>());
        match private().create_new(true).open(folder.join(&name)) {
            Ok(lock) => {
                lock.lock()?;
                return Ok((name, lock));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// An instance is alive while its file is locked. If that cannot be determined, it counts as alive: the opposite error
/// could send messages twice, while this one only delays them.
pub(super) fn is_alive(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock | TryLockError::Error(_))),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// The name of an instance, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceName {
    /// The command that it runs.
    pub name: String,
    /// Its process id.
    pub pid: u64,
}

impl InstanceName {
    pub(super) fn new(name: String, pid: i64) -> Self {
        Self { name, pid: count(pid) }
    }
}
