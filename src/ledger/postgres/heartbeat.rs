//! The heartbeat of an instance on a store that many machines share. An instance sends several heartbeats before the
//! other instances consider it dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::AbortHandle;

use crate::ledger::driver::InstanceDriver;
use crate::ledger::instance::{Liveness, NewInstance, is_known, reap};
use crate::ledger::sql::{Statement, sql};
use crate::ledger::store::{Store, Transaction, millis};
use crate::ledger::{BroadcastId, Instance, Ledger, LedgerError, StoreFault};

use super::migrate::still_readable;
use super::server::PostgresServer;

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
            if matches!(error, LedgerError::Store(StoreFault::Newer { .. })) {
                store.outdated(error);
            }
        })?;
        read.done();
        Ok(store.change(self.beat_statement(store.now())).await? > 0)
    }

    fn beat_statement(&self, now: i64) -> Statement {
        sql("UPDATE instances SET alive_until = ? WHERE id = ?")
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

/// The instance that drives a broadcast, and when its latest heartbeat expires.
#[derive(PartialEq, Clone, Copy, sqlx::FromRow)]
struct DriverHeartbeat {
    id: i64,
    alive_until: i64,
}

#[async_trait]
impl InstanceDriver for PostgresServer {
    fn dead_before(&self, store: &Store) -> i64 {
        self.dead_since(store)
    }

    async fn register(&self, ledger: &Ledger, name: &str) -> Result<Instance, LedgerError> {
        let heartbeat = Arc::new(Heartbeat { id: AtomicI64::new(0), name: name.to_owned() });
        heartbeat.insert_row(ledger).await?;
        let task = tokio::spawn(Arc::clone(&heartbeat).beat(ledger.clone())).abort_handle();
        Ok(Instance::new(BeatingInstance { heartbeat, task }))
    }

    async fn unregister(&self, ledger: &Ledger, instance: i64) -> Result<(), LedgerError> {
        ledger.store().transaction(async |write| reap(write, instance).await.map(drop)).await
    }

    async fn dead(&self, store: &Store) -> Result<Vec<i64>, LedgerError> {
        let question = sql("SELECT id FROM instances WHERE alive_until < ?").bind(store.dead_before());
        let dead: Vec<(i64,)> = store.rows(question).await?;
        Ok(dead.into_iter().map(|(id,)| id).collect())
    }

    async fn is_known(&self, store: &Store, instance: i64) -> Result<bool, LedgerError> {
        store.transaction(async |write| is_known(write, instance).await).await
    }

    async fn lives(&self, write: &mut Transaction<'_>, instance: i64) -> Result<bool, LedgerError> {
        let question = sql("SELECT id FROM instances WHERE id = ? AND alive_until >= ?").bind(instance);
        let row: Option<(i64,)> = write.row(question.bind(write.store.dead_before())).await?;
        Ok(row.is_some())
    }

    async fn wait_for_driver(&self, ledger: &Ledger, id: BroadcastId) -> Result<bool, LedgerError> {
        let store = ledger.store();
        let mut heard = None;
        loop {
            let question =
                sql("SELECT o.id, o.alive_until FROM broadcasts b JOIN instances o ON o.id = b.owner
                    WHERE b.id = ? AND o.alive_until >= ?");
            let now: Option<DriverHeartbeat> =
                store.row_now(question.bind(id.0).bind(store.dead_before())).await?;
            match (now, heard) {
                (None, _) => return Ok(false),
                (Some(now), Some(before)) if now != before => return Ok(true),
                _ => heard = now,
            }
            store.clock.sleep(LOOK).await;
        }
    }
}
