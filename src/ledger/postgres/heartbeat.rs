//! The heartbeat of an instance on a store that many machines share. An instance sends several heartbeats before the
//! other instances consider it dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::ledger::instance::{Liveness, NewInstance, reap};
use crate::ledger::sql::{Statement, sql};
use crate::ledger::store::{Transaction, millis};
use crate::ledger::{BroadcastId, Instance, Ledger, LedgerError, Reaped};

use super::migrate::still_readable;

/// An instance without a heartbeat for this long is dead.
pub(in crate::ledger) const LIFE: Duration = Duration::from_secs(10);
/// The interval between heartbeats.
const BEAT: Duration = Duration::from_millis(2500);
/// How often a process that waits for a heartbeat polls for it.
const LOOK: Duration = Duration::from_millis(500);

/// An instance that sends heartbeats.
#[derive(Debug)]
struct Heartbeat {
    id: AtomicI64,
    name: String,
}

impl Heartbeat {
    /// Inserts the row of the instance.
    async fn insert_row(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        let lock = format!("{:032x}", rand::random::<u128>());
        let row = NewInstance { name: &self.name, lock: &lock, life: Some(LIFE) };
        let id = row.insert(ledger.store()).await?;
        self.id.store(id, Ordering::Relaxed);
        Ok(())
    }

    /// Sends heartbeats for as long as the program runs. Other instances may have reaped an instance that could not
    /// send one for too long. They then own what it held, and it registers again under a new number.
    async fn beat(self: Arc<Self>, ledger: Ledger) {
        let clock = ledger.store().clock.clone();
        loop {
            clock.sleep(BEAT).await;
            match self.beat_once(&ledger).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(
                        "the other hosts declared this process dead because it sent no heartbeat for {} s; \
                         they take over its broadcasts and runs",
                        LIFE.as_secs()
                    );
                    if let Err(error) = self.insert_row(&ledger).await {
                        tracing::warn!("this process cannot register again yet: {error}");
                    }
                }
                Err(error) => tracing::debug!("could not write the heartbeat: {error}"),
            }
        }
    }

    /// Sends one heartbeat; returns whether this instance is still registered.
    async fn beat_once(&self, ledger: &Ledger) -> Result<bool, LedgerError> {
        let store = ledger.store();
        let mut read = store.read_now().await?;
        still_readable(store, &mut read).await.inspect_err(|error| {
            if matches!(error, LedgerError::Newer { .. }) {
                store.outdated(error);
            }
        })?;
        read.done();
        let mut write = store.write().await?;
        let beaten = write.run(self.beat_statement(store.now())).await;
        Ok(write.end(beaten).await? > 0)
    }

    fn beat_statement(&self, now: i64) -> Statement {
        sql("UPDATE owners SET alive_until = ? WHERE id = ?")
            .bind(now + millis(LIFE))
            .bind(self.id.load(Ordering::Relaxed))
    }
}

/// An instance with the task that sends its heartbeats.
#[derive(Debug)]
struct BeatingInstance {
    heartbeat: Arc<Heartbeat>,
    task: AbortHandle,
}

impl Liveness for BeatingInstance {
    fn id(&self) -> i64 {
        self.heartbeat.id.load(Ordering::Relaxed)
    }
}

impl Drop for BeatingInstance {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// As [`Ledger::register`].
pub(super) async fn register(ledger: &Ledger, name: &str) -> Result<Instance, LedgerError> {
    let heartbeat = Arc::new(Heartbeat { id: AtomicI64::new(0), name: name.to_owned() });
    heartbeat.insert_row(ledger).await?;
    let task = tokio::spawn(Arc::clone(&heartbeat).beat(ledger.clone())).abort_handle();
    Ok(Instance::new(BeatingInstance { heartbeat, task }))
}

/// As [`Ledger::unregister`].
pub(super) async fn unregister(ledger: &Ledger, owner: i64) -> Result<(), LedgerError> {
    let mut write = ledger.store().write().await?;
    let result = reap(&mut write, owner).await.map(drop);
    write.end(result).await
}

/// As [`Ledger::wait_for_driver_heartbeat`].
pub(super) async fn wait_for_driver(ledger: &Ledger, id: BroadcastId) -> Result<bool, LedgerError> {
    let store = ledger.store();
    let mut heard = None;
    loop {
        let question = sql("SELECT o.id, o.alive_until FROM broadcasts b JOIN owners o ON o.id = b.owner
                WHERE b.id = ? AND o.alive_until >= ?");
        let mut read = store.read_now().await?;
        let now: Option<(i64, i64)> = read.row(question.bind(id.0).bind(store.dead_before())).await?;
        read.done();
        match (now, heard) {
            (None, _) => return Ok(false),
            (Some(now), Some(before)) if now != before => return Ok(true),
            _ => heard = now,
        }
        store.clock.sleep(LOOK).await;
    }
}

/// As [`Ledger::reap_dead`].
pub(super) async fn reap_dead(ledger: &Ledger) -> Result<Reaped, LedgerError> {
    let store = ledger.store();
    let mut read = store.read().await?;
    let question = sql("SELECT id FROM owners WHERE alive_until < ?").bind(store.dead_before());
    let owners: Vec<(i64,)> = read.rows(question).await?;
    read.done();
    let mut reaped = Reaped::default();
    for (id,) in owners {
        let mut write = store.write().await?;
        let result = async {
            if lives(&mut write, id).await? { Ok(None) } else { reap(&mut write, id).await.map(Some) }
        }
        .await;
        if let Some(moved) = write.end(result).await? {
            reaped.owners += 1;
            reaped.in_doubt += moved;
        }
    }
    Ok(reaped)
}

/// Returns whether the heartbeat of an instance has not expired.
pub(super) async fn lives(write: &mut Transaction<'_>, owner: i64) -> Result<bool, LedgerError> {
    let question = sql("SELECT id FROM owners WHERE id = ? AND alive_until >= ?").bind(owner);
    let row: Option<(i64,)> = write.row(question.bind(write.store.dead_before())).await?;
    Ok(row.is_some())
}
