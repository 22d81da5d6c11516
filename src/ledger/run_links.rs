//! What a job run sent: its broadcasts and its single sends.

use std::time::Duration;

use super::sql::sql;
use super::store::{from_millis, millis};
use super::{Broadcast, BroadcastId, Ledger, LedgerError, SendRow};

impl Ledger {
    /// Records that a job run makes or continues a broadcast, or finds it sent.
    pub async fn link_broadcast(
        &self,
        job: &str,
        scheduled_at: Duration,
        id: BroadcastId,
    ) -> Result<(), LedgerError> {
        let statement = sql(
            "INSERT INTO run_broadcasts (job, scheduled_at, broadcast) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        );
        self.store().change(statement.bind(job).bind(millis(scheduled_at)).bind(id.0)).await.map(drop)
    }

    /// Returns the broadcasts that a job run made, continued or found sent, at most `limit`, by their numbers.
    pub async fn broadcasts_of_run(
        &self,
        job: &str,
        scheduled_at: Duration,
        limit: u32,
    ) -> Result<Vec<Broadcast>, LedgerError> {
        let question = sql("SELECT b.id FROM run_broadcasts l JOIN broadcasts b ON b.id = l.broadcast
                WHERE l.job = ? AND l.scheduled_at = ? ORDER BY b.id LIMIT ?");
        let question = question.bind(job).bind(millis(scheduled_at)).bind(limit);
        let ids: Vec<(i64,)> = self.store().rows_now(question).await?;
        self.show_each(ids).await
    }

    /// Returns the job runs (job, scheduled time) that made or continued a broadcast or found it sent, the oldest first,
    /// at most `limit`.
    pub async fn runs_of_broadcast(
        &self,
        id: BroadcastId,
        limit: u32,
    ) -> Result<Vec<(String, Duration)>, LedgerError> {
        let question = sql("SELECT job, scheduled_at FROM run_broadcasts WHERE broadcast = ?
                ORDER BY scheduled_at, job LIMIT ?");
        let rows: Vec<(String, i64)> = self.store().rows_now(question.bind(id.0).bind(limit)).await?;
        Ok(rows.into_iter().map(|(job, at)| (job, from_millis(at))).collect())
    }

    /// Returns the single sends that the job run with this id made, at most `limit`, the newest first.
    pub async fn sends_of_run(&self, run_id: &str, limit: u32) -> Result<Vec<SendRow>, LedgerError> {
        let question = sql(
            "SELECT id, app, once, recipients, origin, state, attempts, receipts, error, created_at, updated_at, job_run
                FROM sends WHERE job_run = ? ORDER BY id DESC LIMIT ?",
        );
        self.store().rows(question.bind(run_id).bind(limit)).await
    }
}
