//! The state of a daemon's scripts, for other processes to show.

use std::time::Duration;

use super::columns::OptionalMillis;
use super::sql::sql;
use super::store::millis;
use super::{Ledger, LedgerError};

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ScriptRow {
    /// The path as it is shown to people: `scripts/digest.lua`.
    pub name: String,
    /// The hash of the active version; `None` if no version was ever active.
    pub hash: Option<String>,
    /// When the active version was loaded.
    #[sqlx(try_from = "OptionalMillis")]
    pub loaded_at: Option<Duration>,
    /// Why the current file failed to load; `None` if it is active.
    pub error: Option<String>,
    /// Since when the current file has failed to load.
    #[sqlx(try_from = "OptionalMillis")]
    pub stale_since: Option<Duration>,
    /// The arguments that it declares, as JSON; `None` if it declares none.
    pub form: Option<String>,
}

impl Ledger {
    /// Stores the state of all scripts; scripts that are not in the list are removed.
    pub async fn keep_scripts(&self, scripts: &[ScriptRow]) -> Result<(), LedgerError> {
        self.store().transaction(async |write| {
            write.run(sql("DELETE FROM scripts")).await?;
            for script in scripts {
                let statement = sql(
                    "INSERT INTO scripts (name, hash, loaded_at, error, stale_since, form) VALUES (?, ?, ?, ?, ?, ?)",
                );
                let statement = statement
                    .bind(&script.name)
                    .bind(&script.hash)
                    .bind(script.loaded_at.map(millis))
                    .bind(&script.error)
                    .bind(script.stale_since.map(millis))
                    .bind(&script.form);
                write.run(statement).await?;
            }
            Ok(())
        }).await
    }

    /// Returns all scripts as a daemon last stored them, by name.
    pub async fn scripts(&self) -> Result<Vec<ScriptRow>, LedgerError> {
        let question =
            sql("SELECT name, hash, loaded_at, error, stale_since, form FROM scripts ORDER BY name");
        self.store().rows(question).await
    }
}
