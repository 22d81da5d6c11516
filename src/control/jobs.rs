//! Commands for jobs.

use std::time::Duration;

use super::daemon::require_daemon;
use super::{ActionResult, ControlError, JobAction, asked_scripts};
use crate::core::utc;
use crate::ledger::{JobRow, JobRun, Ledger};
use crate::schedule::{AT_EACH_POST, ON_EVENT, is_requestable, run_name, script_of};

/// The job of this name, active or not, or the script whose runs have this name.
pub async fn find_job(ledger: &Ledger, name: &str) -> Result<JobRow, ControlError> {
    let found = match script_of(name) {
        Some(_) => asked_scripts(ledger, Some(name)).await?,
        None => ledger.job_rows(Some(name)).await?,
    };
    if let Some(job) = found.into_iter().next() {
        return Ok(job);
    }
    let known: Vec<String> = ledger.job_rows(None).await?.into_iter().map(|job| job.name).collect();
    Err(ControlError::NotFound(format!(
        "there is no job `{name}`; the active jobs are: {}",
        known.join(", ")
    )))
}

/// Applies an action to a job. `run` selects the run to retry; the latest failed one by default.
pub async fn act_on_job(
    ledger: &Ledger,
    name: &str,
    act: JobAction,
    run: Option<Duration>,
) -> Result<ActionResult, ControlError> {
    let job = find_job(ledger, name).await?;
    if act != JobAction::Cancel {
        allowed(&job, act)?;
    }
    Ok(match act {
        JobAction::Trigger => {
            require_daemon(ledger, name).await?;
            let run = run_name(ledger.trigger_job(name).await?);
            let message = format!("{name} was requested: run {run} starts within a second or two");
            ActionResult::begins(run, message)
        }
        JobAction::Retry => {
            require_daemon(ledger, name).await?;
            let Some(at) = ledger.retry_hook_run(name, run).await? else {
                return Err(ControlError::Refused(no_retry(&job, run)));
            };
            let run = run_name(at);
            let message = format!("{name} runs again with its request, as run {run}");
            ActionResult::begins(run, message)
        }
        JobAction::Pause => ActionResult::of(if ledger.pause_job(name, true).await? {
            format!("{name} is paused: it skips its scheduled times until you resume it")
        } else {
            format!("{name} is already paused")
        }),
        JobAction::Resume => ActionResult::of(if ledger.pause_job(name, false).await? {
            format!("{name} is resumed: it runs again from its next scheduled time")
        } else {
            format!("{name} is not paused")
        }),
        JobAction::Cancel => {
            let runs = ledger.job_runs(Some(name), 100).await?;
            // A run of the command line is ended there.
            let cancellable = |run: &&JobRun| run.finished_at.is_none() && run.command_line.is_none();
            let open = runs.iter().filter(cancellable).count() as u64;
            let open = open + ledger.waiting_events(name).await?;
            if open == 0 {
                return Ok(ActionResult::counted(0, format!("{name} has no active or waiting runs")));
            }
            require_daemon(ledger, name).await?;
            ledger.cancel_job(name).await?;
            let message = format!("{name} is being cancelled: {open} of its runs, with their broadcasts");
            ActionResult::counted(open, message)
        }
    })
}

/// Refuses an action that needs a job which a script declares.
fn allowed(job: &JobRow, act: JobAction) -> Result<(), ControlError> {
    let name = &job.name;
    if let Some(script) = script_of(name).filter(|script| !is_requestable(script)) {
        return Err(ControlError::Refused(format!(
            "`{name}` is not a job: these are runs of {script} on the command line"
        )));
    }
    if let Some(script) = script_of(name) {
        return Err(ControlError::Refused(format!(
            "`{name}` is not a job; `mooncast jobs run-script {script}` or `POST /api/v1/scripts/run` runs the script"
        )));
    }
    if act == JobAction::Trigger && job.times.starts_with(ON_EVENT) {
        return Err(ControlError::Refused(format!(
            "`{name}` runs only for events of the chat service, so it cannot be started by hand; to try it, write a test with t.callback; to run a failed run again: `mooncast jobs retry '{name}'`"
        )));
    }
    match job.gone_at {
        Some(gone) if act != JobAction::Resume => {
            Err(ControlError::Refused(format!("no script has declared `{name}` since {}", utc(gone))))
        }
        _ => Ok(()),
    }
}

/// Why a run cannot be retried, and what to do instead.
fn no_retry(job: &JobRow, run: Option<Duration>) -> String {
    let name = &job.name;
    let stored = [(AT_EACH_POST, "request"), (ON_EVENT, "event")];
    if let Some((_, stored)) = stored.iter().find(|(times, _)| job.times.starts_with(times)) {
        let which =
            run.map_or_else(|| "no failed run".to_owned(), |run| format!("no failed run {}", run_name(run)));
        return format!(
            "{name} has {which} with a stored {stored}; `mooncast jobs show '{name}'` shows its runs"
        );
    }
    format!(
        "{name} is not a hook, so its runs have no request; to run it now: `mooncast jobs trigger '{name}'`"
    )
}
