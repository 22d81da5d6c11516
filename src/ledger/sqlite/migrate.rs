//! The schema of a file. Its version is the file's `user_version`, by which older programs refuse a newer ledger.

use sqlx::Connection as _;
use sqlx::migrate::Migrator;
use sqlx_sqlite::SqliteConnection;

use crate::ledger::migrate::{MigrationVersions, newest, run_steps};
use crate::ledger::store::Store;
use crate::ledger::{LedgerError, StoreFault};

static STEPS: Migrator = sqlx::migrate!("src/ledger/sqlite/migrations");

/// Returns the newest schema version that this program supports.
pub(in crate::ledger) fn known() -> i64 {
    newest(&STEPS)
}

/// Returns the schema's version.
pub(in crate::ledger) async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await
}

/// Migrates the schema to the newest version, in one transaction.
pub(super) async fn migrate(
    store: &Store,
    connection: &mut SqliteConnection,
) -> Result<MigrationVersions, LedgerError> {
    let known = known();
    let found = version(connection).await.map_err(|error| store.error(&error))?;
    if found > known {
        return Err(StoreFault::Newer { path: store.path.clone(), found, known }.into());
    }
    if found < known {
        let begun = connection.begin_with("BEGIN IMMEDIATE").await;
        let mut transaction = begun.map_err(|error| store.error(&error))?;
        run_steps(store, &STEPS, &mut *transaction, found).await?;
        let done = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {known}"));
        sqlx::raw_sql(done).execute(&mut *transaction).await.map_err(|error| store.error(&error))?;
        transaction.commit().await.map_err(|error| store.error(&error))?;
    }
    Ok(MigrationVersions { found, now: known })
}
