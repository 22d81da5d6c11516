//! Job runs: each scheduled instant of a job starts once.

use std::time::Duration;

use super::owner::lives;
use super::store::{Transaction, from_millis, millis};
use super::{JobState, Ledger, LedgerError, Owner};

/// What came of claiming a job run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobClaim {
    /// It is the claimer's to run.
    Claimed {
        /// 1 for the first time, one more for each time that its process died.
        attempt: u32,
    },
    /// A living owner runs it.
    Running,
    /// It ended, so.
    Over(JobState),
}

/// A job run as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    /// The job's name.
    pub job: String,
    /// The instant that it was scheduled for.
    pub scheduled_at: Duration,
    /// How it stands.
    pub state: JobState,
    /// How often it was begun.
    pub attempt: u32,
    /// What was said of its end.
    pub note: Option<String>,
    /// When it was begun last.
    pub started_at: Duration,
    /// When it ended.
    pub finished_at: Option<Duration>,
}

impl Ledger {
    /// Takes a job run, if nobody has: it is new, or the owner that ran it died.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn claim_job_run(
        &self,
        job: &str,
        scheduled_at: Duration,
        owner: &Owner,
    ) -> Result<JobClaim, LedgerError> {
        let mut write = self.store().write().await?;
        let result = claim(&mut write, job, millis(scheduled_at), owner.id).await;
        write.end(result).await
    }

    /// Writes down how a job run ended; gives whether it was still this owner's.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn finish_job_run(
        &self,
        job: &str,
        scheduled_at: Duration,
        owner: &Owner,
        state: JobState,
        note: Option<&str>,
    ) -> Result<bool, LedgerError> {
        let statement = sqlx::query(
            "UPDATE job_runs SET state = ?, note = ?, finished_at = ?
                WHERE job = ? AND scheduled_at = ? AND owner = ? AND state = 0",
        )
        .bind(state.number())
        .bind(note)
        .bind(self.store().now())
        .bind(job)
        .bind(millis(scheduled_at))
        .bind(owner.id);
        Ok(self.change(statement).await? > 0)
    }

    /// The latest runs of a job, or of all, at the most `limit`.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn job_runs(&self, job: Option<&str>, limit: u32) -> Result<Vec<JobRun>, LedgerError> {
        type Row = (String, i64, i64, u32, Option<String>, i64, Option<i64>);
        let question = sqlx::query_as(
            "SELECT job, scheduled_at, state, attempt, note, started_at, finished_at FROM job_runs
                WHERE ?1 IS NULL OR job = ?1 ORDER BY scheduled_at DESC, job LIMIT ?2",
        );
        let mut read = self.store().read().await?;
        let rows: Vec<Row> = read.rows(question.bind(job).bind(limit)).await?;
        read.done();
        let read = |(job, scheduled_at, state, attempt, note, started_at, finished_at): Row| {
            Ok(JobRun {
                job,
                scheduled_at: from_millis(scheduled_at),
                state: JobState::from_number(state).map_err(|detail| self.store().record(detail))?,
                attempt,
                note,
                started_at: from_millis(started_at),
                finished_at: finished_at.map(from_millis),
            })
        };
        rows.into_iter().map(read).collect()
    }
}

async fn claim(
    write: &mut Transaction<'_>,
    job: &str,
    scheduled_at: i64,
    owner: i64,
) -> Result<JobClaim, LedgerError> {
    let question = sqlx::query_as("SELECT state, owner FROM job_runs WHERE job = ? AND scheduled_at = ?");
    let row: Option<(i64, i64)> = write.row(question.bind(job).bind(scheduled_at)).await?;
    if let Some((state, holder)) = row {
        let state = JobState::from_number(state).map_err(|detail| write.store.record(detail))?;
        if state != JobState::Running {
            return Ok(JobClaim::Over(state));
        }
        if lives(write, holder).await? {
            return Ok(JobClaim::Running);
        }
    }
    let statement = sqlx::query_as(
        "INSERT INTO job_runs (job, scheduled_at, state, attempt, owner, started_at) VALUES (?, ?, 0, 1, ?, ?)
            ON CONFLICT (job, scheduled_at) DO UPDATE SET attempt = attempt + 1, owner = excluded.owner,
                started_at = excluded.started_at RETURNING attempt",
    );
    let now = write.store.now();
    let taken: Option<(u32,)> =
        write.row(statement.bind(job).bind(scheduled_at).bind(owner).bind(now)).await?;
    let (attempt,) = taken.ok_or_else(|| write.store.record("a job run that was not claimed"))?;
    Ok(JobClaim::Claimed { attempt })
}
