//! Plans a broadcast again whose inputs changed.

use std::time::Duration;

use super::daemon::require_daemon;
use super::scripts::checked;
use super::{ActionResult, ControlError, run_script};
use crate::ledger::{Broadcast, Ledger, OperatorDecision, RunRequest};
use crate::run::changed_note;
use crate::schedule::{run_name, script_of};

/// Asks the daemon to run a broadcast's script again, so that a new plan replaces the rest of the stored one. If it is
/// refused, the broadcast is unchanged.
pub async fn replan(ledger: &Ledger, found: &Broadcast) -> Result<ActionResult, ControlError> {
    if found.is_over() {
        let why = "nothing is left to send, so it needs no new plan";
        return Err(ControlError::Refused(why.to_owned()));
    }
    let (id, spec) = (found.id, &found.spec);
    let path = spec.script.as_ref().map(|mark| mark.path.as_str());
    let by_hand = |error: ControlError| {
        let file = path.unwrap_or("FILE");
        ControlError::Refused(format!("{error}; or run the script by hand: mooncast run {file} --replan"))
    };
    require_daemon(ledger, path.unwrap_or(&found.name)).await.map_err(by_hand)?;
    let job = spec.job.as_ref().filter(|job| script_of(&job.name).is_none());
    if let Some(job) = job {
        let listed = ledger.job_rows(Some(&job.name)).await?;
        if listed.first().is_none_or(|listed| listed.gone_at.is_some()) {
            return Err(ControlError::Refused(format!(
                "no script declares the job `{}` now, so Mooncast cannot make a new plan; continue or cancel the broadcast",
                job.name
            )));
        }
    }
    let script = spec.job.as_ref().and_then(|job| script_of(&job.name)).or(path).unwrap_or_default();
    if job.is_none() {
        checked(ledger, script, &spec.args).await.map_err(by_hand)?;
    }
    if !found.is_held_for_changes() {
        // This makes a driver stop the broadcast.
        let note = changed_note(&["an operator asked for a new plan".to_owned()]);
        ledger.hold_for_changes(id, &note, spec.changes.clone().unwrap_or_default()).await?;
    }
    ledger.decide(id, Some(OperatorDecision::Replan)).await?;
    let name = found.full_name();
    if let Some(job) = job {
        let at = Duration::from_millis(job.scheduled_at);
        ledger.run_job_again(&job.name, at).await?;
        let message = format!(
            "{name} gets a new plan: run {} of {} starts within a second or two",
            run_name(at),
            job.name
        );
        return Ok(ActionResult::of(message));
    }
    match run_script(ledger, script, &RunRequest::of(&spec.args)).await {
        Ok(_) => {
            Ok(ActionResult::of(format!("{name} gets a new plan: {script} runs within a second or two")))
        }
        Err(error) => {
            ledger.decide(id, None).await?;
            Err(by_hand(error))
        }
    }
}
