//! Deletes finished work.

use std::time::Duration;

use const_format::formatcp;

use super::sql::sql;
use super::state::recipient::{CANCELLED, PENDING, REJECTED, SENT};
use super::state::run::RUNNING;
use super::state::stage::{BUILDING, CANCELLED as BROADCAST_CANCELLED, FINISHED, READY};
use super::store::millis;
use super::{BroadcastId, Ledger, LedgerError};

/// How many rows were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, sqlx::FromRow)]
pub struct PruneCounts {
    #[sqlx(skip)]
    pub broadcasts: u64,
    /// Single sends, with their `once` keys.
    #[sqlx(try_from = "i64")]
    pub sends: u64,
    #[sqlx(try_from = "i64")]
    pub job_runs: u64,
    /// Uploads and data that had expired.
    #[sqlx(try_from = "i64")]
    pub expired: u64,
}

impl Ledger {
    /// Deletes what finished before `time`. Afterwards the same name and run, or the same `once` key, is sent anew.
    /// A broadcast or send in doubt stays.
    pub async fn prune(&self, time: Duration) -> Result<PruneCounts, LedgerError> {
        self.delete_dead_drafts().await?;
        let mut pruned = PruneCounts { sends: self.prune_sends(time).await?, ..PruneCounts::default() };
        for id in self.over(time).await? {
            // From here on no lookup finds it; the next prune deletes what a crash leaves of it.
            let hidden = sql(formatcp!(
                "UPDATE broadcasts SET state = {BUILDING}, lease_number = lease_number + 1 WHERE id = ?
                AND state IN ({FINISHED}, {BROADCAST_CANCELLED}) AND n_in_doubt = 0 AND owner IS NULL"
            ));
            if self.change(hidden.bind(id)).await? == 0 {
                continue;
            }
            self.clear(BroadcastId(id), None).await?;
            pruned.broadcasts += self.change(sql("DELETE FROM broadcasts WHERE id = ?").bind(id)).await?;
        }
        let runs = sql(formatcp!("DELETE FROM job_runs WHERE state <> {RUNNING} AND finished_at < ?"))
            .bind(millis(time));
        pruned.job_runs = self.change(runs).await?;
        for expired in ["DELETE FROM uploads WHERE expires_at < ?", "DELETE FROM data WHERE expires_at < ?"] {
            pruned.expired += self.change(sql(expired).bind(self.store().now())).await?;
        }
        self.prune_links(time).await?;
        self.prune_deliveries(time).await?;
        self.prune_callbacks().await?;
        self.prune_rehearsals(time).await?;
        self.prune_run_files().await?;
        self.change(sql("DELETE FROM read_receipts WHERE at < ?").bind(millis(time))).await?;
        self.change(sql("DELETE FROM edits WHERE updated_at < ?").bind(millis(time))).await?;
        let ended = sql("DELETE FROM suppressions WHERE expires_at < ?").bind(self.store().now());
        self.change(ended).await?;
        // A plan that still waits may need to upload its files again.
        let files = sql(formatcp!(
            "DELETE FROM files WHERE expires_at < ? AND NOT EXISTS
                (SELECT 1 FROM broadcasts b WHERE b.app = files.app AND b.state IN ({BUILDING}, {READY}))"
        ));
        self.change(files.bind(millis(time))).await?;
        Ok(pruned)
    }

    /// Returns what [`Ledger::prune`] would delete.
    pub async fn prunable(&self, time: Duration) -> Result<PruneCounts, LedgerError> {
        let (before, now) = (millis(time), self.store().now());
        let question = sql(formatcp!(
            "SELECT (SELECT count(*) FROM sends WHERE updated_at < ?1
                    AND state IN ({PENDING}, {SENT}, {REJECTED}, {CANCELLED})) AS sends,
                (SELECT count(*) FROM job_runs WHERE state <> {RUNNING} AND finished_at < ?1) AS job_runs,
                (SELECT count(*) FROM uploads WHERE expires_at < ?2)
                    + (SELECT count(*) FROM data WHERE expires_at < ?2) AS expired"
        ));
        let row: Option<PruneCounts> = self.store().row(question.bind(before).bind(now)).await?;
        Ok(PruneCounts { broadcasts: self.over(time).await?.len() as u64, ..row.unwrap_or_default() })
    }

    /// Deletes the output of runs from before `time`, and the links between runs and broadcasts of which one is gone.
    async fn prune_links(&self, time: Duration) -> Result<(), LedgerError> {
        self.prune_output(time, u64::MAX).await?;
        let links =
            "DELETE FROM run_broadcasts WHERE NOT EXISTS (SELECT 1 FROM broadcasts b WHERE b.id = broadcast)
            OR NOT EXISTS (SELECT 1 FROM job_runs r WHERE r.job = run_broadcasts.job
                AND r.scheduled_at = run_broadcasts.scheduled_at)";
        self.change(sql(links)).await?;
        let requesters =
            "DELETE FROM run_requesters WHERE scheduled_at < ? AND NOT EXISTS (SELECT 1 FROM job_runs r
            WHERE r.job = run_requesters.job AND r.scheduled_at = run_requesters.scheduled_at)
            AND NOT EXISTS (SELECT 1 FROM job_commands c
            WHERE c.job = run_requesters.job AND c.scheduled_at = run_requesters.scheduled_at)";
        self.change(sql(requesters).bind(millis(time))).await.map(drop)
    }

    /// Returns the broadcasts that finished before `time` and have no recipient in doubt.
    async fn over(&self, time: Duration) -> Result<Vec<i64>, LedgerError> {
        let question = sql(formatcp!(
            "SELECT id FROM broadcasts WHERE state IN ({FINISHED}, {BROADCAST_CANCELLED}) AND finished_at < ?
                AND n_in_doubt = 0 AND owner IS NULL"
        ));
        let over: Vec<(i64,)> = self.store().rows(question.bind(millis(time))).await?;
        Ok(over.into_iter().map(|(id,)| id).collect())
    }
}
