//! Job runs. Each scheduled time of a job starts once, however many processes claim it and however often.

use std::time::Duration;

use const_format::formatcp;

use super::claims::{self, NOT_OF_EVENT};
use super::columns::{JsonText, Millis, OptionalMillis};
use super::sql::sql;
use super::state::run::{RUNNING, WAITING};
use super::store::{Transaction, millis, small};
use super::versions::{self, StoredScript};
use super::{CommandLineStart, Instance, JobState, Ledger, LedgerError, RunRequest};

/// A scheduled time of a job, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJobRun {
    pub job: String,
    pub scheduled_at: Duration,
    pub entry: JobRunAction,
    /// The hash of the script's version.
    pub version: String,
    /// Whether it runs again after a crash even if it may have sent messages outside of broadcasts.
    pub rerun: bool,
    /// The most real time that it may take; `None` for no limit.
    pub timeout: Option<Duration>,
    /// Its arguments, if it is a requested run of a script.
    pub args: Option<RunRequest>,
}

/// The time up to which a job's scheduled times are decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedUntil {
    pub job: String,
    /// All scheduled times up to this one are decided.
    pub until: Duration,
    /// The next scheduled time; shown to people.
    pub next: Option<Duration>,
}

/// The action for a scheduled time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobRunAction {
    /// Run it now. While another process runs an earlier scheduled time of the job, it is skipped or waits.
    Run {
        /// Whether it is skipped in that case.
        or_skip: bool,
    },
    /// Wait for its turn.
    Wait,
    /// Do not run it, for this reason.
    Skip(String),
}

/// The result of beginning a job run that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeginResult {
    Begun {
        /// 1 for the first attempt; each death of its process adds one.
        attempt: u32,
    },
    /// Another process runs an earlier scheduled time of the job.
    Busy,
    /// Another instance claimed this run.
    Gone,
}

/// The result of claiming a job run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobClaim {
    /// Another version of its script is active in the fleet. A host that has that version runs it.
    Elsewhere,
    /// The claimer runs it.
    Claimed {
        /// 1 for the first attempt; each death of its process adds one.
        attempt: u32,
    },
    /// The claimer holds it, and it waits for its turn: see [`Ledger::begin_job_run`].
    Waits,
    /// It was claimed before and has not ended.
    Running,
    /// It has ended, in this state.
    Over(JobState),
}

/// A job run and its current state.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct JobRun {
    pub job: String,
    #[sqlx(try_from = "Millis")]
    pub scheduled_at: Duration,
    pub state: JobState,
    /// How many times it was begun.
    #[sqlx(try_from = "i64")]
    pub attempt: u32,
    /// The note about its end.
    pub note: Option<String>,
    /// When it was last begun.
    #[sqlx(try_from = "Millis")]
    pub started_at: Duration,
    /// When it ended; `None` while it has not.
    #[sqlx(try_from = "OptionalMillis")]
    pub finished_at: Option<Duration>,
    /// Its arguments, if it is a requested run of a script.
    #[sqlx(try_from = "JsonText<Option<RunRequest>>")]
    pub args: Option<RunRequest>,
    /// Who started it on the command line. `None` for a run of a daemon.
    #[sqlx(try_from = "JsonText<Option<CommandLineStart>>")]
    pub command_line: Option<CommandLineStart>,
    /// The hash of the script's version.
    pub version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRun {
    pub job: String,
    pub scheduled_at: Duration,
    /// How it ended.
    pub state: JobState,
    /// The note about its end.
    pub note: Option<String>,
}

impl Ledger {
    /// Claims or records scheduled times of jobs, all in one commit. One that was claimed or recorded before stays as
    /// it is. `versions` are the script versions that the runs name; they are kept for as long as an unfinished run
    /// needs them.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Reaped`] if this instance was reaped, or an error of the store. Nothing was claimed then.
    pub async fn claim_job_runs(
        &self,
        instance: &Instance,
        runs: &[NewJobRun],
        versions: &[StoredScript],
        decided: &[DecidedUntil],
    ) -> Result<Vec<JobClaim>, LedgerError> {
        self.store()
            .transaction(async |write| {
                versions::keep(write, versions).await?;
                let named: Vec<_> = runs
                    .iter()
                    .filter(|run| run.args.is_none())
                    .map(|run| (run.job.as_str(), run.version.as_str()))
                    .collect();
                let elsewhere = self.store().driver.active_elsewhere(write, instance.id(), &named).await?;
                let here: Vec<NewJobRun> =
                    runs.iter().filter(|run| !elsewhere.contains(&run.job)).cloned().collect();
                let mut claims = claims::claim(write, &here, instance.id()).await?.into_iter();
                let here: Vec<DecidedUntil> =
                    decided.iter().filter(|one| !elsewhere.contains(&one.job)).cloned().collect();
                claims::decide(write, &here).await?;
                let claim = |run: &NewJobRun| {
                    let claimed = if elsewhere.contains(&run.job) { None } else { claims.next() };
                    claimed.unwrap_or(JobClaim::Elsewhere)
                };
                Ok(runs.iter().map(claim).collect())
            })
            .await
    }

