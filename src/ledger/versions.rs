//! Scripts as they were when their runs began, for runs that start again.

use bytes::Bytes;

use super::broadcast::json;
use super::sql::sql;
use super::store::Transaction;
use super::{Ledger, LedgerError};

/// A script with the modules that it requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredScript {
    /// The hash that identifies the version.
    pub hash: String,
    /// Its parts: the script, with an empty module name, and the modules.
    pub parts: Vec<StoredModule>,
}

/// The source text of a script or a module.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct StoredModule {
    /// The module's name; empty for the script.
    pub module: String,
    /// The path of its file, as errors show it.
    pub path: String,
    /// The content of the file.
    #[sqlx(try_from = "Vec<u8>")]
    pub text: Bytes,
}

impl Ledger {
    /// Returns a version that an unfinished run needs.
    pub async fn version(&self, hash: &str) -> Result<Option<StoredScript>, LedgerError> {
        let question = sql("SELECT module, path, text FROM versions WHERE hash = ? ORDER BY module");
        let parts: Vec<StoredModule> = self.store().rows(question.bind(hash)).await?;
        let whole = parts.first().is_some_and(|part| part.module.is_empty());
        Ok(whole.then(|| StoredScript { hash: hash.to_owned(), parts }))
    }

    /// Deletes the versions that no run needs any more, except those named in `keep`. Returns how many texts were
    /// deleted.
    pub async fn prune_versions(&self, keep: &[String]) -> Result<u64, LedgerError> {
        self.store()
            .transaction(async |write| {
                let keep = json(write, &keep)?;
                let statement = sql(
                    "DELETE FROM versions WHERE hash NOT IN (SELECT atom FROM json_each(?)) AND NOT EXISTS
                    (SELECT 1 FROM job_runs r WHERE r.finished_at IS NULL AND r.version = versions.hash)",
                );
                write.run(statement.bind(keep)).await
            })
            .await
    }
}

/// Stores those of the versions that are not stored yet.
pub(super) async fn keep(write: &mut Transaction<'_>, versions: &[StoredScript]) -> Result<(), LedgerError> {
    let hashes: Vec<&str> = versions.iter().map(|version| version.hash.as_str()).collect();
    let question =
        sql("SELECT atom FROM json_each(?) WHERE EXISTS (SELECT 1 FROM versions WHERE hash = atom)");
    let known: Vec<(String,)> = write.rows(question.bind(json(write, &hashes)?)).await?;
    let is_known = |version: &StoredScript| known.iter().any(|(hash,)| *hash == version.hash);
    for version in versions.iter().filter(|version| !is_known(version)) {
        for part in &version.parts {
            let statement = sql("INSERT INTO versions (hash, module, path, text) VALUES (?, ?, ?, ?)");
            let statement =
                statement.bind(&version.hash).bind(&part.module).bind(&part.path).bind(&part.text[..]);
            write.run(statement).await?;
        }
    }
    Ok(())
}
