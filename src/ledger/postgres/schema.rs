//! The schema in Postgres, and the programs that can use it.

use sqlx::postgres::PgRow;
use sqlx::{Executor, Row as _};

use crate::ledger::LedgerError;
use crate::ledger::connection::Connection;
use crate::ledger::sql::sql;
use crate::ledger::store::{ReadConnection, Store};

/// A migration from one version of the schema to the next. Migrations are only ever added.
struct SchemaMigration {
    script: &'static str,
    /// The lowest version that a program must support to continue after this migration. A migration that only adds
    /// what older programs can ignore leaves it unchanged. Older programs then continue next to newer ones while hosts
    /// are replaced.
    least: i64,
}

const STEPS: &[SchemaMigration] = &[
    SchemaMigration { script: include_str!("schema/0001_start.sql"), least: 1 },
    SchemaMigration { script: include_str!("schema/0002_app_tokens.sql"), least: 1 },
    SchemaMigration { script: include_str!("schema/0003_deaths.sql"), least: 1 },
    SchemaMigration { script: include_str!("schema/0004_operators.sql"), least: 1 },
    SchemaMigration { script: include_str!("schema/0005_retry.sql"), least: 1 },
    SchemaMigration { script: include_str!("schema/0006_drafts.sql"), least: 1 },
    SchemaMigration { script: include_str!("schema/0007_served_tokens.sql"), least: 1 },
    SchemaMigration { script: include_str!("schema/0008_restores.sql"), least: 1 },
];

/// The newest schema version that this program supports.
#[expect(clippy::cast_possible_wrap, reason = "there are a few")]
pub(in crate::ledger) const KNOWN: i64 = STEPS.len() as i64;

/// Migrates the schema to the newest version, each step in its own transaction, one program at a time. Returns the
/// version before and the version after.
pub(in crate::ledger) async fn migrate(
    store: &Store,
    connection: &mut Connection,
) -> Result<(i64, i64), LedgerError> {
    // The statement creates the version table if needed; the lock covers all that follows it.
    const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 7312));
        CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL, least BIGINT NOT NULL);
        SELECT coalesce(max(version), 0), coalesce(max(least), 0) FROM schema_version";
    let Connection::Postgres(connection) = connection else { return Ok((KNOWN, KNOWN)) };
    let error = |error: sqlx::Error| store.error(&error);
    let rows: Vec<PgRow> = connection.fetch_all(sqlx::raw_sql(QUIET)).await.map_err(error)?;
    if rows.last().and_then(|row| row.try_get::<Option<String>, _>(0).ok().flatten()).is_none() {
        let detail = "it has no schema to write to: create the one that search_path names".to_owned();
        return Err(LedgerError::ReadOnly { path: store.path.clone(), detail });
    }
    let mut found = None;
    loop {
        let rows: Vec<PgRow> = connection.fetch_all(sqlx::raw_sql(BEGIN)).await.map_err(error)?;
        let Some(row) = rows.last() else { return Err(store.record("a schema without a version")) };
        let (version, least) = (row.try_get(0).map_err(error)?, row.try_get(1).map_err(error)?);
        check(store, version, least)?;
        let found = *found.get_or_insert(version);
        let next = usize::try_from(version).ok().and_then(|done| STEPS.get(done));
        let Some(step) = next else {
            connection.execute(sqlx::raw_sql("COMMIT")).await.map_err(error)?;
            return Ok((found, version));
        };
        connection.execute(sqlx::raw_sql(step.script)).await.map_err(error)?;
        let done = "DELETE FROM schema_version; INSERT INTO schema_version (version, least) VALUES";
        let done = format!("{done} ({}, {}); COMMIT", version + 1, step.least);
        connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(done))).await.map_err(error)?;
    }
}

/// Suppresses the notice that a table already exists.
const QUIET: &str = "SET client_min_messages = warning; SELECT current_schema()";

fn check(store: &Store, version: i64, least: i64) -> Result<(), LedgerError> {
    if KNOWN < least {
        return Err(LedgerError::Newer { path: store.path.clone(), found: version, known: KNOWN });
    }
    Ok(())
}

/// Returns an error if a newer program has changed the schema so that this program cannot use it.
pub(in crate::ledger) async fn still_readable(
    store: &Store,
    read: &mut ReadConnection<'_>,
) -> Result<(), LedgerError> {
    let question = sql("SELECT coalesce(max(version), 0), coalesce(max(least), 0) FROM schema_version");
    let row: Option<(i64, i64)> = read.row(question).await?;
    let (version, least) = row.unwrap_or_default();
    check(store, version, least)
}
