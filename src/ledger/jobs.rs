//! Job runs: each instant of a job starts once, whoever asks for it and however often.

use std::time::Duration;

use super::claims;
use super::heartbeat::is_known;
use super::instance::lives;
use super::postgres::registered_jobs;
use super::sql::sql;
use super::store::{Transaction, from_millis, millis, small};
use super::versions::{self, StoredScript};
use super::{Instance, JobState, Ledger, LedgerError};

/// An instant of a job, decided upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJobRun {
    /// The job's name.
    pub job: String,
    /// The instant.
    pub scheduled_at: Duration,
    /// What becomes of it.
    pub entry: JobRunAction,
    /// The hash of the script's version.
    pub version: String,
    /// Whether it is entered again after a crash whatever it had sent.
    pub rerun: bool,
    /// Real time that it may take.
    pub timeout: Option<Duration>,
    /// Its arguments, where somebody asked for the run of a script.
    pub args: Option<Vec<String>>,
}

/// How far the instants of a job are decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedUntil {
    /// The job's name.
    pub job: String,
    /// All up to this one.
    pub until: Duration,
    /// The next one; shown to people.
    pub next: Option<Duration>,
}

/// What becomes of an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobRunAction {
    /// It runs now. While another process runs an earlier instant of the job it is skipped, or waits.
    Run {
        /// Whether it is skipped then.
        or_skip: bool,
    },
    /// It waits for its turn.
    Wait,
    /// It does not run, for this reason.
    Skip(String),
}

/// What came of beginning a job run that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeginResult {
    /// It is begun.
    Begun {
        /// 1 for the first time, one more for each time that its process died.
        attempt: u32,
    },
    /// Another process runs an earlier instant of the job.
    Busy,
    /// It is not this owner's to begin.
    Gone,
}

/// What came of claiming a job run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobClaim {
    /// Another version of its script is in force in the fleet: a host that has that one runs it.
    Elsewhere,
    /// It is the claimer's to run.
    Claimed {
        /// 1 for the first time, one more for each time that its process died.
        attempt: u32,
    },
    /// It is the claimer's, and waits for its turn: see [`Ledger::begin_job_run`].
    Waits,
    /// Somebody has it.
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
    /// Its arguments, where somebody asked for the run of a script.
    pub args: Option<Vec<String>>,
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRun {
    /// The job's name.
    pub job: String,
    /// The instant that it was scheduled for.
    pub scheduled_at: Duration,
    /// How it ended.
    pub state: JobState,
    /// What is said of its end.
    pub note: Option<String>,
}

/// A run whose process died before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanedRun {
    /// The job's name.
    pub job: String,
    /// The instant that it was scheduled for.
    pub scheduled_at: Duration,
    /// How often it was begun.
    pub attempt: u32,
    /// Why it is interrupted for good. Without a reason it is the finder's now, and waits to be begun.
    pub why: Option<String>,
    /// The hash of the script's version.
    pub version: String,
    /// Real time that it may take.
    pub timeout: Option<Duration>,
    /// Its arguments, where somebody asked for the run of a script.
    pub args: Option<Vec<String>>,
}

/// Why a run that died is not entered again.
const LOOSE: &str = "its process died, and it had sent messages outside of broadcasts and without `once`: entered again it might send them twice (`rerun = true` enters it all the same)";

/// A run during which its host died so often is not entered again: it may be what the host dies of.
const MOST_DEATHS: i64 = 2;

/// Why a run is not entered a third time, and how it is run all the same.
fn died(job: &str, is_script: bool) -> String {
    // The run of a script goes by a name with the script after a word.
    let again = match job.split_once(' ').filter(|_| is_script) {
        Some((_, script)) => format!("`mooncast jobs run-script '{script}'` runs the script anew"),
        None => format!("`mooncast jobs trigger '{job}'` runs the job anew"),
    };
    format!(
        "its host died during it twice, so it is not entered a third time; find out what the host died of (its log, memory), then {again}"
    )
}

