//! Deletes finished work.

use std::time::Duration;

use super::sql::sql;
use super::store::{count, millis};
use super::{BroadcastId, Ledger, LedgerError};

/// How many rows were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PruneCounts {
    pub broadcasts: u64,
    /// Single sends, with their `once` keys.
    pub sends: u64,
    pub job_runs: u64,
    /// Uploads and data that had expired.
    pub expired: u64,
}

impl Ledger {
    /// Deletes what finished before `instant`. Afterwards the same name and run, or the same `once` key, is sent anew.
    /// A broadcast or send in doubt stays.
    pub async fn prune(&self, instant: Duration) -> Result<PruneCounts, LedgerError> {
        self.delete_dead_drafts().await?;
        let mut pruned = PruneCounts { sends: self.prune_sends(instant).await?, ..PruneCounts::default() };
        for id in self.over(instant).await? {
            // From here on no lookup finds it; the next prune deletes what a crash leaves of it.
            let hidden = sql("UPDATE broadcasts SET state = 0, lease_number = lease_number + 1 WHERE id = ?
                AND state IN (2, 3) AND n_in_doubt = 0 AND owner IS NULL");
            if self.change(hidden.bind(id)).await? == 0 {
                continue;
            }
            self.clear(BroadcastId(id), None).await?;
            pruned.broadcasts += self.change(sql("DELETE FROM broadcasts WHERE id = ?").bind(id)).await?;
        }
        let runs = sql("DELETE FROM job_runs WHERE state <> 0 AND finished_at < ?").bind(millis(instant));
        pruned.job_runs = self.change(runs).await?;
        for expired in ["DELETE FROM uploads WHERE expires_at < ?", "DELETE FROM data WHERE expires_at < ?"] {
            pruned.expired += self.change(sql(expired).bind(self.store().now())).await?;
        }
        self.prune_deliveries(instant).await?;
        // A plan that still waits may need to upload its files again.
        let files = sql("DELETE FROM files WHERE expires_at < ? AND NOT EXISTS
                (SELECT 1 FROM broadcasts b WHERE b.app = files.app AND b.state IN (0, 1))");
        self.change(files.bind(millis(instant))).await?;
        Ok(pruned)
    }

    /// Returns what [`Ledger::prune`] would delete.
    pub async fn prunable(&self, instant: Duration) -> Result<PruneCounts, LedgerError> {
        let (before, now) = (millis(instant), self.store().now());
        let question =
            sql("SELECT (SELECT count(*) FROM sends WHERE updated_at < ?1 AND state IN (0, 2, 3, 6)),
                (SELECT count(*) FROM job_runs WHERE state <> 0 AND finished_at < ?1),
                (SELECT count(*) FROM uploads WHERE expires_at < ?2)
                    + (SELECT count(*) FROM data WHERE expires_at < ?2)");
        let mut read = self.store().read().await?;
        let row: Option<(i64, i64, i64)> = read.row(question.bind(before).bind(now)).await?;
        read.done();
        let (sends, job_runs, expired) = row.unwrap_or_default();
        Ok(PruneCounts {
            broadcasts: self.over(instant).await?.len() as u64,
            sends: count(sends),
            job_runs: count(job_runs),
            expired: count(expired),
        })
    }

    /// Returns the broadcasts that finished before `instant` and have no recipient in doubt.
    async fn over(&self, instant: Duration) -> Result<Vec<i64>, LedgerError> {
        let question = sql(
            "SELECT id FROM broadcasts WHERE state IN (2, 3) AND finished_at < ? AND n_in_doubt = 0 AND owner IS NULL",
        );
        let mut read = self.store().read().await?;
        let over: Vec<(i64,)> = read.rows(question.bind(millis(instant))).await?;
        read.done();
        Ok(over.into_iter().map(|(id,)| id).collect())
    }
}
