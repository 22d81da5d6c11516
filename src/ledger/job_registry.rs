//! The active jobs of a daemon, and the commands that people give for jobs.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::broadcast::{add_requester, json};
use super::columns::{JsonText, Millis, OptionalMillis};
use super::instance::{InstanceRow, lives};
use super::jobs::JobRun;
use super::registered_job::RegisteredJob;
use super::sql::sql;
use super::store::{Transaction, from_millis, millis};
use super::{Instance, InstanceName, JobCommand, Ledger, LedgerError, RunRequest};

/// A job and its current state.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct JobRow {
    pub name: String,
    /// The script that declares it.
    pub script: String,
    /// The schedule, in words.
    pub times: String,
    /// All scheduled times up to this one are decided.
    #[sqlx(try_from = "Millis")]
    pub decided_until: Duration,
    /// The next scheduled time; `None` if there is none.
    #[sqlx(try_from = "OptionalMillis")]
    pub next_at: Option<Duration>,
    /// When the job was paused; `None` if it is not paused.
    #[sqlx(try_from = "OptionalMillis")]
    pub paused_at: Option<Duration>,
    /// When the last script that declares the job went away; `None` while a script declares it.
    #[sqlx(try_from = "OptionalMillis")]
    pub gone_at: Option<Duration>,
    /// The job's latest run; `None` if it never ran.
    #[sqlx(skip)]
    pub last: Option<JobRun>,
}

/// The schedule that a job had before its current one.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PreviousSchedule {
    pub job: String,
    /// The previous schedule, in words.
    pub times: String,
    /// All scheduled times up to this one are decided.
    #[sqlx(try_from = "Millis")]
    pub decided_until: Duration,
    /// The first scheduled time of the previous schedule that is not decided.
    #[sqlx(try_from = "OptionalMillis")]
    pub next_at: Option<Duration>,
}

