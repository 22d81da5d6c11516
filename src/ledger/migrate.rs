//! Runs the migrations of a store. Each driver has a folder of them, which `sqlx::migrate!` embeds.
//!
//! Releases before `sqlx::migrate!` recorded only the number of the last step. That number stays the truth that all
//! programs read; sqlx's table records the steps besides.

use sqlx::migrate::{Migrate, MigrateError, Migrator};

use super::LedgerError;
use super::store::Store;

/// The schema version before a migration (0 if there was no schema), and the version after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct MigrationVersions {
    pub(super) found: i64,
    pub(super) now: i64,
}

/// Returns the newest schema version that this program supports.
pub(super) fn newest(steps: &Migrator) -> i64 {
    steps.iter().map(|step| step.version).max().unwrap_or_default()
}

/// Runs the steps after `version`. Steps up to it were run by this program or by an earlier release, and are only
/// recorded. The caller has begun a transaction.
pub(super) async fn run_steps(
    store: &Store,
    steps: &Migrator,
    connection: &mut impl Migrate,
    version: i64,
) -> Result<(), LedgerError> {
    let failed = |error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => store.error(&error),
        other => store.record(other),
    };
    steps.run_direct(Some(version), connection, true).await.map_err(failed)?;
    steps.run_direct(None, connection, false).await.map_err(failed)
}
