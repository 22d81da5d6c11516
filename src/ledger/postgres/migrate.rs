//! The schema in Postgres, and the programs that can use it.
//!
//! `schema_version` has the schema's version, and the lowest version that a program must support to work on it
//! (`least`). A step that only adds what older programs can ignore leaves `least` unchanged. Older programs then
//! continue next to newer ones while hosts are replaced. A step after which older programs must stop contains
//! `UPDATE schema_version SET least = N`, with its own number.

use std::sync::LazyLock;

use sqlx::migrate::Migrator;
use sqlx::{Connection as _, Executor as _};
use sqlx_postgres::PgConnection;

use crate::clock::Clock;
use crate::ledger::migrate::{MigrationVersions, newest, run_steps};
use crate::ledger::sql::sql;
use crate::ledger::store::{ReadConnection, Store};
use crate::ledger::{LedgerError, StoreFault};

use super::server::{PostgresServer, connect_once};

static STEPS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut steps = sqlx::migrate!("src/ledger/postgres/migrations");
    // Programs of all releases take the lock of `BEGIN` instead.
    steps.set_locking(false);
    steps
});

/// The lock covers everything until the end of the transaction.
const BEGIN: &str = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 7312));
    CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL, least BIGINT NOT NULL);
    INSERT INTO schema_version (version, least) SELECT 0, 1 WHERE NOT EXISTS (SELECT 1 FROM schema_version)";

pub(super) const VERSIONS: &str =
    "SELECT coalesce(max(version), 0) AS version, coalesce(max(least), 0) AS least FROM schema_version";

/// The version of a schema, and the lowest version that a program must support to work on it.
#[derive(Default, sqlx::FromRow)]
pub(super) struct SchemaVersion {
    pub(super) version: i64,
    pub(super) least: i64,
}

/// Returns the newest schema version that this program supports.
pub(in crate::ledger) fn known() -> i64 {
    newest(&STEPS)
}

/// Opens the ledger on the server at this address.
pub(in crate::ledger) async fn open(
    address: &str,
    clock: Clock,
) -> Result<(Store, MigrationVersions), LedgerError> {
    let hold = clock.hold();
    let (server, shown) = PostgresServer::new(address)?;
    let options = server.options.clone();
    let store = Store::new(&shown, server, clock.clone());
    let mut connection = connect_once(&options, &store).await?;
    let step = migrate(&store, &mut connection).await?;
    drop(connection);
    store.prove().await?;
    drop(hold);
    Ok((store, step))
}

/// Migrates the schema to the newest version, in one transaction, one program at a time.
async fn migrate(store: &Store, connection: &mut PgConnection) -> Result<MigrationVersions, LedgerError> {
    let error = |error: sqlx::Error| store.error(&error);
    // Suppresses the notice that a table already exists.
    connection.execute(sqlx::raw_sql("SET client_min_messages = warning")).await.map_err(error)?;
    let schema =
        sqlx::query_scalar("SELECT CAST(current_schema() AS TEXT)").fetch_one(&mut *connection).await;
    let schema: Option<String> = schema.map_err(error)?;
    if schema.is_none() {
        let detail = "it has no schema to write to: create the one that search_path names".to_owned();
        return Err(StoreFault::ReadOnly { path: store.path.clone(), detail }.into());
    }
    let mut transaction = connection.begin().await.map_err(error)?;
    transaction.execute(sqlx::raw_sql(BEGIN)).await.map_err(error)?;
    let schema = sqlx::query_as(VERSIONS).fetch_one(&mut *transaction).await.map_err(error)?;
    check(store, &schema)?;
    let found = schema.version;
    let known = known();
    if found < known {
        run_steps(store, &STEPS, &mut *transaction, found).await?;
        let done = sqlx::query("UPDATE schema_version SET version = $1").bind(known);
        done.execute(&mut *transaction).await.map_err(error)?;
    }
    transaction.commit().await.map_err(error)?;
    Ok(MigrationVersions { found, now: found.max(known) })
}

fn check(store: &Store, schema: &SchemaVersion) -> Result<(), LedgerError> {
    if known() < schema.least {
        let (path, found) = (store.path.clone(), schema.version);
        return Err(StoreFault::Newer { path, found, known: known() }.into());
    }
    Ok(())
}

/// Returns an error if a newer program has changed the schema so that this program cannot use it.
pub(super) async fn still_readable(store: &Store, read: &mut ReadConnection<'_>) -> Result<(), LedgerError> {
    let schema: Option<SchemaVersion> = read.row(sql(VERSIONS)).await?;
    check(store, &schema.unwrap_or_default())
}
