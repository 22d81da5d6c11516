//! The active jobs of a daemon, and the commands that people give for jobs.

use std::collections::BTreeSet;
use std::time::Duration;

use super::broadcast::json;
use super::instance::lives;
use super::jobs::{JobRun, JobRunRow};
use super::registered_job::RegisteredJob;
use super::sql::sql;
use super::store::{Transaction, from_millis, millis};
use super::{Instance, InstanceName, JobCommand, Ledger, LedgerError};

/// A job and its current state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    pub name: String,
    /// The script that declares it.
    pub script: String,
    /// The schedule, in words.
    pub times: String,
    /// All scheduled times up to this one are decided.
    pub decided_until: Duration,
    /// The next scheduled time; `None` if there is none.
    pub next_at: Option<Duration>,
    /// When the job was paused; `None` if it is not paused.
    pub paused_at: Option<Duration>,
    /// When the last script that declares the job went away; `None` while a script declares it.
    pub gone_at: Option<Duration>,
    /// The job's latest run; `None` if it never ran.
    pub last: Option<JobRun>,
}

/// The schedule that a job had before its current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousSchedule {
    pub job: String,
    /// The previous schedule, in words.
    pub times: String,
    /// All scheduled times up to this one are decided.
    pub decided_until: Duration,
    /// The first scheduled time of the previous schedule that is not decided.
    pub next_at: Option<Duration>,
}

/// A command for a job that is not yet applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingJobCommand {
    /// The command's number.
    pub id: i64,
    pub job: String,
    /// The requested action.
    pub command: JobCommand,
    /// The scheduled time of the requested run.
    pub scheduled_at: Option<Duration>,
    pub asked_at: Duration,
    /// Whether a hook's request gave the command.
    pub by_request: bool,
    /// The arguments of the run, if it is a run of a script and not of a job.
    pub args: Option<Vec<String>>,
}

/// The pauses and commands for jobs; see [`Ledger::job_control`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobControl {
    pub paused: Vec<String>,
    /// Pending commands, the oldest first.
    pub commands: Vec<PendingJobCommand>,
}

impl Ledger {
    /// Registers the active jobs of this host. All other jobs are marked as gone, unless another host has them.
    /// Returns, in the same order, the time up to which each job is decided.
    pub async fn register_jobs(
        &self,
        owner: &Instance,
        jobs: &[RegisteredJob],
    ) -> Result<Vec<Duration>, LedgerError> {
        let rows: Vec<_> = jobs
            .iter()
            .map(|job| (&job.name, &job.script, &job.times, millis(job.decided_until), &job.version))
            .collect();
        let mut write = self.store().write().await?;
        let result = async {
            let rows = json(&write, &rows)?;
            self.store().driver.register_jobs(&mut write, owner.id(), &rows).await?;
            decided_until(&mut write, &rows).await
        }
        .await;
        write.end(result).await
    }

