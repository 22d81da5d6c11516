//! Files that were uploaded as arguments of runs. They are kept by their content, and pruned with the runs.

use std::time::Duration;

use super::sql::sql;
use super::store::millis;
use super::{Ledger, LedgerError};
use crate::core::sha256_hex;

/// The most bytes of all kept files together.
pub const ALL_RUN_FILES: u64 = 256 * 1024 * 1024;

/// How long a file is kept for a run that was not requested yet.
const UNUSED: Duration = Duration::from_hours(24);

/// The result of keeping a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepFileResult {
    /// It is kept under this hash.
    Kept(String),
    /// All files together would have more than [`ALL_RUN_FILES`].
    Full,
}

impl Ledger {
    /// Keeps a file for a run. The same content is kept once.
    pub async fn keep_run_file(&self, content: &[u8]) -> Result<KeepFileResult, LedgerError> {
        let hash = sha256_hex(content);
        let bytes = i64::try_from(content.len()).unwrap_or(i64::MAX);
        self.prune_run_files().await?;
        self.store()
            .transaction(async |write| {
                let question =
                    sql("SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM run_files WHERE hash <> ?");
                let others: Option<(i64,)> = write.row(question.bind(&hash)).await?;
                let all = others.unwrap_or_default().0.saturating_add(bytes);
                if all > i64::try_from(ALL_RUN_FILES).unwrap_or(i64::MAX) {
                    return Ok(KeepFileResult::Full);
                }
                let statement =
                    sql("INSERT INTO run_files (hash, bytes, content, stored_at) VALUES (?1, ?2, ?3, ?4)
                        ON CONFLICT (hash) DO UPDATE SET stored_at = excluded.stored_at");
                let now = write.store.now();
                write.run(statement.bind(&hash).bind(bytes).bind(content).bind(now)).await?;
                Ok(KeepFileResult::Kept(hash.clone()))
            })
            .await
    }

    /// Returns the content of a kept file.
    pub async fn run_file(&self, hash: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let question = sql("SELECT content FROM run_files WHERE hash = ?");
        let row: Option<(Vec<u8>,)> = self.store().row_now(question.bind(hash)).await?;
        Ok(row.map(|(content,)| content))
    }

    /// Returns the size of a kept file in bytes.
    pub async fn run_file_size(&self, hash: &str) -> Result<Option<u64>, LedgerError> {
        let question = sql("SELECT bytes FROM run_files WHERE hash = ?");
        let row: Option<(i64,)> = self.store().row_now(question.bind(hash)).await?;
        Ok(row.map(|(bytes,)| bytes.unsigned_abs()))
    }

    /// Deletes the files that no run, request or rehearsal names, a day after their upload.
    pub(super) async fn prune_run_files(&self) -> Result<(), LedgerError> {
        let statement = sql("DELETE FROM run_files WHERE stored_at < ?
            AND NOT EXISTS (SELECT 1 FROM job_runs r WHERE r.args LIKE '%upload:' || run_files.hash || '%')
            AND NOT EXISTS (SELECT 1 FROM job_commands c WHERE c.args LIKE '%upload:' || run_files.hash || '%')
            AND NOT EXISTS (SELECT 1 FROM broadcasts b WHERE b.spec LIKE '%upload:' || run_files.hash || '%')
            AND NOT EXISTS (SELECT 1 FROM rehearsals a WHERE a.args LIKE '%upload:' || run_files.hash || '%')");
        let before = self.store().now().saturating_sub(millis(UNUSED));
        self.change(statement.bind(before)).await.map(drop)
    }
}
