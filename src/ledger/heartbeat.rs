//! The heartbeat of an instance on a store that many machines share. An instance sends several heartbeats before the
//! other instances consider it dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::instance::{Instance, Reaped, reap};
use super::restores::may_send;
use super::sql::{Statement, sql};
use super::store::{Transaction, millis};
use super::{BroadcastId, Ledger, LedgerError, postgres};

/// An instance without a heartbeat for this long is dead.
pub(super) const LIFE: Duration = Duration::from_secs(10);
/// The interval between heartbeats.
const BEAT: Duration = Duration::from_millis(2500);
/// How often a process that waits for a heartbeat polls for it.
const LOOK: Duration = Duration::from_millis(500);

/// An instance that sends heartbeats.
#[derive(Debug)]
pub(super) struct Heartbeat {
    id: AtomicI64,
    name: String,
}

impl Heartbeat {
    /// Registers an instance with this name.
    pub(super) async fn start(ledger: &Ledger, name: &str) -> Result<Arc<Self>, LedgerError> {
        let pulse = Self { id: AtomicI64::new(0), name: name.to_owned() };
        pulse.insert_row(ledger).await?;
        Ok(Arc::new(pulse))
    }

    pub(super) fn id(&self) -> i64 {
        self.id.load(Ordering::Relaxed)
    }

    /// Inserts the row of the instance.
    async fn insert_row(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        let mut write = ledger.store().write().await?;
        let now = write.store.now();
        let statement = sql("INSERT INTO owners (name, pid, lock, since, host, program, alive_until)
                VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id")
        .bind(self.name.as_str())
        .bind(i64::from(std::process::id()))
        .bind(format!("{:032x}", rand::random::<u128>()))
        .bind(now)
        .bind(host_name())
        .bind(env!("CARGO_PKG_VERSION"))
        .bind(now + millis(LIFE));
        let id = match may_send(&mut write).await {
            Ok(()) => write.row::<(i64,)>(statement).await,
            Err(error) => Err(error),
        };
        let (id,) = write.end(id).await?.ok_or_else(|| ledger.store().record("no id for an owner"))?;
        self.id.store(id, Ordering::Relaxed);
        Ok(())
    }

    /// Sends heartbeats for as long as the program runs. Other instances may have reaped an instance that could not
    /// send one for too long. They then own what it held, and it registers again under a new number.
    pub(super) async fn beat(self: Arc<Self>, ledger: Ledger) {
        let clock = ledger.store().clock.clone();
        loop {
            clock.sleep(BEAT).await;
            match self.beat_once(&ledger).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(
                        "the others took this process for dead, as it was silent for {} s; what it was sending is theirs",
                        LIFE.as_secs()
                    );
                    if let Err(error) = self.insert_row(&ledger).await {
                        tracing::warn!("this process cannot come back yet: {error}");
                    }
                }
                Err(error) => tracing::debug!("no sign of life: {error}"),
            }
        }
    }

    /// Sends one heartbeat; returns whether this instance is still registered.
    async fn beat_once(&self, ledger: &Ledger) -> Result<bool, LedgerError> {
        let store = ledger.store();
        let mut read = store.read_now().await?;
        postgres::still_readable(store, &mut read).await.inspect_err(|error| {
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
        sql("UPDATE owners SET alive_until = ? WHERE id = ?").bind(now + millis(LIFE)).bind(self.id())
    }
}

impl Ledger {
    /// Unregisters this instance, so that no process waits until its heartbeat expires. The instance sends nothing
    /// afterwards.
    pub async fn unregister(&self, owner: &Instance) -> Result<(), LedgerError> {
        if !self.is_shared() {
            return Ok(());
        }
        let mut write = self.store().write().await?;
        let result = reap(&mut write, owner.id()).await.map(drop);
        write.end(result).await
    }

    /// Waits until the driver of a broadcast has sent a new heartbeat, or is known to be dead or gone. Returns whether
    /// it is alive. On a file store the answer is known at once.
    pub async fn wait_for_driver_heartbeat(&self, id: BroadcastId) -> Result<bool, LedgerError> {
        if !self.is_shared() {
            return Ok(self.show(id).await?.driver.is_some());
        }
        let mut heard = None;
        loop {
            let question = sql("SELECT o.id, o.alive_until FROM broadcasts b JOIN owners o ON o.id = b.owner
                    WHERE b.id = ? AND o.alive_until >= ?");
            let mut read = self.store().read_now().await?;
            let question = question.bind(id.0).bind(self.store().dead_before());
            let now: Option<(i64, i64)> = read.row(question).await?;
            read.done();
            match (now, heard) {
                (None, _) => return Ok(false),
                (Some(now), Some(before)) if now != before => return Ok(true),
                _ => heard = now,
            }
            self.store().clock.sleep(LOOK).await;
        }
    }

    /// Returns whether an instance counts as alive. An instance that was reaped is unknown until it registers again.
    pub async fn is_known(&self, owner: &Instance) -> Result<bool, LedgerError> {
        let mut write = self.store().write().await?;
        let known = is_known(&mut write, owner.id()).await;
        write.end(known).await
    }

    /// As [`Ledger::reap_dead`], for a store whose instances send heartbeats.
    pub(super) async fn reap_silent(&self) -> Result<Reaped, LedgerError> {
        let mut read = self.store().read().await?;
        let question = sql("SELECT id FROM owners WHERE alive_until < ?").bind(self.store().dead_before());
        let owners: Vec<(i64,)> = read.rows(question).await?;
        read.done();
        let mut buried = Reaped::default();
        for (id,) in owners {
            let mut write = self.store().write().await?;
            let result = async {
                if beats(&mut write, id).await? { Ok(None) } else { reap(&mut write, id).await.map(Some) }
            }
            .await;
            if let Some(moved) = write.end(result).await? {
                buried.owners += 1;
                buried.in_doubt += moved;
            }
        }
        Ok(buried)
    }
}

/// Returns whether an instance has not been reaped.
pub(super) async fn is_known(write: &mut Transaction<'_>, owner: i64) -> Result<bool, LedgerError> {
    let row: Option<(i64,)> = write.row(sql("SELECT id FROM owners WHERE id = ?").bind(owner)).await?;
    Ok(row.is_some())
}

/// Returns whether the heartbeat of an instance has not expired.
pub(super) async fn beats(write: &mut Transaction<'_>, owner: i64) -> Result<bool, LedgerError> {
    let question = sql("SELECT id FROM owners WHERE id = ? AND alive_until >= ?").bind(owner);
    let row: Option<(i64,)> = write.row(question.bind(write.store.dead_before())).await?;
    Ok(row.is_some())
}

/// Returns the name of this machine.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
