//! Replaces a ledger by a restored one, and keeps the old one. The old ledger is untouched until the last step, which
//! is one rename, or one commit on a server.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use sqlx::{ConnectOptions as _, Connection as _};
use sqlx_sqlite::SqliteConnectOptions;
use sqlx_sqlite::SqliteConnection;

use crate::clock::Clock;
use crate::core::Act;
use crate::ledger::postgres;
use crate::ledger::sql::sql;
use crate::ledger::sqlite::{FILE, FOLDER, is_alive, lock_opening};
use crate::ledger::store::{count, from_millis, millis};
use crate::ledger::tables::{TABLES, used_table};
use crate::ledger::transfer::{compare, copy_rows, idle, living};
use crate::ledger::{InstanceName, Ledger, LedgerError, LedgerLocation, StoreFault};

use super::prepare::prepare;
use super::work_folder::{WorkFolder, publish, sync};
use super::write::{copy_database, finish};
use super::{BackupError, BackupStep};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredLedger {
    /// The ledger: its file, or the server's address without credentials.
    pub to: PathBuf,
    pub taken_at: Duration,
    /// The ledger that was there before; `None` if there was none.
    pub kept: Option<ReplacedLedger>,
}

/// Where the replaced ledger is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplacedLedger {
    /// The file itself, renamed to this path.
    File(PathBuf),
    Backup(PathBuf),
}

/// Tables of a server that hold transient state. They are emptied too.
const OF_THE_SERVER: &str =
    "app_tokens, driver_status, drivers, registered_jobs, instances, quota_shares, ranges";

impl Ledger {
    /// Replaces the ledger in `location` by the backup `from`. `state` is the folder on this machine in which the new
    /// ledger is prepared, and in which a server's replaced ledger is kept. Nothing is sent from the restored ledger
    /// until [`Ledger::accept_restore`]. `act` is its entry in the audit.
    ///
    /// # Errors
    ///
    /// [`BackupError`]. The ledger is unchanged then.
    pub async fn restore(
        location: &LedgerLocation,
        from: &Path,
        state: &Path,
        clock: &Clock,
        act: &Act,
        step: &dyn Fn(BackupStep),
    ) -> Result<RestoredLedger, BackupError> {
        let opening = lock_opening(state)?;
        let work = WorkFolder::open(state.join("restore.partial"))?;
        let new = work.join(FILE);
        match location {
            LedgerLocation::Folder(folder) => {
                let now = millis(clock.unix_time());
                let taken_at = prepare(from, &new, now, clock, act).await?;
                step(BackupStep::Prepared);
                let to = folder.join(FILE);
                let kept = into_folder(&new, folder, now, step).await?;
                drop(opening);
                Ok(RestoredLedger {
                    to,
                    taken_at: from_millis(taken_at),
                    kept: kept.map(ReplacedLedger::File),
                })
            }
            LedgerLocation::Server(address) => {
                // The prepared ledger is opened in a separate folder.
                drop(opening);
                into_server(address, from, &work, state, clock, act, step).await
            }
        }
    }
}

/// Moves a prepared file into the place of a folder's ledger, while no other process can open that ledger. Returns the
/// new path of the old file.
async fn into_folder(
    new: &Path,
    folder: &Path,
    now: i64,
    step: &dyn Fn(BackupStep),
) -> Result<Option<PathBuf>, BackupError> {
    let old = folder.join(FILE);
    let mut kept = None;
    if old.symlink_metadata().is_ok() {
        may_be_replaced(&old).await?;
        let name = kept_name(folder, now);
        if fs::hard_link(&old, &name).is_err() {
            // The file system has no hard links.
            fs::copy(&old, &name).map_err(BackupError::of_file(&name))?;
        }
        for beside in ["-wal", "-shm", "-journal"] {
            // Only a ledger that cannot be read still has such files. The log belongs to it.
            let log = with_suffix(&old, beside);
            match fs::rename(&log, with_suffix(&name, beside)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(BackupError::of_file(&log)(error));
                }
                _ => {}
            }
        }
        sync(&name)?;
        sync(folder)?;
        kept = Some(name);
    }
    step(BackupStep::Kept);
    publish(new, &old, true)?;
    Ok(kept)
}

