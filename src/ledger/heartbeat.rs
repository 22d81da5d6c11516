//! The life of an owner on a store that many machines share: it says so several times before the others take it for dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::instance::{Instance, Reaped, reap};
use super::restores::may_send;
use super::sql::{Statement, sql};
use super::store::{Transaction, millis};
use super::{BroadcastId, Ledger, LedgerError, postgres};

/// After this without a word an owner is dead.
pub(super) const LIFE: Duration = Duration::from_secs(10);
/// How often it says that it lives.
const BEAT: Duration = Duration::from_millis(2500);
/// How often it is looked for a sign of life that is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// An owner that says that it lives.
#[derive(Debug)]
pub(super) struct Heartbeat {
    id: AtomicI64,
    name: String,
}

impl Heartbeat {
    /// Makes an owner of this name.
    pub(super) async fn start(ledger: &Ledger, name: &str) -> Result<Arc<Self>, LedgerError> {
        let pulse = Self { id: AtomicI64::new(0), name: name.to_owned() };
        pulse.insert_row(ledger).await?;
        Ok(Arc::new(pulse))
    }

    pub(super) fn id(&self) -> i64 {
        self.id.load(Ordering::Relaxed)
    }

    /// Makes a row for it.
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

    /// Says that it lives, for as long as the program runs. One that could not say so for too long may have been buried:
    /// what it held is others' then, and it comes back under a new number.
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

    /// One sign of life; gives whether anybody waited for it.
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
    /// Says that this owner is gone, so that nobody waits until it would be taken for dead. It sends nothing any more.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn unregister(&self, owner: &Instance) -> Result<(), LedgerError> {
        if !self.is_shared() {
            return Ok(());
        }
        let mut write = self.store().write().await?;
        let result = reap(&mut write, owner.id()).await.map(drop);
        write.end(result).await
    }

    /// Waits until the driver of a broadcast has said anew that it lives, or is known to be dead or gone; gives whether
    /// it lives. Where stores are files that is known at once.
    ///
    /// # Errors
    ///
    /// Faults of the store.
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

    /// Whether an owner counts as alive, or was buried and is not back yet.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn is_known(&self, owner: &Instance) -> Result<bool, LedgerError> {
        let mut write = self.store().write().await?;
        let known = is_known(&mut write, owner.id()).await;
        write.end(known).await
    }

    /// As [`Ledger::bury_dead`], where owners say that they live.
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

/// Whether an owner was not buried yet.
pub(super) async fn is_known(write: &mut Transaction<'_>, owner: i64) -> Result<bool, LedgerError> {
    let row: Option<(i64,)> = write.row(sql("SELECT id FROM owners WHERE id = ?").bind(owner)).await?;
    Ok(row.is_some())
}

/// Whether an owner has said that it lives still.
pub(super) async fn beats(write: &mut Transaction<'_>, owner: i64) -> Result<bool, LedgerError> {
    let question = sql("SELECT id FROM owners WHERE id = ? AND alive_until >= ?").bind(owner);
    let row: Option<(i64,)> = write.row(question.bind(write.store.dead_before())).await?;
    Ok(row.is_some())
}

/// The name of this machine.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
