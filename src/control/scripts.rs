//! Runs of scripts on request: which scripts may run, and the state of these runs.

use serde_json::{Map, Value};

use super::daemon::require_daemon;
use super::run_files::check_run_files;
use super::{ActionResult, ControlError};
use crate::core::utc;
use crate::forms::ScriptForm;
use crate::ledger::{JobRow, Ledger, LedgerError, RunRequest, ScriptRow};
use crate::run::rehearsal::RehearsalPlan;
use crate::schedule::{run_name, runs_of, script_of};

/// The schedule text of a script's runs.
const WHEN_ASKED: &str = "on request";

/// The maximum total size of a run's arguments, in bytes.
const MOST: usize = 64 * 1024;

/// Asks the daemon to run a script with the arguments and the plan of `request`, as `mooncast run` would.
/// `name` is a path below the project's folder or below `scripts/`.
///
/// # Errors
///
/// The script is not there or failed to load, or the arguments do not fit its form.
pub async fn run_script(
    ledger: &Ledger,
    name: &str,
    request: &RunRequest,
) -> Result<ActionResult, ControlError> {
    let (script, args) = checked(ledger, name, &request.args).await?;
    if let Some(plan) = &request.plan {
        plan.parse::<RehearsalPlan>().map_err(|why| ControlError::Invalid(format!("`plan`: {why}")))?;
    }
    let script_name = &script.name;
    let job = runs_of(script_name);
    let request = RunRequest { args, ..request.clone() };
    let run = run_name(ledger.request_run(&job, &request).await?);
    let message = format!("{script_name} was requested: run {run} of `{job}` starts within a second or two");
    Ok(ActionResult::begins(run, message))
}

/// Finds a script that can run, by its path below the project's folder or below `scripts/`, and checks arguments for it.
pub(super) async fn checked(
    ledger: &Ledger,
    name: &str,
    args: &[String],
) -> Result<(ScriptRow, Vec<String>), ControlError> {
    let length: usize = args.iter().map(String::len).sum();
    if length > MOST {
        return Err(ControlError::Invalid(format!(
            "the arguments have {length} bytes; at most {MOST} are allowed"
        )));
    }
    require_daemon(ledger, name).await?;
    let script = find_script(ledger, name).await?;
    let script_name = &script.name;
    if let Some(error) = &script.error {
        let since = script.stale_since.map_or_else(|| "?".to_owned(), utc);
        return Err(ControlError::Refused(format!(
            "{script_name} has failed to load since {since}, so Mooncast does not run it; fix the script first: {error}"
        )));
    }
    let form = form_of_row(&script);
    if form.is_empty() {
        return Ok((script, args.to_vec()));
    }
    let values = form.read(args).map_err(ControlError::Arguments)?;
    check_run_files(ledger, &form, &values.args).await?;
    Ok((script, values.args))
}

/// Finds a script by its path below the project's folder or below `scripts/`.
///
/// # Errors
///
/// There is none.
pub async fn find_script(ledger: &Ledger, name: &str) -> Result<ScriptRow, ControlError> {
    let scripts = ledger.scripts().await?;
    let below = format!("scripts/{name}");
    let known: Vec<String> = scripts.iter().map(|script| script.name.clone()).collect();
    let found = scripts.into_iter().find(|script| script.name == name || script.name == below);
    found.ok_or_else(|| {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        ControlError::NotFound(format!("there is no script `{name}`; the daemon has {known}"))
    })
}

/// The form of a script as its daemon last read it.
pub fn form_of_row(script: &ScriptRow) -> ScriptForm {
    script.form.as_deref().and_then(|form| serde_json::from_str(form).ok()).unwrap_or_default()
}

/// The arguments by name as the texts that the form reads.
///
/// # Errors
///
/// A value is a list, an object or null.
pub fn named_arguments(named: &Map<String, Value>) -> Result<Vec<String>, ControlError> {
    let text = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Ok(format!("{name}={text}")),
        Value::Bool(_) | Value::Number(_) => Ok(format!("{name}={value}")),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(ControlError::Invalid(format!(
            "the argument `{name}` must be a text, a number or a boolean; leave out an argument that has no value"
        ))),
    };
    named.iter().map(text).collect()
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
