//! Jobs and their runs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::utc;
use crate::ledger::{JobRow, JobRun};
use crate::schedule::run_name;

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// Its name.
    pub name: String,
    /// The script that declares it.
    pub script: String,
    /// When it runs, in words.
    pub times: String,
    /// When it runs next, if that is known.
    pub next_at: Option<String>,
    /// Since when it is paused.
    pub paused_at: Option<String>,
    /// Since when no script declares it any more.
    pub gone_at: Option<String>,
    /// Its latest run.
    pub last: Option<JobRunView>,
}

/// A run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobRunView {
    /// The job.
    pub job: String,
    /// Which run: the instant that it was scheduled for.
    pub run: String,
    /// `running`, `waiting`, `done`, `failed`, `interrupted`, `skipped` or `cancelled`.
    pub state: String,
    /// How often it was begun.
    pub attempt: u32,
    /// What was said of its end.
    pub note: Option<String>,
    /// When it was begun last.
    pub started_at: String,
    /// When it ended.
    pub finished_at: Option<String>,
    /// The arguments, where somebody asked for the run of a script.
    pub args: Option<Vec<String>>,
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
            job: run.job.clone(),
            run: run_name(run.scheduled_at),
            state: run.state.name().to_owned(),
            attempt: run.attempt,
            note: run.note.clone(),
            started_at: utc(run.started_at),
            finished_at: run.finished_at.map(utc),
            args: run.args.clone(),
        }
    }
}