    /// Begins a run that waited for its turn.
    pub async fn begin_job_run(
        &self,
        job: &str,
        scheduled_at: Duration,
        instance: &Instance,
    ) -> Result<BeginResult, LedgerError> {
        self.store()
            .transaction(async |write| {
                if runs_elsewhere(write, job, instance.id()).await? {
                    return Ok(BeginResult::Busy);
                }
                let statement = sql(formatcp!(
                    "UPDATE job_runs SET state = {RUNNING}, attempt = attempt + 1, entries = entries + 1, started_at = ?
                    WHERE job = ? AND scheduled_at = ? AND owner = ? AND state = {WAITING} RETURNING attempt"
                ));
                let statement =
                    statement.bind(write.store.now()).bind(job).bind(millis(scheduled_at)).bind(instance.id());
                let begun = write.row::<(i64,)>(statement).await?;
                Ok(begun
                    .map_or(BeginResult::Gone, |(attempt,)| BeginResult::Begun { attempt: small(attempt) }))
            })
            .await
    }

    /// Records that a run is about to send messages that a rerun might send twice. Returns whether this instance still
    /// holds the run; if it does not, it must send nothing.
    pub async fn mark_not_rerunnable(
        &self,
        job: &str,
        scheduled_at: Duration,
        instance: &Instance,
    ) -> Result<bool, LedgerError> {
        let statement = sql(formatcp!(
            "UPDATE job_runs SET not_rerunnable = true WHERE job = ? AND scheduled_at = ? AND owner = ? AND state = {RUNNING}"
        ));
        let statement = statement.bind(job).bind(millis(scheduled_at)).bind(instance.id());
        Ok(self.change(statement).await? > 0)
    }

    /// Records that a run was interrupted because its process shuts down, so that this does not count as a death of
    /// the host during the run. The next instance takes the run over as if its process had died.
    pub async fn mark_run_interrupted(
        &self,
        job: &str,
        scheduled_at: Duration,
        instance: &Instance,
    ) -> Result<(), LedgerError> {
        let statement = sql(formatcp!(
            "UPDATE job_runs SET entries = entries - 1 WHERE job = ? AND scheduled_at = ? AND owner = ?
                AND state = {RUNNING} AND entries > 0"
        ));
        let statement = statement.bind(job).bind(millis(scheduled_at)).bind(instance.id());
        self.change(statement).await.map(drop)
    }

    /// Records how job runs ended, all in one commit. Returns how many of them this instance still held.
    pub async fn finish_job_runs(&self, instance: &Instance, runs: &[EndedRun]) -> Result<u64, LedgerError> {
        self.store().transaction(async |write| claims::finish(write, runs, instance.id()).await).await
    }

    /// Returns whether the run of a job for this scheduled time is recorded and has not ended.
    pub async fn job_run_is_open(&self, job: &str, scheduled_at: Duration) -> Result<bool, LedgerError> {
        let question =
            sql("SELECT attempt FROM job_runs WHERE job = ? AND scheduled_at = ? AND finished_at IS NULL");
        let row: Option<(i64,)> = self.store().row_now(question.bind(job).bind(millis(scheduled_at))).await?;
        Ok(row.is_some())
    }

    /// Returns the latest runs of a job, or of all jobs, at most `limit`.
    pub async fn job_runs(&self, job: Option<&str>, limit: u32) -> Result<Vec<JobRun>, LedgerError> {
        let question = sql(
            "SELECT job, scheduled_at, state, attempt, note, started_at, finished_at, args, command_line, version FROM job_runs
                WHERE ?1 IS NULL OR job = ?1 ORDER BY scheduled_at DESC, job LIMIT ?2",
        );
        self.store().rows(question.bind(job).bind(limit)).await
    }

    /// Returns the run of a job for this scheduled time.
    pub async fn job_run(&self, job: &str, scheduled_at: Duration) -> Result<Option<JobRun>, LedgerError> {
        let question = sql(
            "SELECT job, scheduled_at, state, attempt, note, started_at, finished_at, args, command_line, version FROM job_runs
                WHERE job = ? AND scheduled_at = ?",
        );
        self.store().row(question.bind(job).bind(millis(scheduled_at))).await
    }
}

/// Returns whether another process runs a scheduled time of the job. A run of a dead process counts until it is taken
/// over.
async fn runs_elsewhere(write: &mut Transaction<'_>, job: &str, instance: i64) -> Result<bool, LedgerError> {
    let question = sql(formatcp!(
        "SELECT count(*) FROM job_runs r WHERE job = ? AND finished_at IS NULL AND state = {RUNNING} AND owner <> ? AND command_line IS NULL
            AND {NOT_OF_EVENT}"
    ));
    let others: Option<(i64,)> = write.row(question.bind(job).bind(instance)).await?;
    Ok(others.unwrap_or_default().0 > 0)
}