impl Ledger {
    /// Takes instants of jobs, all in one commit: each is claimed or noted unless it was before. `versions` are those
    /// that the runs name; they are kept for as long as a run that is not over needs them.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Buried`], and faults of the store; nothing was claimed.
    pub async fn claim_job_runs(
        &self,
        owner: &Instance,
        runs: &[NewJobRun],
        versions: &[StoredScript],
        decided: &[DecidedUntil],
    ) -> Result<Vec<JobClaim>, LedgerError> {
        let mut write = self.store().write().await?;
        let result = async {
            versions::keep(&mut write, versions).await?;
            if !self.is_shared() {
                let claims = claims::claim(&mut write, runs, owner.id()).await?;
                claims::decide(&mut write, decided).await?;
                return Ok(claims);
            }
            if !is_known(&mut write, owner.id()).await? {
                return Err(LedgerError::Buried);
            }
            let named: Vec<_> = runs
                .iter()
                .filter(|run| run.args.is_none())
                .map(|run| (run.job.as_str(), run.version.as_str()))
                .collect();
            let elsewhere = registered_jobs::elsewhere(&mut write, &named).await?;
            let here: Vec<NewJobRun> =
                runs.iter().filter(|run| !elsewhere.contains(&run.job)).cloned().collect();
            let mut claims = claims::claim(&mut write, &here, owner.id()).await?.into_iter();
            let here: Vec<DecidedUntil> =
                decided.iter().filter(|one| !elsewhere.contains(&one.job)).cloned().collect();
            claims::decide(&mut write, &here).await?;
            let claim = |run: &NewJobRun| {
                let claimed = if elsewhere.contains(&run.job) { None } else { claims.next() };
                claimed.unwrap_or(JobClaim::Elsewhere)
            };
            Ok(runs.iter().map(claim).collect())
        }
        .await;
        write.end(result).await
    }

