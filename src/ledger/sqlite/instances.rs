//! Instances on a file store. Each keeps a lock file locked. The system releases the lock as soon as the process dies,
//! however it dies. That needs no heartbeat, and no clock that could be set back.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::ledger::driver::{InstanceDriver, JobDriver};
use crate::ledger::instance::{Liveness, NewInstance};
use crate::ledger::registered_job::upsert_text;
use crate::ledger::sql::sql;
use crate::ledger::store::{Store, Transaction};
use crate::ledger::{BroadcastId, Instance, Ledger, LedgerError};

use super::SqliteFile;
use super::open::private;

/// The folder of the lock files, next to the ledger.
pub(in crate::ledger) const FOLDER: &str = "owners";

/// An instance that is alive while its file is locked.
#[derive(Debug)]
struct LockedInstance {
    id: i64,
    lock: File,
}

impl Liveness for LockedInstance {
    fn id(&self) -> i64 {
        self.id
    }
}

impl Drop for LockedInstance {
    fn drop(&mut self) {
        // A child process that is just being spawned may hold the file open for a moment longer.
        let _ = self.lock.unlock();
    }
}

#[async_trait]
impl<K: Send + Sync> InstanceDriver for SqliteFile<K> {
    async fn register(&self, ledger: &Ledger, name: &str) -> Result<Instance, LedgerError> {
        let folder = folder(ledger.store());
        let (lock_name, lock) =
            make_lock(&folder).map_err(|error| LedgerError::of_system(&folder, &error))?;
        let id = NewInstance { name, lock: &lock_name, life: None }.insert(ledger.store()).await?;
        Ok(Instance::new(LockedInstance { id, lock }))
    }

    async fn dead(&self, store: &Store) -> Result<Vec<i64>, LedgerError> {
        let instances: Vec<(i64, String)> = store.rows(sql("SELECT id, lock FROM instances")).await?;
        let mut dead = Vec::new();
        for (id, lock) in instances {
            let path = folder(store).join(lock);
            if !is_alive(&path) {
                // The file has no meaning any more, so a failure to delete it does not matter.
                let _ = std::fs::remove_file(&path);
                dead.push(id);
            }
        }
        Ok(dead)
    }

    async fn lives(&self, write: &mut Transaction<'_>, instance: i64) -> Result<bool, LedgerError> {
        let lock: Option<(String,)> =
            write.row(sql("SELECT lock FROM instances WHERE id = ?").bind(instance)).await?;
        Ok(lock.is_some_and(|(lock,)| is_alive(&folder(write.store).join(lock))))
    }

    async fn wait_for_driver(&self, ledger: &Ledger, id: BroadcastId) -> Result<bool, LedgerError> {
        Ok(ledger.show(id).await?.driver.is_some())
    }
}

#[async_trait]
impl<K: Send + Sync> JobDriver for SqliteFile<K> {
    async fn register_jobs(
        &self,
        write: &mut Transaction<'_>,
        _owner: i64,
        rows: &str,
    ) -> Result<(), LedgerError> {
        write.run(sql(upsert_text("?", "true")).bind(rows)).await?;
        let gone = sql("UPDATE jobs SET gone_at = ? WHERE gone_at IS NULL
                AND name NOT IN (SELECT value ->> 0 FROM json_each(?))");
        write.run(gone.bind(write.store.now()).bind(rows)).await.map(drop)
    }
}

/// The folder of a store's lock files.
pub(super) fn folder(store: &Store) -> PathBuf {
    store.path.with_file_name(FOLDER)
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
pub(in crate::ledger) fn is_alive(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock | TryLockError::Error(_))),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}
