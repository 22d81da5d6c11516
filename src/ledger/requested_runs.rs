//! Runs of scripts that a person or a program requests. They are recorded as job runs, with their arguments.

use std::time::Duration;

use super::job_registry::insert_run_command;
use super::jobs::{JobRun, JobRunRow};
use super::sql::sql;
use super::store::from_millis;
use super::{Ledger, LedgerError};

impl Ledger {
    /// Requests a run of a script with these arguments, under the name that identifies its runs. Returns the scheduled
    /// time of the run, which no other run of that name has.
    pub async fn request_run(&self, job: &str, args: &[String]) -> Result<Duration, LedgerError> {
        let args = serde_json::to_string(args).map_err(|error| self.store().record(error))?;
        let mut write = self.store().write().await?;
        let result = async {
            let instant = insert_run_command(&mut write, job).await?;
            let statement = sql("UPDATE job_wishes SET args = ? WHERE job = ? AND scheduled_at = ?");
            write.run(statement.bind(args).bind(job).bind(instant)).await?;
            Ok(from_millis(instant))
        }
        .await;
        write.end(result).await
    }

    /// Returns the latest requested run of each script, by the names of the runs, or of the one with this name.
    pub async fn requested_runs(&self, job: Option<&str>) -> Result<Vec<JobRun>, LedgerError> {
        let question = sql(
            "SELECT job, scheduled_at, state, attempt, note, started_at, finished_at, args FROM job_runs r
                WHERE args IS NOT NULL AND (?1 IS NULL OR job = ?1) AND scheduled_at =
                    (SELECT max(scheduled_at) FROM job_runs o WHERE o.args IS NOT NULL AND o.job = r.job)
                ORDER BY job",
        );
        let mut read = self.store().read().await?;
        let rows: Vec<JobRunRow> = read.rows(question.bind(job)).await?;
        read.done();
        rows.into_iter().map(|row| self.job_run(row)).collect()
    }

    /// Parses the arguments that a row stores.
    pub(super) fn args(&self, args: Option<String>) -> Result<Option<Vec<String>>, LedgerError> {
        args.map(|args| serde_json::from_str(&args).map_err(|error| self.store().record(error))).transpose()
    }
}