/// Returns an error while a process uses the file or has it open. On success the file is the whole ledger, without a
/// log next to it, unless it is too damaged for that.
async fn may_be_replaced(file: &Path) -> Result<(), BackupError> {
    let in_use = |by: String| BackupError::InUse { path: file.to_owned(), by };
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(Duration::from_secs(2))
        .disable_statement_logging();
    // A damaged ledger is a reason to restore. It is kept unchanged with its log: a checkpoint would change it.
    let mut reader = options.clone().read_only(true).connect().await;
    let alive = alive(file);
    if !alive.is_empty() {
        let names = match &mut reader {
            Ok(connection) => names(connection, &alive).await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        return Err(in_use(if names.is_empty() { "a process".to_owned() } else { names.join(", ") }));
    }
    let Ok(mut reader) = reader else { return Ok(()) };
    let sound: Result<String, sqlx::Error> =
        sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut reader).await;
    let closed = reader.close().await;
    if !matches!(sound, Ok(text) if text == "ok") || closed.is_err() {
        return Ok(());
    }
    let Ok(mut connection) = options.connect().await else { return Ok(()) };
    let mode: Result<String, sqlx::Error> =
        sqlx::query_scalar("PRAGMA journal_mode = DELETE").fetch_one(&mut connection).await;
    let closed = connection.close().await;
    match mode.and_then(|mode| closed.map(|()| mode)).map_err(|error| LedgerError::of(file, &error)) {
        Ok(mode) if mode == "delete" => Ok(()),
        Ok(_) | Err(LedgerError::Store(StoreFault::Locked { .. })) => {
            Err(in_use("another process".to_owned()))
        }
        Err(_) => Ok(()),
    }
}

/// Returns the lock files that live processes hold.
fn alive(file: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(file.with_file_name(FOLDER)) else { return Vec::new() };
    let held = entries.flatten().filter(|entry| is_alive(&entry.path()));
    held.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Returns the names of the processes that hold these lock files, for people.
async fn names(connection: &mut SqliteConnection, locks: &[String]) -> Result<Vec<String>, sqlx::Error> {
    let mut names = Vec::new();
    for lock in locks {
        let question = sqlx::query_as("SELECT name, pid FROM instances WHERE lock = ?").bind(lock);
        let found: Option<(String, i64)> = question.fetch_optional(&mut *connection).await?;
        names.extend(found.map(|(name, pid)| shown(&InstanceName { name, pid: count(pid) })));
    }
    Ok(names)
}

fn shown(instance: &InstanceName) -> String {
    format!("`mooncast {}` (process {})", instance.name, instance.pid)
}

/// Returns an unused file name that contains the date.
fn kept_name(folder: &Path, now: i64) -> PathBuf {
    let at = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
    let stem = format!("ledger-replaced-{}", at.strftime("%Y%m%dT%H%M%SZ"));
    let names =
        std::iter::once(format!("{stem}.db")).chain((2..).map(|number| format!("{stem}-{number}.db")));
    let mut paths = names.map(|name| folder.join(name));
    paths.find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| folder.join(format!("{stem}.db")))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Replaces a server's ledger by a backup, in one transaction. The old ledger is kept as a backup in `state`.
async fn into_server(
    address: &SecretString,
    from: &Path,
    work: &WorkFolder,
    state: &Path,
    clock: &Clock,
    act: &Act,
    step: &dyn Fn(BackupStep),
) -> Result<RestoredLedger, BackupError> {
    let target = Ledger::open_at(&LedgerLocation::Server(address.clone()), clock.clone()).await?;
    let to = target.path().to_owned();
    let (now, new) = (target.store().now(), work.join("new"));
    fs::create_dir(&new).map_err(BackupError::of_file(&new))?;
    let taken_at = prepare(from, &new.join(FILE), now, clock, act).await?;
    let source = Ledger::open(&new, clock.clone()).await?;
    step(BackupStep::Prepared);

    let mut read = source.store().write().await?;
    let mut write = target.store().write().await?;
    idle(&mut write).await?;
    if let Some(by) = living(&mut write).await? {
        return Err(BackupError::InUse { path: to, by: shown(&by) });
    }
    let kept = if used_table(&mut write).await?.is_none() {
        None
    } else {
        let copy = work.join("kept");
        let scratch = Ledger::open_scratch(&copy, clock.clone()).await?;
        let mut keep = scratch.store().write().await?;
        copy_rows(&mut write, &mut keep).await?;
        keep.end(Ok(())).await?;
        let file = work.join("kept.backup");
        copy_database(&copy.join(FILE), &file).await?;
        finish(&file, now)?;
        let name = kept_name(state, now);
        publish(&file, &name, false)?;
        Some(ReplacedLedger::Backup(name))
    };
    let tables: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
    write.run(sql(format!("TRUNCATE {}, {OF_THE_SERVER}", tables.join(", ")))).await?;
    let copied = copy_rows(&mut read, &mut write).await?;
    compare(&mut write, &copied).await?;
    // An older program does not check whether the restore was accepted, so it must not work on this store.
    let least = sql("UPDATE schema_version SET least = ?1 WHERE least < ?1").bind(postgres::known());
    write.run(least).await?;
    step(BackupStep::Kept);
    write.end(Ok(())).await?;
    read.end(Ok(())).await?;
    Ok(RestoredLedger { to, taken_at: from_millis(taken_at), kept })
}
