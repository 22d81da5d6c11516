//! Instances on a file store. Each keeps a lock file locked. The system releases the lock as soon as the process dies,
//! however it dies. That needs no heartbeat, and no clock that could be set back.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::ledger::instance::{Liveness, NewInstance, reap};
use crate::ledger::sql::sql;
use crate::ledger::store::{Store, Transaction};
use crate::ledger::{Instance, Ledger, LedgerError, Reaped};

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

/// As [`Ledger::register`].
pub(super) async fn register(ledger: &Ledger, name: &str) -> Result<Instance, LedgerError> {
    let folder = folder(ledger.store());
    let (lock_name, lock) = make_lock(&folder).map_err(|error| LedgerError::of_system(&folder, &error))?;
    let id = NewInstance { name, lock: &lock_name, life: None }.insert(ledger.store()).await?;
    Ok(Instance::new(LockedInstance { id, lock }))
}

/// As [`Ledger::reap_dead`].
pub(super) async fn reap_dead(ledger: &Ledger) -> Result<Reaped, LedgerError> {
    let store = ledger.store();
    let mut read = store.read().await?;
    let owners: Vec<(i64, String)> = read.rows(sql("SELECT id, lock FROM owners")).await?;
    read.done();
    let mut reaped = Reaped::default();
    for (id, lock) in owners {
        let path = folder(store).join(lock);
        if is_alive(&path) {
            continue;
        }
        let mut write = store.write().await?;
        let moved = reap(&mut write, id).await;
        let moved = write.end(moved).await?;
        // The file has no meaning any more, so a failure to delete it does not matter.
        let _ = std::fs::remove_file(&path);
        reaped.owners += 1;
        reaped.in_doubt += moved;
    }
    Ok(reaped)
}

/// Returns whether the instance with this number is alive.
pub(super) async fn lives(write: &mut Transaction<'_>, owner: i64) -> Result<bool, LedgerError> {
    let lock: Option<(String,)> = write.row(sql("SELECT lock FROM owners WHERE id = ?").bind(owner)).await?;
    Ok(lock.is_some_and(|(lock,)| is_alive(&folder(write.store).join(lock))))
}

/// Records the active jobs of this machine, and marks all others as gone.
pub(super) async fn register_jobs(write: &mut Transaction<'_>, rows: &str) -> Result<(), LedgerError> {
    let statement = sql("INSERT INTO jobs (name, script, times, decided_until, version)
            SELECT value ->> 0, value ->> 1, value ->> 2, CAST(value ->> 3 AS BIGINT), value ->> 4
                FROM json_each(?) WHERE true
            ON CONFLICT (name) DO UPDATE SET script = excluded.script, times = excluded.times,
                version = excluded.version, gone_at = NULL, decided_until = CASE
                    WHEN jobs.times = excluded.times THEN jobs.decided_until
                    WHEN jobs.decided_until > excluded.decided_until THEN jobs.decided_until
                    ELSE excluded.decided_until END");
    write.run(statement.bind(rows)).await?;
    let statement = sql("UPDATE jobs SET gone_at = ? WHERE gone_at IS NULL
            AND name NOT IN (SELECT value ->> 0 FROM json_each(?))");
    write.run(statement.bind(write.store.now()).bind(rows)).await.map(drop)
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
