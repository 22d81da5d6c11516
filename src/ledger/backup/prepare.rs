//! Turns a backup into a ledger, next to the one that it will replace. Everything that had not finished when the
//! backup was taken may have been sent since. So recipients and single sends are in doubt, runs are interrupted, and
//! nothing continues by itself.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};

use crate::clock::Clock;
use crate::ledger::connection::Connection;
use crate::ledger::restores::instant;
use crate::ledger::sql::{Statement, sql};
use crate::ledger::sqlite::{self, known};
use crate::ledger::{DeliveryState, JobState, LedgerError};

use super::work_folder::{make, sync};
use super::write::check;
use super::{BackupError, seal};

/// The amount that is added to all lease numbers, so that a process that wakes up after a restore holds no valid
/// lease.
const LEASES: i64 = 1_000_000;

/// Creates the ledger `to` from the backup `from`; returns when the backup was taken. `now` is the time of the
/// restore. Both times are in milliseconds since 1970.
pub(super) async fn prepare(from: &Path, to: &Path, now: i64, clock: &Clock) -> Result<i64, BackupError> {
    let mut file = make(to)?;
    let taken_at = seal::unpack(from, &mut file, to)?;
    drop(file);
    let damaged = |error: LedgerError| match error {
        LedgerError::Full { .. } | LedgerError::ReadOnly { .. } | LedgerError::Io { .. } => error.into(),
        other => BackupError::Damaged { path: from.to_owned(), detail: detail(other) },
    };
    let found = version(to).await.map_err(damaged)?;
    if found > known() {
        return Err(BackupError::Newer { path: from.to_owned(), found, known: known() });
    }
    if found < 1 {
        return Err(BackupError::Damaged { path: from.to_owned(), detail: "it holds no ledger".to_owned() });
    }
    let (store, mut connection) = sqlite::open_alone(to, clock.clone()).await.map_err(damaged)?;
    check(&mut connection, to).await.map_err(damaged)?;
    let mut connection = Connection::Sqlite(connection);
    for statement in statements(taken_at, now) {
        connection.run(statement).await.map_err(|error| store.error(&error))?;
    }
    if let Connection::Sqlite(connection) = connection {
        connection.close().await.map_err(|error| store.error(&error))?;
    }
    sync(to)?;
    Ok(taken_at)
}

fn detail(error: LedgerError) -> String {
    match error {
        LedgerError::Corrupt { detail, .. } | LedgerError::Refused { detail, .. } => detail,
        other => other.to_string(),
    }
}

async fn version(path: &Path) -> Result<i64, LedgerError> {
    let failed = |error: sqlx::Error| LedgerError::of(path, &error);
    let options = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
    let mut connection: SqliteConnection = options.connect().await.map_err(failed)?;
    let version =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    Ok(version)
}

/// The changes to the ledger, all in one transaction.
fn statements(taken_at: i64, now: i64) -> Vec<Statement> {
    let taken = instant(taken_at);
    let may_be_sent = format!("restored from a backup of {taken}: it may have been sent since then");
    let may_have_run = format!("restored from a backup of {taken}: it may have ended since then");
    let (in_doubt, interrupted) = (DeliveryState::InDoubt.number(), JobState::Interrupted.number());
    vec![
        sql("BEGIN IMMEDIATE"),
        sql("UPDATE sends SET state = ?, error = ?, updated_at = ? WHERE state IN (0, 1)")
            .bind(in_doubt)
            .bind(may_be_sent.as_str())
            .bind(now),
        sql("UPDATE recipients SET attempts = attempts + CASE WHEN state = 1 THEN 1 ELSE 0 END, state = ?,
                error = ?, updated_at = ? WHERE state IN (0, 1)
                AND broadcast IN (SELECT id FROM broadcasts WHERE state <> 0 AND NOT draft)")
            .bind(in_doubt)
            .bind(may_be_sent.as_str())
            .bind(now),
        sql("UPDATE broadcasts SET n_in_doubt = n_in_doubt + n_pending + n_sending, n_pending = 0, n_sending = 0
                WHERE state <> 0 AND NOT draft"),
        sql("UPDATE broadcasts SET owner = NULL, lease_until = 0, lease_for = 0, lease_number = lease_number + ?")
            .bind(LEASES),
        // A requested run that had not begun becomes an interrupted run too. Its request is kept, so that it can run
        // again.
        sql("INSERT INTO job_runs (job, scheduled_at, state, attempt, owner, note, started_at, finished_at, args)
                SELECT job, scheduled_at, ?, 0, 0, ?, ?, ?, args FROM job_wishes
                WHERE wish = 0 AND scheduled_at IS NOT NULL ON CONFLICT DO NOTHING")
            .bind(interrupted)
            .bind(may_have_run.as_str())
            .bind(now)
            .bind(now),
        sql("DELETE FROM job_wishes"),
        sql("UPDATE job_runs SET state = ?, note = ?, finished_at = ? WHERE finished_at IS NULL")
            .bind(interrupted)
            .bind(may_have_run.as_str())
            .bind(now),
        sql("DELETE FROM owners"),
        sql("DELETE FROM shares"),
        sql("DELETE FROM driver_status"),
        sql("DELETE FROM app_tokens"),
        sql("INSERT INTO restores (restored_at, taken_at) VALUES (?, ?)").bind(now).bind(taken_at),
        sql("COMMIT"),
    ]
}
