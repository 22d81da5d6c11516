//! Turns a backup into a ledger, next to the one that it will replace. Everything that had not finished when the
//! backup was taken may have been sent since. So recipients and single sends are in doubt, runs are interrupted, and
//! nothing continues by itself.

use std::path::Path;

use const_format::formatcp;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx_sqlite::SqliteConnectOptions;
use sqlx_sqlite::SqliteConnection;

use crate::clock::Clock;
use crate::core::Act;
use crate::ledger::audit_chain::{AuditEntry, FIRST, NEXT};
use crate::ledger::connection::Connection;
use crate::ledger::doubts::UNKNOWN_INTENT;
use crate::ledger::restores::format_time;
use crate::ledger::sql::{Statement, sql};
use crate::ledger::sqlite::{self, known};
use crate::ledger::state::RUN_JOB;
use crate::ledger::state::recipient::{PENDING, SENDING};
use crate::ledger::state::stage::BUILDING;
use crate::ledger::{JobState, LedgerError, RecipientState, StoreFault};

use super::work_folder::{make, sync};
use super::write::check;
use super::{BackupError, seal};

/// The amount that is added to all lease numbers, so that a process that wakes up after a restore holds no valid
/// lease.
const LEASES: i64 = 1_000_000;

/// Creates the ledger `to` from the backup `from`; returns when the backup was taken. `now` is the time of the
/// restore. Both times are in milliseconds since 1970. `act` is the restore, for the audit.
pub(super) async fn prepare(
    from: &Path,
    to: &Path,
    now: i64,
    clock: &Clock,
    act: &Act,
) -> Result<i64, BackupError> {
    let mut file = make(to)?;
    let taken_at = seal::unpack(from, &mut file, to)?;
    drop(file);
    let damaged = |error: LedgerError| match error {
        LedgerError::Store(StoreFault::Full { .. } | StoreFault::ReadOnly { .. } | StoreFault::Io { .. }) => {
            error.into()
        }
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
    connection.run(sql(FIRST)).await.map_err(|error| store.error(&error))?;
    let head: Option<(i64, String)> = connection.row(sql(NEXT)).await.map_err(|error| store.error(&error))?;
    let (number, previous) = head.ok_or_else(|| store.record("no newest entry of the audit"))?;
    let entry = AuditEntry::new(act, number, previous, now).statements();
    for statement in entry.into_iter().chain([sql("COMMIT")]) {
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
        LedgerError::Store(StoreFault::Corrupt { detail, .. } | StoreFault::Refused { detail, .. }) => detail,
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

/// The changes to the ledger, all in one transaction, which the caller commits.
fn statements(taken_at: i64, now: i64) -> Vec<Statement> {
    let taken = format_time(taken_at);
    let may_be_sent =
        format!("restored from a backup of {taken}: it may have been sent since then; {UNKNOWN_INTENT}");
    let may_have_run = format!("restored from a backup of {taken}: it may have ended since then");
    let (in_doubt, interrupted) = (RecipientState::InDoubt.number(), JobState::Interrupted.number());
    vec![
        sql("BEGIN IMMEDIATE"),
        sql(formatcp!(
            "UPDATE sends SET state = ?, error = ?, updated_at = ? WHERE state IN ({PENDING}, {SENDING})"
        ))
            .bind(in_doubt)
            .bind(may_be_sent.as_str())
            .bind(now),
        sql(formatcp!(
            "UPDATE recipients SET attempts = attempts + CASE WHEN state = {SENDING} THEN 1 ELSE 0 END, state = ?,
                error = ?, updated_at = ? WHERE state IN ({PENDING}, {SENDING})
                AND broadcast IN (SELECT id FROM broadcasts WHERE state <> {BUILDING} AND NOT draft)"
        ))
            .bind(in_doubt)
            .bind(may_be_sent.as_str())
            .bind(now),
        sql(formatcp!(
            "UPDATE broadcasts SET n_in_doubt = n_in_doubt + n_pending + n_sending, n_pending = 0, n_sending = 0
                WHERE state <> {BUILDING} AND NOT draft"
        )),
        sql("UPDATE broadcasts SET owner = NULL, lease_until = 0, lease_for = 0, lease_number = lease_number + ?")
            .bind(LEASES),
        // A requested run that had not begun becomes an interrupted run too. Its request is kept, so that it can run
        // again.
        sql(formatcp!(
            "INSERT INTO job_runs (job, scheduled_at, state, attempt, owner, note, started_at, finished_at, args)
                SELECT job, scheduled_at, ?, 0, 0, ?, ?, ?, args FROM job_commands
                WHERE command = {RUN_JOB} AND scheduled_at IS NOT NULL ON CONFLICT DO NOTHING"
        ))
            .bind(interrupted)
            .bind(may_have_run.as_str())
            .bind(now)
            .bind(now),
        sql("DELETE FROM job_commands"),
        sql("UPDATE job_runs SET state = ?, note = ?, finished_at = ? WHERE finished_at IS NULL")
            .bind(interrupted)
            .bind(may_have_run.as_str())
            .bind(now),
        sql("DELETE FROM instances"),
        sql("DELETE FROM quota_shares"),
        sql("DELETE FROM driver_status"),
        sql("DELETE FROM app_tokens"),
        sql("INSERT INTO restores (restored_at, taken_at) VALUES (?, ?)").bind(now).bind(taken_at),
    ]
}
