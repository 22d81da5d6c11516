//! The state of a daemon's scripts, for other processes to show.

use std::time::Duration;

use super::sql::sql;
use super::store::{from_millis, millis};
use super::{Ledger, LedgerError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptRow {
    /// The path as it is shown to people: `scripts/digest.lua`.
    pub name: String,
    /// The hash of the active version; `None` if no version was ever active.
    pub hash: Option<String>,
    /// When the active version was loaded.
    pub loaded_at: Option<Duration>,
    /// Why the current file failed to load; `None` if it is active.
    pub error: Option<String>,
    /// Since when the current file has failed to load.
    pub stale_since: Option<Duration>,
}

type RawScriptRow = (String, Option<String>, Option<i64>, Option<String>, Option<i64>);

impl Ledger {
    /// Stores the state of all scripts; scripts that are not in the list are removed.
    pub async fn keep_scripts(&self, scripts: &[ScriptRow]) -> Result<(), LedgerError> {
        let mut write = self.store().write().await?;
        let result = async {
            write.run(sql("DELETE FROM scripts")).await?;
            for script in scripts {
                let statement = sql(
                    "INSERT INTO scripts (name, hash, loaded_at, error, stale_since) VALUES (?, ?, ?, ?, ?)",
                );
                let statement = statement
                    .bind(&script.name)
                    .bind(&script.hash)
                    .bind(script.loaded_at.map(millis))
                    .bind(&script.error)
                    .bind(script.stale_since.map(millis));
                write.run(statement).await?;
            }
            Ok(())
        }
        .await;
        write.end(result).await
    }

    /// Returns all scripts as a daemon last stored them, by name.
    pub async fn scripts(&self) -> Result<Vec<ScriptRow>, LedgerError> {
        let question = sql("SELECT name, hash, loaded_at, error, stale_since FROM scripts ORDER BY name");
        let mut read = self.store().read().await?;
        let rows: Vec<RawScriptRow> = read.rows(question).await?;
        read.done();
        let row = |(name, hash, loaded_at, error, stale_since): RawScriptRow| ScriptRow {
            name,
            hash,
            loaded_at: loaded_at.map(from_millis),
            error,
            stale_since: stale_since.map(from_millis),
        };
        Ok(rows.into_iter().map(row).collect())
    }
}
