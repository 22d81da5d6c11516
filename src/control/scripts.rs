//! Runs of scripts on request: which scripts may run, and what is known of such runs.

use super::daemon::require_daemon;
use super::{ActionResult, ControlError, utc};
use crate::ledger::{JobRow, Ledger, LedgerError};
use crate::schedule::{run_name, runs_of, script_of};

/// The schedule text of a script's runs.
const WHEN_ASKED: &str = "when somebody asks";

/// The maximum total size of a run's arguments, in bytes.
const MOST: usize = 64 * 1024;

/// Asks the daemon to run a script with these arguments, as `mooncast run` would. `name` is a path below the project's
/// folder or below `scripts/`.
pub async fn run_script(ledger: &Ledger, name: &str, args: &[String]) -> Result<ActionResult, ControlError> {
    let length: usize = args.iter().map(String::len).sum();
    if length > MOST {
        return Err(ControlError::Invalid(format!(
            "the arguments have {length} bytes, and {MOST} is the most"
        )));
    }
    require_daemon(ledger, name).await?;
    let scripts = ledger.scripts().await?;
    let below = format!("scripts/{name}");
    let Some(script) = scripts.iter().find(|script| script.name == name || script.name == below) else {
        let known: Vec<&str> = scripts.iter().map(|script| script.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(ControlError::NotFound(format!("there is no script `{name}`; the daemon knows {known}")));
    };
    let script_name = &script.name;
    if let Some(error) = &script.error {
        let since = script.stale_since.map_or_else(|| "?".to_owned(), utc);
        return Err(ControlError::Refused(format!(
            "{script_name} is stale since {since}, so it is not clear what would run: {error}"
        )));
    }
    let job = runs_of(script_name);
    let run = run_name(ledger.request_run(&job, args).await?);
    let message = format!("{script_name} is requested: run {run} of `{job}` begins within a second or two");
    Ok(ActionResult::begins(run, message))
}

/// The scripts that were run on request, in the form of jobs, or only the one whose runs have the name `job`.
pub async fn asked_scripts(ledger: &Ledger, job: Option<&str>) -> Result<Vec<JobRow>, LedgerError> {
    let runs = ledger.requested_runs(job).await?;
    let listed = runs.into_iter().map(|run| JobRow {
        name: run.job.clone(),
        script: script_of(&run.job).unwrap_or_default().to_owned(),
        times: WHEN_ASKED.to_owned(),
        decided_until: run.scheduled_at,
        next_at: None,
        paused_at: None,
        gone_at: None,
        last: Some(run),
    });
    Ok(listed.collect())
}
