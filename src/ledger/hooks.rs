//! Accepted hook requests. Each is on disk before it is answered, and stays until its run has ended. The request of a
//! failed run is kept, so that it can run again.

use std::time::Duration;

use super::job_registry::insert_run_command;
use super::sql::sql;
use super::store::{Transaction, from_millis, millis};
use super::{JobState, Ledger, LedgerError};

/// The most requests or events with an unfinished run, for one job and for all jobs together.
pub(super) const MOST: i64 = 1000;
pub(super) const MOST_OF_ALL: i64 = 5000;

/// The most bytes of such requests and events, of all jobs together.
pub(super) const MOST_BYTES: i64 = 128 * 1024 * 1024;

/// A request to a hook, before it is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHookRequest {
    pub job: String,
    /// The delivery's id, unique for the hook. A request without one is always new.
    pub delivery: Option<String>,
    /// The rest of the request, without the body, as text.
    pub head: String,
    /// The request's body, as it arrived.
    pub body: Vec<u8>,
}

/// The result of accepting a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookAcceptance {
    /// It is accepted; its run has this scheduled time.
    New(Duration),
    /// A delivery with that id was accepted before; its run has this scheduled time.
    Again(Duration),
    /// It is not accepted: too many requests wait.
    Full,
}

/// The requests and events with an unfinished run.
#[derive(Default, sqlx::FromRow)]
pub(super) struct WaitingRequests {
    pub(super) of_all: i64,
    pub(super) of_job: i64,
    /// The bytes of all of them.
    pub(super) bytes: i64,
}

