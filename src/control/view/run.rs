//! One job run: its output, its broadcasts and its single sends.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BroadcastView, JobRunView, SendView, send_views, standing};
use crate::control::ControlError;
use crate::core::utc;
use crate::core::{OutputStream, visible};
use crate::ledger::{JobRun, Ledger, LedgerError, OutputLine, RunOutput};
use crate::schedule::{run_id, run_of_id, script_of};

/// The most broadcasts and single sends that a run is shown with.
const MOST: u32 = 100;

/// A job run and what it sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunDetail {
    pub run: JobRunView,
    /// The script, if it is known.
    pub script: Option<String>,
    /// The broadcasts that it made or continued, or found sent, at most 100.
    pub broadcasts: Vec<BroadcastView>,
    /// The single sends that it made, the newest first, at most 100.
    pub sends: Vec<SendView>,
}

/// The kept output of a run: its first 64 KiB and its last 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputView {
    /// The lines, the oldest first.
    pub lines: Vec<OutputLineView>,
    /// The number of the last line. To get the lines after it, pass it as `after`.
    pub last_line: u64,
    /// What was left out between the lines, if something was.
    pub left_out: Option<LeftOutView>,
    /// Whether the run has ended, so that no more lines follow.
    pub over: bool,
}

/// A line of a run's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputLineView {
    /// Its number within the run, from 1.
    pub number: u64,
    /// When it was written.
    pub at: String,
    /// What wrote it.
    pub stream: OutputStream,
    /// The text. Control characters other than a tab, and invisible ones such as those that change the direction of text, are
    /// escaped: `\u{202e}`.
    pub text: String,
}

/// What was left out of a run's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeftOutView {
    /// The number of the first line after it.
    pub before_line: u64,
    pub lines: u64,
    pub bytes: u64,
}

impl OutputView {
    pub fn new(output: RunOutput, over: bool) -> Self {
        let line = |line: OutputLine| OutputLineView {
            number: line.number,
            at: utc(line.at),
            stream: line.stream,
            text: visible(&line.text).into_owned(),
        };
        Self {
            lines: output.lines.into_iter().map(line).collect(),
            last_line: output.last_line,
            left_out: output.left_out.map(|left| LeftOutView {
                before_line: left.before_line,
                lines: left.lines,
                bytes: left.bytes,
            }),
            over,
        }
    }

    /// Reads the lines of a run after the one with the number `after`.
    pub async fn read(ledger: &Ledger, run: &JobRun, after: u64) -> Result<Self, LedgerError> {
        let output = ledger.run_output(&run.job, run.scheduled_at, after).await?;
        Ok(Self::new(output, run.finished_at.is_some()))
    }
}

impl RunDetail {
    /// Reads what a run sent. `now` is since 1970.
    pub async fn read(ledger: &Ledger, run: &JobRun, now: Duration) -> Result<Self, LedgerError> {
        let broadcasts = ledger.broadcasts_of_run(&run.job, run.scheduled_at, MOST).await?;
        let sends = ledger.sends_of_run(&run_id(&run.job, run.scheduled_at), MOST).await?;
        let script = match script_of(&run.job) {
            Some(script) => Some(script.to_owned()),
            None => ledger.job_rows(Some(&run.job)).await?.pop().map(|job| job.script),
        };
        Ok(Self {
            run: JobRunView::from(run),
            script,
            broadcasts: standing(ledger, &broadcasts, now).await?,
            sends: send_views(ledger, &sends, now).await?,
        })
    }
}

/// Finds a job run by its id, `JOB@RUN`.
pub async fn find_run(ledger: &Ledger, id: &str) -> Result<JobRun, ControlError> {
    let found = match run_of_id(id) {
        Some((job, at)) => ledger.job_run(job, at).await?,
        None => None,
    };
    found.ok_or_else(|| {
        ControlError::NotFound(format!(
            "there is no run `{}`; a run's id is JOB@RUN, for example daily@2026-11-23T09:00:00Z",
            id.escape_debug()
        ))
    })
}