/// A command for a job that is not yet applied.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PendingJobCommand {
    /// The command's number.
    pub id: i64,
    pub job: String,
    /// The requested action.
    pub command: JobCommand,
    /// The scheduled time of the requested run.
    #[sqlx(try_from = "OptionalMillis")]
    pub scheduled_at: Option<Duration>,
    #[sqlx(try_from = "Millis")]
    pub requested_at: Duration,
    /// Whether a hook's request or an event gave the command.
    pub by_request: bool,
    /// The group of the event that gave the command, if an event did.
    pub event_group: Option<String>,
    /// The arguments of the run, if it is a run of a script and not of a job.
    #[sqlx(try_from = "JsonText<Option<RunRequest>>")]
    pub args: Option<RunRequest>,
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
        instance: &Instance,
        jobs: &[RegisteredJob],
    ) -> Result<Vec<Duration>, LedgerError> {
        let rows: Vec<_> = jobs
            .iter()
            .map(|job| (&job.name, &job.script, &job.times, millis(job.decided_until), &job.version))
            .collect();
        self.store()
            .transaction(async |write| {
                let rows = json(write, &rows)?;
                self.store().driver.register_jobs(write, instance.id(), &rows).await?;
                decided_until(write, &rows).await
            })
            .await
    }

    /// Returns the stored schedules of those jobs whose schedule is different now. Paused jobs are left out, because
    /// their scheduled times are skipped. Call this before [`Ledger::register_jobs`].
    pub async fn previous_schedules(
        &self,
        jobs: &[RegisteredJob],
    ) -> Result<Vec<PreviousSchedule>, LedgerError> {
        let names: Vec<_> = jobs.iter().map(|job| (&job.name, &job.times)).collect();
        self.store()
            .transaction(async |write| {
                let question =
                    sql("SELECT j.name AS job, j.times, j.decided_until, j.next_at FROM json_each(?) e
                    JOIN jobs j ON j.name = e.value ->> 0
                    WHERE j.times <> e.value ->> 1 AND j.paused_at IS NULL ORDER BY j.name");
                write.rows(question.bind(json(write, &names)?)).await
            })
            .await
    }

    /// Returns whether this host must call [`Ledger::register_jobs`] and [`Ledger::describe`] again although nothing
    /// has changed here. That is so when the other hosts considered it dead, or when no living host has the active
    /// version of a job.
    pub async fn must_register_jobs(&self, instance: &Instance) -> Result<bool, LedgerError> {
        self.store().driver.must_register_jobs(self.store(), instance.id()).await
    }

    /// Returns those of these jobs that another living host has. A file store has no other hosts.
    pub async fn jobs_elsewhere(
        &self,
        instance: &Instance,
        jobs: &[String],
    ) -> Result<BTreeSet<String>, LedgerError> {
        if jobs.is_empty() {
            return Ok(BTreeSet::new());
        }
        self.store().driver.jobs_elsewhere(self.store(), instance.id(), jobs).await
    }

    /// Returns all active jobs, or the job with this name, active or not.
    pub async fn job_rows(&self, name: Option<&str>) -> Result<Vec<JobRow>, LedgerError> {
        let question = sql("SELECT name, script, times, decided_until, next_at, paused_at, gone_at FROM jobs
                WHERE (?1 IS NULL AND gone_at IS NULL) OR name = ?1 ORDER BY name");
        let mut rows: Vec<JobRow> = self.store().rows(question.bind(name)).await?;
        let question = sql(
            "SELECT job, scheduled_at, state, attempt, note, started_at, finished_at, args, command_line, r.version FROM job_runs r
                JOIN jobs j ON j.name = r.job WHERE (?1 IS NULL OR r.job = ?1)
                AND r.scheduled_at = (SELECT max(scheduled_at) FROM job_runs WHERE job = j.name)",
        );
        let last: Vec<JobRun> = self.store().rows(question.bind(name)).await?;
        let mut last: HashMap<_, _> = last.into_iter().map(|run| (run.job.clone(), run)).collect();
        for row in &mut rows {
            row.last = last.remove(&row.name);
        }
        Ok(rows)
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
        self.store()
            .transaction(async |write| {
                let scheduled_at = insert_run_command(write, job).await?;
                Ok(from_millis(scheduled_at))
            })
            .await
    }

    /// Requests another run of a job for a scheduled time. It replaces the run that ended. Returns false if that run
    /// has not ended.
    pub async fn run_job_again(&self, job: &str, scheduled_at: Duration) -> Result<bool, LedgerError> {
        let at = millis(scheduled_at);
        self.store()
            .transaction(async |write| {
                let over = sql(
                    "DELETE FROM job_runs WHERE job = ? AND scheduled_at = ? AND finished_at IS NOT NULL",
                );
                write.run(over.bind(job).bind(at)).await?;
                if is_taken(write, job, at).await? {
                    return Ok(false);
                }
                insert_job_command(write, job, JobCommand::Run, Some(at)).await?;
                Ok(true)
            })
            .await
    }

    /// Requests the cancellation of a job's active run and of its waiting runs.
    pub async fn cancel_job(&self, job: &str) -> Result<(), LedgerError> {
        self.store()
            .transaction(async |write| insert_job_command(write, job, JobCommand::Cancel, None).await)
            .await
    }

    /// Returns the pauses and commands for jobs. A daemon polls this. Of a job's waiting events, the first of each group is
    /// returned, but none of a group for which a run of the job has not ended.
    pub async fn job_control(&self) -> Result<JobControl, LedgerError> {
        let paused = sql("SELECT name FROM jobs WHERE paused_at IS NOT NULL");
        let paused: Vec<(String,)> = self.store().rows_now(paused).await?;
        let question =
            sql("SELECT id, job, command, scheduled_at, requested_at, by_request, event_group, args FROM (
                SELECT w.id, w.job, w.command, w.scheduled_at, w.requested_at, w.args, r.head, r.job IS NOT NULL AS by_request,
                    CASE WHEN r.head LIKE 'event %' THEN substr(r.head, 7) END AS event_group,
                    row_number() OVER (PARTITION BY w.job, r.head ORDER BY w.id) AS place
                FROM job_commands w LEFT JOIN hook_requests r ON r.job = w.job AND r.scheduled_at = w.scheduled_at) c
                WHERE event_group IS NULL OR place = 1 AND NOT EXISTS (SELECT 1 FROM job_runs o CROSS JOIN hook_requests q
                    ON q.job = o.job AND q.scheduled_at = o.scheduled_at
                    WHERE o.job = c.job AND o.finished_at IS NULL AND q.head = c.head)
                ORDER BY id");
        let commands = self.store().rows_now(question).await?;
        Ok(JobControl { paused: paused.into_iter().map(|(name,)| name).collect(), commands })
    }

    /// Deletes a command that was applied.
    pub async fn delete_job_command(&self, id: i64) -> Result<(), LedgerError> {
        self.change(sql("DELETE FROM job_commands WHERE id = ?").bind(id)).await.map(drop)
    }

    /// Returns the living instances with this name: the processes that run that command on this ledger.
    pub async fn live_instances(&self, name: &str) -> Result<Vec<InstanceName>, LedgerError> {
        self.store()
            .transaction(async |write| {
                let question = sql("SELECT id, name, pid FROM instances WHERE name = ? ORDER BY id");
                let rows: Vec<InstanceRow> = write.rows(question.bind(name)).await?;
                let mut living = Vec::new();
                for row in rows {
                    if lives(write, row.id).await? {
                        living.push(row.name);
                    }
                }
                Ok(living)
            })
            .await
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
    let mut scheduled_at = write.store.now();
    while is_taken(write, job, scheduled_at).await? {
        scheduled_at += 1;
    }
    insert_job_command(write, job, JobCommand::Run, Some(scheduled_at)).await?;
    Ok(scheduled_at)
}

/// Whether a run of the job has this scheduled time.
pub(super) async fn is_taken(
    write: &mut Transaction<'_>,
    job: &str,
    scheduled_at: i64,
) -> Result<bool, LedgerError> {
    let question = sql("SELECT (SELECT count(*) FROM job_runs WHERE job = ?1 AND scheduled_at = ?2)
            + (SELECT count(*) FROM job_commands WHERE job = ?1 AND scheduled_at = ?2)");
    let row: Option<(i64,)> = write.row(question.bind(job).bind(scheduled_at)).await?;
    Ok(row.is_some_and(|(count,)| count > 0))
}

pub(super) async fn insert_job_command(
    write: &mut Transaction<'_>,
    job: &str,
    command: JobCommand,
    scheduled_at: Option<i64>,
) -> Result<(), LedgerError> {
    let statement =
        sql("INSERT INTO job_commands (job, command, scheduled_at, requested_at) VALUES (?, ?, ?, ?)");
    let now = write.store.now();
    write.run(statement.bind(job).bind(command).bind(scheduled_at).bind(now)).await?;
    match (command, scheduled_at) {
        (JobCommand::Run, Some(at)) => add_requester(write, job, at).await,
        _ => Ok(()),
    }
}
