//! Runs of scripts that a person or a program requests. They are recorded as job runs, with their arguments.

use std::time::Duration;

use const_format::formatcp;

use super::job_registry::insert_run_command;
use super::jobs::JobRun;
use super::sql::sql;
use super::state::run::{ALREADY_SENT, DONE, FAILED, INTERRUPTED, RUNNING, UNDELIVERED};
use super::store::{from_millis, millis};
use super::{Instance, Ledger, LedgerError, RunRequest};

impl Ledger {
    /// Requests a run of a script with these arguments. `job` is the name of the script's runs. Returns the
    /// scheduled time of the run, which no other run of that name has.
    pub async fn request_run(&self, job: &str, asked: &RunRequest) -> Result<Duration, LedgerError> {
        let args = serde_json::to_string(asked).map_err(|error| self.store().record(error))?;
        self.store()
            .transaction(async |write| {
                let scheduled_at = insert_run_command(write, job).await?;
                let statement = sql("UPDATE job_commands SET args = ? WHERE job = ? AND scheduled_at = ?");
                write.run(statement.bind(args).bind(job).bind(scheduled_at)).await?;
                Ok(from_millis(scheduled_at))
            })
            .await
    }

    /// Returns whether a run of a job was requested and has not been claimed.
    pub async fn run_is_requested(&self, job: &str, scheduled_at: Duration) -> Result<bool, LedgerError> {
        let question = sql("SELECT count(*) FROM job_commands WHERE job = ? AND scheduled_at = ?");
        let row: Option<(i64,)> = self.store().row_now(question.bind(job).bind(millis(scheduled_at))).await?;
        Ok(row.is_some_and(|(count,)| count > 0))
    }

    /// Keeps what holds a run to its rehearsed plan, until the run ends. Returns whether this instance still holds the run; if
    /// it does not, it must send nothing.
    pub async fn keep_plan_guard(
        &self,
        job: &str,
        scheduled_at: Duration,
        instance: &Instance,
        guard: &str,
    ) -> Result<bool, LedgerError> {
        let statement = sql(formatcp!(
            "UPDATE job_runs SET plan_guard = ? WHERE job = ? AND scheduled_at = ? AND owner = ? AND state = {RUNNING}"
        ));
        let statement = statement.bind(guard).bind(job).bind(millis(scheduled_at)).bind(instance.id());
        Ok(self.change(statement).await? > 0)
    }

    /// Returns what holds a run to its rehearsed plan, if an earlier attempt of the run has kept it.
    pub async fn plan_guard(&self, job: &str, scheduled_at: Duration) -> Result<Option<String>, LedgerError> {
        let question = sql("SELECT plan_guard FROM job_runs WHERE job = ? AND scheduled_at = ?");
        let row: Option<(Option<String>,)> =
            self.store().row_now(question.bind(job).bind(millis(scheduled_at))).await?;
        Ok(row.and_then(|(guard,)| guard))
    }

    /// Returns runs of scripts that were requested over the page or the API and failed, were interrupted or did not deliver everything
    /// since an instant, at most `limit`, the newest first. A script whose later run was requested, or ended well on the command line, has none.
    pub async fn failed_requests(&self, since: Duration, limit: u32) -> Result<Vec<JobRun>, LedgerError> {
        let question = sql(formatcp!(
            "SELECT job, scheduled_at, state, attempt, note, started_at, finished_at, args, command_line, version FROM job_runs r
                WHERE args IS NOT NULL AND command_line IS NULL AND state IN ({FAILED}, {INTERRUPTED}, {UNDELIVERED}) AND finished_at >= ?
                AND NOT EXISTS (SELECT 1 FROM job_runs o WHERE o.args IS NOT NULL AND o.job = r.job
                    AND o.scheduled_at > r.scheduled_at AND (o.command_line IS NULL OR o.state IN ({DONE}, {ALREADY_SENT})))
                ORDER BY scheduled_at DESC, job LIMIT ?"
        ));
        self.store().rows(question.bind(millis(since)).bind(limit)).await
    }

    /// Returns the latest run of each script, requested or on the command line, by the names of the runs, or of the one with
    /// this name.
    pub async fn requested_runs(&self, job: Option<&str>) -> Result<Vec<JobRun>, LedgerError> {
        let question = sql(
            "SELECT job, scheduled_at, state, attempt, note, started_at, finished_at, args, command_line, version FROM job_runs r
                WHERE args IS NOT NULL AND (?1 IS NULL OR job = ?1) AND scheduled_at =
                    (SELECT max(scheduled_at) FROM job_runs o WHERE o.args IS NOT NULL AND o.job = r.job)
                ORDER BY job",
        );
        self.store().rows(question.bind(job)).await
    }

    /// Returns the latest run that was requested to follow the plan of a rehearsal, by the scheduled time; also one that has
    /// not begun.
    pub async fn run_of_plan(&self, job: &str, plan: &str) -> Result<Option<Duration>, LedgerError> {
        // A text of the arguments has its quotes escaped.
        let question = sql("SELECT max(scheduled_at) FROM (
                SELECT job, scheduled_at, args FROM job_runs UNION ALL SELECT job, scheduled_at, args FROM job_commands) runs
                WHERE job = ? AND args LIKE '%\"plan\":\"' || ? || '\"%'");
        let row: Option<(Option<i64>,)> = self.store().row_now(question.bind(job).bind(plan)).await?;
        Ok(row.and_then(|(at,)| at).map(from_millis))
    }
}
