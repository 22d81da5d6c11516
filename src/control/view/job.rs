//! Jobs and their runs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::CommandLineStart;
use crate::core::utc;
use crate::language::Reason;
use crate::ledger::{JobRow, JobRun, JobState};
use crate::schedule::{run_id, run_name};

/// A job and its current state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// Its name.
    pub name: String,
    /// The script that declares it.
    pub script: String,
    /// Its schedule as text.
    pub times: String,
    /// Its next scheduled time, if it is known.
    pub next_at: Option<String>,
    /// When it was paused, if it is paused.
    pub paused_at: Option<String>,
    /// When it was removed from its script, if no script declares it now.
    pub gone_at: Option<String>,
    /// Its latest run.
    pub last: Option<JobRunView>,
}

/// A run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobRunView {
    /// Its id: JOB@RUN.
    pub id: String,
    /// The job.
    pub job: String,
    /// Its scheduled time.
    pub run: String,
    /// Its state.
    pub state: JobState,
    /// The number of starts.
    pub attempt: u32,
    /// A note about its end.
    pub note: Option<String>,
    /// The code and the parameters of the note, if Mooncast wrote it.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// When it last started.
    pub started_at: String,
    /// When it ended.
    pub finished_at: Option<String>,
    /// The arguments, if it is a requested run of a script.
    pub args: Option<Vec<String>>,
    /// The rehearsed plan that it must follow, if there is one.
    pub plan: Option<String>,
    /// Whether it sends only the test messages of campaigns.
    pub test_only: bool,
    /// Who started it on the command line; null for a run of a daemon.
    #[serde(default)]
    pub command_line: Option<CommandLineStart>,
    /// The hash of the script's version.
    pub version: Option<String>,
}

impl From<&JobRow> for JobView {
    fn from(job: &JobRow) -> Self {
        Self {
            name: job.name.clone(),
            script: job.script.clone(),
            times: job.times.clone(),
            next_at: job.next_at.map(utc),
            paused_at: job.paused_at.map(utc),
            gone_at: job.gone_at.map(utc),
            last: job.last.as_ref().map(JobRunView::from),
        }
    }
}

impl From<&JobRun> for JobRunView {
    fn from(run: &JobRun) -> Self {
        Self {
            id: run_id(&run.job, run.scheduled_at),
            job: run.job.clone(),
            run: run_name(run.scheduled_at),
            state: run.state,
            attempt: run.attempt,
            note: run.note.clone(),
            reason: run.note.as_deref().and_then(Reason::of),
            started_at: utc(run.started_at),
            finished_at: run.finished_at.map(utc),
            args: run.args.as_ref().map(|request| request.args.clone()),
            plan: run.args.as_ref().and_then(|request| request.plan.clone()),
            test_only: run.args.as_ref().is_some_and(|request| request.test_only),
            command_line: run.command_line.clone(),
            version: run.version.clone(),
        }
    }
}
