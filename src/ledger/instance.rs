//! Instances, which hold leases and have sends in flight, and whether an instance is still alive. The store's driver
//! knows how an instance shows that it lives.

use std::sync::Arc;
use std::time::Duration;

use const_format::formatcp;

use crate::core::host_name;

use super::restores::may_send;
use super::sql::sql;
use super::state::recipient::SENDING;
use super::store::{Store, Transaction, millis};
use super::{BroadcastId, Ledger, LedgerError, RecipientState};

/// The error text of a send that is in doubt because its sender died.
pub const ENDED_BEFORE: &str = "its sender ended before the answer";

/// A live part of a program that drives broadcasts and sends. It is dead when its last clone is dropped.
#[derive(Debug, Clone)]
pub struct Instance(Arc<dyn Liveness>);

/// What keeps an instance alive until it is dropped.
pub(super) trait Liveness: std::fmt::Debug + Send + Sync {
    fn id(&self) -> i64;
}

impl Instance {
    pub(super) fn new(liveness: impl Liveness + 'static) -> Self {
        Self(Arc::new(liveness))
    }

    /// The instance's number. An instance that the others considered dead returns under a new number; others own what
    /// it held under the old one.
    pub fn id(&self) -> i64 {
        self.0.id()
    }
}

/// The state that dead instances left behind; see [`Ledger::reap_dead`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reaped {
    /// How many instances were found dead.
    pub instances: u64,
    /// How many single sends in flight are in doubt now.
    pub in_doubt: u64,
}

/// The row of an instance that registers.
pub(super) struct NewInstance<'a> {
    pub(super) name: &'a str,
    /// The name of its lock file, or any unique text on a store without lock files.
    pub(super) lock: &'a str,
    /// How long it is alive without a heartbeat; `None` if it sends none.
    pub(super) life: Option<Duration>,
}

impl NewInstance<'_> {
    /// Inserts the row; returns the instance's number.
    pub(super) async fn insert(&self, store: &Store) -> Result<i64, LedgerError> {
        let mut write = store.write().await?;
        let now = store.now();
        let statement = sql("INSERT INTO instances (name, pid, lock, since, host, program, alive_until)
                VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id")
        .bind(self.name)
        .bind(i64::from(std::process::id()))
        .bind(self.lock)
        .bind(now)
        .bind(host_name())
        .bind(env!("CARGO_PKG_VERSION"))
        .bind(self.life.map(|life| now + millis(life)));
        let id = match may_send(&mut write).await {
            Ok(()) => write.row::<(i64,)>(statement).await,
            Err(error) => Err(error),
        };
        let (id,) = write.end(id).await?.ok_or_else(|| store.record("no id for an instance"))?;
        Ok(id)
    }
}

impl Ledger {
    /// Registers an instance. `name` is the command that it runs; it is shown to people.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Restored`] while a restore of the ledger is not accepted.
    pub async fn register(&self, name: &str) -> Result<Instance, LedgerError> {
        self.store().driver.register(self, name).await
    }

    /// Unregisters this instance, so that no process waits until its heartbeat expires. The instance sends nothing
    /// afterwards.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails.
    pub async fn unregister(&self, instance: &Instance) -> Result<(), LedgerError> {
        self.store().driver.unregister(self, instance.id()).await
    }

    /// Finds dead instances, marks their single sends in flight as in doubt and their runs of the command line as interrupted. The next driver of a broadcast settles
    /// its recipients ([`Ledger::take_over`]).
    pub async fn reap_dead(&self) -> Result<Reaped, LedgerError> {
        let driver = &self.store().driver;
        let mut reaped = Reaped::default();
        for id in driver.dead(self.store()).await? {
            let moved = self.store().transaction(async |write| {
                if driver.lives(write, id).await? { Ok(None) } else { reap(write, id).await.map(Some) }
            });
            if let Some(moved) = moved.await? {
                reaped.instances += 1;
                reaped.in_doubt += moved;
            }
        }
        self.interrupt_dead_command_runs().await?;
        Ok(reaped)
    }

    /// Waits until the driver of a broadcast has sent a new heartbeat, or is known to be dead or gone. Returns whether
    /// it is alive. On a file store the answer is known at once.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails.
    pub async fn wait_for_driver_heartbeat(&self, id: BroadcastId) -> Result<bool, LedgerError> {
        self.store().driver.wait_for_driver(self, id).await
    }

    /// Returns whether an instance counts as alive. An instance that was reaped is unknown until it registers again.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails.
    pub async fn is_known(&self, instance: &Instance) -> Result<bool, LedgerError> {
        self.store().driver.is_known(self.store(), instance.id()).await
    }
}

/// Returns whether an instance has not been reaped.
pub(super) async fn is_known(write: &mut Transaction<'_>, instance: i64) -> Result<bool, LedgerError> {
    let row: Option<(i64,)> = write.row(sql("SELECT id FROM instances WHERE id = ?").bind(instance)).await?;
    Ok(row.is_some())
}

/// Returns whether the instance with this number is alive; `write` reads the current state of the ledger.
pub(super) async fn lives(write: &mut Transaction<'_>, instance: i64) -> Result<bool, LedgerError> {
    write.store.driver.lives(write, instance).await
}

/// Marks the single sends that a dead instance had in flight as in doubt; returns how many. The instance is deleted
/// first, so that it writes nothing any more.
pub(super) async fn reap(write: &mut Transaction<'_>, instance: i64) -> Result<u64, LedgerError> {
    write.run(sql("DELETE FROM instances WHERE id = ?").bind(instance)).await?;
    let doubts =
        sql(formatcp!("UPDATE sends SET state = ?, error = ? WHERE owner = ? AND state = {SENDING}"))
            .bind(RecipientState::InDoubt)
            .bind(ENDED_BEFORE)
            .bind(instance);
    write.run(doubts).await
}

/// The name of an instance, for people.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct InstanceName {
    /// The command that it runs.
    pub name: String,
    /// Its process id.
    #[sqlx(try_from = "i64")]
    pub pid: u64,
}

/// A row of `instances`, as far as people see it.
#[derive(sqlx::FromRow)]
pub(super) struct InstanceRow {
    pub(super) id: i64,
    #[sqlx(flatten)]
    pub(super) name: InstanceName,
}