impl WaitingRequests {
    pub(super) async fn count(write: &mut Transaction<'_>, job: &str) -> Result<Self, LedgerError> {
        let question =
            sql("SELECT count(*) AS of_all, coalesce(sum(length(head) + length(body)), 0) AS bytes,
                    count(*) FILTER (WHERE job = ?) AS of_job
                FROM hook_requests q WHERE NOT EXISTS (SELECT 1 FROM job_runs r WHERE r.job = q.job
                    AND r.scheduled_at = q.scheduled_at AND r.finished_at IS NOT NULL)");
        Ok(write.row(question.bind(job)).await?.unwrap_or_default())
    }

    const fn is_full(&self) -> bool {
        self.of_job >= MOST || self.of_all >= MOST_OF_ALL || self.bytes >= MOST_BYTES
    }
}

impl Ledger {
    /// Accepts a request for a hook and requests its run. No other run of the job has the same scheduled time.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails; the request is not accepted then.
    pub async fn take_hook_request(&self, new: &NewHookRequest) -> Result<HookAcceptance, LedgerError> {
        self.store().transaction(async |write| {
            if let Some(delivery) = &new.delivery {
                let question = sql("SELECT d.scheduled_at, r.state FROM hook_deliveries d LEFT JOIN job_runs r
                        ON r.job = d.job AND r.scheduled_at = d.scheduled_at WHERE d.job = ? AND d.delivery = ?");
                let before: Option<(i64, Option<JobState>)> =
                    write.row(question.bind(&new.job).bind(delivery)).await?;
                if let Some((scheduled_at, state)) = before {
                    // A failed or skipped run is worth another one; the new request replaces the kept one.
                    if !matches!(state, Some(JobState::Failed | JobState::Skipped)) {
                        return Ok(HookAcceptance::Again(from_millis(scheduled_at)));
                    }
                    for table in ["hook_requests", "hook_deliveries"] {
                        let statement = format!("DELETE FROM {table} WHERE job = ? AND scheduled_at = ?");
                        write.run(sql(statement).bind(&new.job).bind(scheduled_at)).await?;
                    }
                }
            }
            if WaitingRequests::count(write, &new.job).await?.is_full() {
                return Ok(HookAcceptance::Full);
            }
            let scheduled_at = insert_run_command(write, &new.job).await?;
            let statement =
                sql("INSERT INTO hook_requests (job, scheduled_at, head, body) VALUES (?, ?, ?, ?)");
            let statement = statement.bind(&new.job).bind(scheduled_at).bind(&new.head).bind(&new.body[..]);
            write.run(statement).await?;
            if let Some(delivery) = &new.delivery {
                let statement =
                    sql("INSERT INTO hook_deliveries (job, delivery, scheduled_at) VALUES (?, ?, ?)");
                write.run(statement.bind(&new.job).bind(delivery).bind(scheduled_at)).await?;
            }
            Ok(HookAcceptance::New(from_millis(scheduled_at)))
        }).await
    }

    /// Returns the HTTP request that started an unfinished run: its head and its body. `None` if an operator started
    /// the run instead.
    pub async fn hook_request(
        &self,
        job: &str,
        scheduled_at: Duration,
    ) -> Result<Option<(String, Vec<u8>)>, LedgerError> {
        let question = sql("SELECT head, body FROM hook_requests WHERE job = ? AND scheduled_at = ?");
        let found = self.store().row_now(question.bind(job).bind(millis(scheduled_at))).await?;
        Ok(found)
    }

    /// Drops a request whose run has not begun.
    pub async fn drop_hook_request(&self, job: &str, scheduled_at: Duration) -> Result<(), LedgerError> {
        let statement = sql("DELETE FROM hook_requests WHERE job = ? AND scheduled_at = ?");
        self.change(statement.bind(job).bind(millis(scheduled_at))).await.map(drop)
    }

    /// Requests another run for an ended run of a hook whose request is kept: the latest such run, or the one with
    /// this scheduled time. Returns the scheduled time of the new run. `None` if there is no such run, or its request
    /// is not kept.
    pub async fn retry_hook_run(
        &self,
        job: &str,
        run: Option<Duration>,
    ) -> Result<Option<Duration>, LedgerError> {
        self.store()
            .transaction(async |write| {
                let question = sql("SELECT q.scheduled_at FROM hook_requests q JOIN job_runs r
                    ON r.job = q.job AND r.scheduled_at = q.scheduled_at
                    WHERE q.job = ?1 AND (?2 IS NULL OR q.scheduled_at = ?2) AND r.finished_at IS NOT NULL
                    ORDER BY q.scheduled_at DESC LIMIT 1");
                let found: Option<(i64,)> = write.row(question.bind(job).bind(run.map(millis))).await?;
                let Some((old,)) = found else { return Ok(None) };
                let scheduled_at = insert_run_command(write, job).await?;
                for table in ["hook_requests", "hook_deliveries"] {
                    let statement =
                        format!("UPDATE {table} SET scheduled_at = ? WHERE job = ? AND scheduled_at = ?");
                    write.run(sql(statement).bind(scheduled_at).bind(job).bind(old)).await?;
                }
                Ok(Some(from_millis(scheduled_at)))
            })
            .await
    }

    /// Returns the ended runs of a hook whose requests are kept, the latest first. These can run again.
    pub async fn kept_hook_runs(&self, job: &str) -> Result<Vec<Duration>, LedgerError> {
        let question = sql("SELECT q.scheduled_at FROM hook_requests q JOIN job_runs r
                ON r.job = q.job AND r.scheduled_at = q.scheduled_at
                WHERE q.job = ? AND r.finished_at IS NOT NULL ORDER BY q.scheduled_at DESC");
        let rows: Vec<(i64,)> = self.store().rows(question.bind(job)).await?;
        Ok(rows.into_iter().map(|(at,)| from_millis(at)).collect())
    }

    /// Deletes the ids of deliveries that were accepted before `time`; a delivery with the same id runs anew
    /// afterwards. Also deletes the requests of ended runs from before `time`. Returns how many ids were deleted.
    pub async fn prune_deliveries(&self, time: Duration) -> Result<u64, LedgerError> {
        let old = sql("DELETE FROM hook_requests WHERE scheduled_at < ?1 AND EXISTS (SELECT 1 FROM job_runs r
                WHERE r.job = hook_requests.job AND r.scheduled_at = hook_requests.scheduled_at AND r.finished_at IS NOT NULL)");
        self.change(old.bind(millis(time))).await?;
        // Of the requests of ended runs, only a fixed number is kept, the latest ones.
        let many = sql("DELETE FROM hook_requests WHERE EXISTS (SELECT 1 FROM job_runs r
                WHERE r.job = hook_requests.job AND r.scheduled_at = hook_requests.scheduled_at AND r.finished_at IS NOT NULL)
                AND scheduled_at < (SELECT min(scheduled_at) FROM (SELECT q.scheduled_at FROM hook_requests q JOIN job_runs r
                    ON r.job = q.job AND r.scheduled_at = q.scheduled_at AND r.finished_at IS NOT NULL
                    ORDER BY q.scheduled_at DESC LIMIT 200) kept)");
        self.change(many).await?;
        let statement = sql("DELETE FROM hook_deliveries WHERE scheduled_at < ?");
        self.change(statement.bind(millis(time))).await
    }
}
