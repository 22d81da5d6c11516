//! Runs of scripts on request: which scripts may run, and what is known of such runs. The API and the command line
//! share this.

use std::time::Duration;

use crate::ledger::{JobRow, Ledger, LedgerError, ScriptRow};
use crate::schedule::{runs_of, script_of};

use super::view::instant;

/// The schedule text of a script's runs.
const WHEN_ASKED: &str = "when somebody asks";

/// The maximum total size of a run's arguments, in bytes.
const MOST: usize = 64 * 1024;

/// Why a script cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum RunScriptError {
    #[error("there is no script `{name}`; the daemon knows {known}")]
    Unknown { name: String, known: String },
    #[error("{name} is stale since {since}, so it is not clear what would run: {error}")]
    Stale {
        name: String,
        /// When it first failed to load.
        since: String,
        error: String,
    },
    #[error("the arguments have {0} bytes, and {MOST} is the most")]
    TooLong(usize),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedRun {
    pub script: String,
    pub job: String,
    /// The scheduled time of the run.
    pub at: Duration,
}

/// Asks the daemon to run a script with these arguments, as `mooncast run` would. `script` is a path below the
/// project's folder or below `scripts/`.
///
/// # Errors
///
/// [`RunScriptError`]; nothing is run.
pub async fn ask_for_script(
    ledger: &Ledger,
    name: &str,
    args: &[String],
) -> Result<RequestedRun, RunScriptError> {
    let length = args.iter().map(String::len).sum();
    if length > MOST {
        return Err(RunScriptError::TooLong(length));
    }
    let scripts = ledger.scripts().await?;
    let below = format!("scripts/{name}");
    let Some(script) = scripts.iter().find(|script| script.name == name || script.name == below) else {
        let known: Vec<&str> = scripts.iter().map(|script| script.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(RunScriptError::Unknown { name: name.to_owned(), known });
    };
    in_force(script)?;
    let (script, job) = (script.name.clone(), runs_of(&script.name));
    let at = ledger.request_run(&job, args).await?;
    Ok(RequestedRun { script, job, at })
}

fn in_force(script: &ScriptRow) -> Result<(), RunScriptError> {
    let Some(error) = &script.error else { return Ok(()) };
    let since = script.stale_since.map_or_else(|| "?".to_owned(), instant);
    Err(RunScriptError::Stale { name: script.name.clone(), since, error: error.clone() })
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