    /// Returns the stored schedules of those jobs whose schedule is different now. Paused jobs are left out, because
    /// their scheduled times are skipped. Call this before [`Ledger::register_jobs`].
    pub async fn previous_schedules(
        &self,
        jobs: &[RegisteredJob],
    ) -> Result<Vec<PreviousSchedule>, LedgerError> {
        type Row = (String, String, i64, Option<i64>);
        let names: Vec<_> = jobs.iter().map(|job| (&job.name, &job.times)).collect();
        let mut write = self.store().write().await?;
        let result = async {
            let question = sql("SELECT j.name, j.times, j.decided_until, j.next_at FROM json_each(?) e
                    JOIN jobs j ON j.name = e.value ->> 0
                    WHERE j.times <> e.value ->> 1 AND j.paused_at IS NULL ORDER BY j.name");
            let rows: Vec<Row> = write.rows(question.bind(json(&write, &names)?)).await?;
            Ok(rows)
        }
        .await;
        let rows = write.end(result).await?;
        let old = |(job, times, decided_until, next_at): Row| PreviousSchedule {
            job,
            times,
            decided_until: from_millis(decided_until),
            next_at: next_at.map(from_millis),
        };
        Ok(rows.into_iter().map(old).collect())
    }

    /// Returns whether this host must call [`Ledger::register_jobs`] and [`Ledger::describe`] again although nothing
    /// has changed here. That is so when the other hosts considered it dead, or when no living host has the active
    /// version of a job.
    pub async fn must_register_jobs(&self, owner: &Instance) -> Result<bool, LedgerError> {
        self.store().driver.must_register_jobs(self.store(), owner.id()).await
    }

    /// Returns those of these jobs that another living host has. A file store has no other hosts.
    pub async fn jobs_elsewhere(
        &self,
        owner: &Instance,
        jobs: &[String],
    ) -> Result<BTreeSet<String>, LedgerError> {
        if jobs.is_empty() {
            return Ok(BTreeSet::new());
        }
        self.store().driver.jobs_elsewhere(self.store(), owner.id(), jobs).await
    }

    /// Returns all active jobs, or the job with this name, active or not.
    pub async fn job_rows(&self, name: Option<&str>) -> Result<Vec<JobRow>, LedgerError> {
        type Row = (String, String, String, i64, Option<i64>, Option<i64>, Option<i64>);
        let question = sql("SELECT name, script, times, decided_until, next_at, paused_at, gone_at FROM jobs
                WHERE (?1 IS NULL AND gone_at IS NULL) OR name = ?1 ORDER BY name");
        let mut read = self.store().read().await?;
        let rows: Vec<Row> = read.rows(question.bind(name)).await?;
        let question = sql(
            "SELECT job, scheduled_at, state, attempt, note, started_at, finished_at, args FROM job_runs r
                JOIN jobs j ON j.name = r.job WHERE (?1 IS NULL OR r.job = ?1)
                AND r.scheduled_at = (SELECT max(scheduled_at) FROM job_runs WHERE job = j.name)",
        );
        let last: Vec<JobRunRow> = read.rows(question.bind(name)).await?;
        read.done();
        let mut last = last
            .into_iter()
            .map(|row| Ok((row.0.clone(), self.job_run(row)?)))
            .collect::<Result<std::collections::HashMap<_, _>, LedgerError>>()?;
        Ok(rows
            .into_iter()
            .map(|(name, script, times, decided_until, next_at, paused_at, gone_at)| JobRow {
                last: last.remove(&name),
                name,
                script,
                times,
                decided_until: from_millis(decided_until),
                next_at: next_at.map(from_millis),
                paused_at: paused_at.map(from_millis),
                gone_at: gone_at.map(from_millis),
            })
            .collect())
    }

    /// Pauses or resumes a job; returns whether that changes anything. Scheduled times during a pause are skipped.
    pub async fn pause_job(&self, job: &str, paused: bool) -> Result<bool, LedgerError> {
        let now = self.store().now();
        let statement = if paused {
            sql("UPDATE jobs SET paused_at = ? WHERE name = ? AND paused_at IS NULL").bind(now).bind(job)
        } else {
            sql("UPDATE jobs SET paused_at = NULL,
                    decided_until = CASE WHEN decided_until > ?1 THEN decided_until ELSE ?1 END
                    WHERE name = ?2 AND paused_at IS NOT NULL")
            .bind(now)
            .bind(job)
        };
        Ok(self.change(statement).await? > 0)
    }

    /// Requests a run of a job now; returns the scheduled time of the run, which no other run of the job has.
    pub async fn trigger_job(&self, job: &str) -> Result<Duration, LedgerError> {
        let mut write = self.store().write().await?;
        let result = async {
            let instant = insert_run_command(&mut write, job).await?;
            Ok(from_millis(instant))
        }
        .await;
        write.end(result).await
    }

    /// Requests another run of a job for a scheduled time. It replaces the run that ended. Returns false if that run
    /// has not ended.
    pub async fn run_job_again(&self, job: &str, scheduled_at: Duration) -> Result<bool, LedgerError> {
        let at = millis(scheduled_at);
        let mut write = self.store().write().await?;
        let result = async {
            let over =
                sql("DELETE FROM job_runs WHERE job = ? AND scheduled_at = ? AND finished_at IS NOT NULL");
            write.run(over.bind(job).bind(at)).await?;
            if is_taken(&mut write, job, at).await? {
                return Ok(false);
            }
            insert_job_command(&mut write, job, JobCommand::Run, Some(at)).await?;
            Ok(true)
        }
        .await;
        write.end(result).await
    }

    /// Requests the cancellation of a job's active run and of its waiting runs.
    pub async fn cancel_job(&self, job: &str) -> Result<(), LedgerError> {
        let mut write = self.store().write().await?;
        let result = insert_job_command(&mut write, job, JobCommand::Cancel, None).await;
        write.end(result).await
    }

    /// Returns the pauses and commands for jobs. A daemon polls this.
    pub async fn job_control(&self) -> Result<JobControl, LedgerError> {
        type Row = (i64, String, i64, Option<i64>, i64, bool, Option<String>);
        let mut read = self.store().read_now().await?;
        let paused: Vec<(String,)> =
            read.rows(sql("SELECT name FROM jobs WHERE paused_at IS NOT NULL")).await?;
        let question = sql(
            "SELECT id, job, wish, scheduled_at, asked_at, EXISTS (SELECT 1 FROM hook_requests r
                    WHERE r.job = w.job AND r.scheduled_at = w.scheduled_at), args FROM job_wishes w ORDER BY id",
        );
        let rows: Vec<Row> = read.rows(question).await?;
        read.done();
        let wished = |(id, job, wish, scheduled_at, asked_at, by_request, args): Row| {
            let wish = JobCommand::from_number(wish).map_err(|detail| self.store().record(detail))?;
            let (scheduled_at, asked_at) = (scheduled_at.map(from_millis), from_millis(asked_at));
            Ok(PendingJobCommand {
                id,
                job,
                command: wish,
                scheduled_at,
                asked_at,
                by_request,
                args: self.args(args)?,
            })
        };
        Ok(JobControl {
            paused: paused.into_iter().map(|(name,)| name).collect(),
            commands: rows.into_iter().map(wished).collect::<Result<_, LedgerError>>()?,
        })
    }

    /// Deletes a command that was applied.
    pub async fn delete_job_command(&self, id: i64) -> Result<(), LedgerError> {
        self.change(sql("DELETE FROM job_wishes WHERE id = ?").bind(id)).await.map(drop)
    }

    /// Returns the living instances with this name: the processes that run that command on this ledger.
    pub async fn live_instances(&self, name: &str) -> Result<Vec<InstanceName>, LedgerError> {
        let mut write = self.store().write().await?;
        let result = async {
            let question = sql("SELECT id, name, pid FROM owners WHERE name = ? ORDER BY id");
            let rows: Vec<(i64, String, i64)> = write.rows(question.bind(name)).await?;
            let mut living = Vec::new();
            for (id, name, pid) in rows {
                if lives(&mut write, id).await? {
                    living.push(InstanceName::new(name, pid));
                }
            }
            Ok(living)
        }
        .await;
        write.end(result).await
    }
}

/// Returns the times up to which jobs are decided, in the order of the rows that name them.
async fn decided_until(write: &mut Transaction<'_>, rows: &str) -> Result<Vec<Duration>, LedgerError> {
    let question = sql(
        "SELECT j.decided_until FROM json_each(?) e JOIN jobs j ON j.name = e.value ->> 0 ORDER BY e.key",
    );
    let decided: Vec<(i64,)> = write.rows(question.bind(rows)).await?;
    Ok(decided.into_iter().map(|(until,)| from_millis(until)).collect())
}

/// Inserts a command to run a job now; returns the scheduled time of the run, which no other run of the job has.
pub(super) async fn insert_run_command(write: &mut Transaction<'_>, job: &str) -> Result<i64, LedgerError> {
    let mut instant = write.store.now();
    while is_taken(write, job, instant).await? {
        instant += 1;
    }
    insert_job_command(write, job, JobCommand::Run, Some(instant)).await?;
    Ok(instant)
}

async fn is_taken(write: &mut Transaction<'_>, job: &str, instant: i64) -> Result<bool, LedgerError> {
    let question = sql("SELECT (SELECT count(*) FROM job_runs WHERE job = ?1 AND scheduled_at = ?2)
            + (SELECT count(*) FROM job_wishes WHERE job = ?1 AND scheduled_at = ?2)");
    let row: Option<(i64,)> = write.row(question.bind(job).bind(instant)).await?;
    Ok(row.is_some_and(|(count,)| count > 0))
}

pub(super) async fn insert_job_command(
    write: &mut Transaction<'_>,
    job: &str,
    wish: JobCommand,
    scheduled_at: Option<i64>,
) -> Result<(), LedgerError> {
    let statement = sql("INSERT INTO job_wishes (job, wish, scheduled_at, asked_at) VALUES (?, ?, ?, ?)");
    let now = write.store.now();
    write.run(statement.bind(job).bind(wish.number()).bind(scheduled_at).bind(now)).await.map(drop)
}