    /// Begins a run that waited.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn begin_job_run(
        &self,
        job: &str,
        scheduled_at: Duration,
        owner: &Instance,
    ) -> Result<BeginResult, LedgerError> {
        let mut write = self.store().write().await?;
        let result = async {
            if runs_elsewhere(&mut write, job, owner.id()).await? {
                return Ok(BeginResult::Busy);
            }
            let statement = sql(
                "UPDATE job_runs SET state = 0, attempt = attempt + 1, entries = entries + 1, started_at = ?
                    WHERE job = ? AND scheduled_at = ? AND owner = ? AND state = 5 RETURNING attempt",
            );
            let statement =
                statement.bind(write.store.now()).bind(job).bind(millis(scheduled_at)).bind(owner.id());
            let begun = write.row::<(i64,)>(statement).await?;
            Ok(begun.map_or(BeginResult::Gone, |(attempt,)| BeginResult::Begun { attempt: small(attempt) }))
        }
        .await;
        write.end(result).await
    }

    /// Writes down that a run is about to send what might be sent twice if it were entered again; gives whether it is
    /// still this owner's, without which nothing may be sent.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn mark_not_rerunnable(
        &self,
        job: &str,
        scheduled_at: Duration,
        owner: &Instance,
    ) -> Result<bool, LedgerError> {
        let statement = sql(
            "UPDATE job_runs SET loose = true WHERE job = ? AND scheduled_at = ? AND owner = ? AND state = 0",
        );
        let statement = statement.bind(job).bind(millis(scheduled_at)).bind(owner.id());
        Ok(self.change(statement).await? > 0)
    }

    /// Writes down that a run was cut short because its process stops in order, so that this counts as no death of the host
    /// during it. Who enters it again takes it over as if its process had died.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn mark_run_interrupted(
        &self,
        job: &str,
        scheduled_at: Duration,
        owner: &Instance,
    ) -> Result<(), LedgerError> {
        let statement = sql(
            "UPDATE job_runs SET entries = entries - 1 WHERE job = ? AND scheduled_at = ? AND owner = ? AND state = 0 AND entries > 0",
        );
        let statement = statement.bind(job).bind(millis(scheduled_at)).bind(owner.id());
        self.change(statement).await.map(drop)
    }

    /// Writes down how job runs ended, all in one commit; gives how many of them were still this owner's.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn finish_job_runs(&self, owner: &Instance, runs: &[EndedRun]) -> Result<u64, LedgerError> {
        let mut write = self.store().write().await?;
        let result = claims::finish(&mut write, runs, owner.id()).await;
        write.end(result).await
    }

    /// Takes over the runs whose process died: those that may be entered again wait under `owner` from now on, the
    /// others are interrupted. The earliest instants come first.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn take_over_job_runs(&self, owner: &Instance) -> Result<Vec<OrphanedRun>, LedgerError> {
        let mut read = self.store().read().await?;
        let question = sql("SELECT count(*) FROM job_runs WHERE finished_at IS NULL AND owner <> ?");
        let others: Option<(i64,)> = read.row(question.bind(owner.id())).await?;
        read.done();
        if others.unwrap_or_default().0 == 0 {
            return Ok(Vec::new());
        }
        // One that only was silent must not go on beside whoever enters its run again.
        self.reap_dead().await?;
        let mut write = self.store().write().await?;
        let result = self.orphans(&mut write, owner.id()).await;
        write.end(result).await
    }

    /// Whether the run of a job for this scheduled time is recorded and has not ended.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn job_run_is_open(&self, job: &str, scheduled_at: Duration) -> Result<bool, LedgerError> {
        let question =
            sql("SELECT attempt FROM job_runs WHERE job = ? AND scheduled_at = ? AND finished_at IS NULL");
        let mut read = self.store().read_now().await?;
        let row: Option<(i64,)> = read.row(question.bind(job).bind(millis(scheduled_at))).await?;
        read.done();
        Ok(row.is_some())
    }

    /// The latest runs of a job, or of all, at the most `limit`.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn job_runs(&self, job: Option<&str>, limit: u32) -> Result<Vec<JobRun>, LedgerError> {
        let question =
            sql("SELECT job, scheduled_at, state, attempt, note, started_at, finished_at, args FROM job_runs
                WHERE ?1 IS NULL OR job = ?1 ORDER BY scheduled_at DESC, job LIMIT ?2");
        let mut read = self.store().read().await?;
        let rows: Vec<JobRunRow> = read.rows(question.bind(job).bind(limit)).await?;
        read.done();
        rows.into_iter().map(|row| self.job_run(row)).collect()
    }

    async fn orphans(
        &self,
        write: &mut Transaction<'_>,
        owner: i64,
    ) -> Result<Vec<OrphanedRun>, LedgerError> {
        type Row = (String, i64, i64, i64, i64, bool, i64, Option<String>, Option<i64>, Option<String>);
        let question = sql(
            "SELECT job, scheduled_at, attempt, owner, state, loose AND NOT rerun, entries, version, timeout, args FROM job_runs
                WHERE finished_at IS NULL AND owner <> ? ORDER BY scheduled_at, job",
        );
        let rows: Vec<Row> = write.rows(question.bind(owner)).await?;
        let mut orphans = Vec::new();
        for (job, scheduled_at, attempt, holder, state, stays, entries, version, timeout, args) in rows {
            if lives(write, holder).await? {
                continue;
            }
            let ran = state == JobState::Running.number();
            let note = if ran && entries >= MOST_DEATHS {
                Some(died(&job, args.is_some()))
            } else {
                (ran && stays).then(|| LOOSE.to_owned())
            };
            let waits = note.is_none();
            let now = write.store.now();
            let state = if waits { JobState::Waiting } else { JobState::Interrupted };
            let statement = sql(
                "UPDATE job_runs SET owner = ?, state = ?, note = ?, finished_at = ? WHERE job = ? AND scheduled_at = ?",
            );
            let statement = statement
                .bind(owner)
                .bind(state.number())
                .bind(note.clone())
                .bind((!waits).then_some(now))
                .bind(&job)
                .bind(scheduled_at);
            write.run(statement).await?;
            orphans.push(OrphanedRun {
                job,
                scheduled_at: from_millis(scheduled_at),
                attempt: small(attempt),
                why: note,
                version: version.unwrap_or_default(),
                timeout: timeout.map(from_millis),
                args: self.args(args)?,
            });
        }
        Ok(orphans)
    }

    pub(super) fn job_run(&self, row: JobRunRow) -> Result<JobRun, LedgerError> {
        let (job, scheduled_at, state, attempt, note, started_at, finished_at, args) = row;
        Ok(JobRun {
            job,
            scheduled_at: from_millis(scheduled_at),
            state: JobState::from_number(state).map_err(|detail| self.store().record(detail))?,
            attempt: small(attempt),
            note,
            started_at: from_millis(started_at),
            finished_at: finished_at.map(from_millis),
            args: self.args(args)?,
        })
    }
}

/// The columns of a [`JobRun`] as they are stored.
pub(super) type JobRunRow = (String, i64, i64, i64, Option<String>, i64, Option<i64>, Option<String>);

/// Whether another process runs an instant of the job; one that has died does until its run is taken over.
async fn runs_elsewhere(write: &mut Transaction<'_>, job: &str, owner: i64) -> Result<bool, LedgerError> {
    let question = sql(
        "SELECT count(*) FROM job_runs WHERE job = ? AND finished_at IS NULL AND state = 0 AND owner <> ?",
    );
    let others: Option<(i64,)> = write.row(question.bind(job).bind(owner)).await?;
    Ok(others.unwrap_or_default().0 > 0)
}
