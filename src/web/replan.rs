//! Decides how a broadcast with changed inputs continues, at an operator's request. The page, the API and the
//! command line share this.

use std::time::Duration;

use crate::ledger::{Broadcast, Ledger, LedgerError, OperatorDecision};
use crate::run::changed_note;
use crate::schedule::{run_name, script_of};

use super::scripts::{RunScriptError, ask_for_script};

/// Why a broadcast cannot be planned again.
#[derive(Debug, thiserror::Error)]
pub enum ReplanError {
    #[error("nothing of it is left to send, so there is nothing to plan anew")]
    Over,
    #[error(
        "no script declares the job `{0}` any more, so it cannot make a new plan; continue or cancel the broadcast"
    )]
    NoJob(String),
    #[error("{0}; run its script by hand: mooncast run FILE --replan")]
    NotRun(#[from] RunScriptError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Makes a broadcast continue with its stored plan, whatever its inputs are now.
///
/// # Errors
///
/// [`LedgerError::NotNow`] if the broadcast is finished or being cancelled; other ledger errors.
pub async fn continue_as_stored(ledger: &Ledger, broadcast: &Broadcast) -> Result<(), LedgerError> {
    ledger.decide(broadcast.id, Some(OperatorDecision::Continue)).await?;
    ledger.request_command(broadcast.id, crate::ledger::BroadcastCommand::Run, None).await?;
    ledger.hand_to_daemon(broadcast.id).await
}

/// Asks the daemon to run a broadcast's script again, so that a new plan replaces the rest of the stored one.
/// Returns a sentence about what begins.
///
/// # Errors
///
/// [`ReplanError`]; the broadcast is unchanged.
pub async fn ask_to_replan(ledger: &Ledger, broadcast: &Broadcast) -> Result<String, ReplanError> {
    if broadcast.is_over() {
        return Err(ReplanError::Over);
    }
    let (id, spec) = (broadcast.id, &broadcast.spec);
    let job = spec.job.as_ref().filter(|job| script_of(&job.name).is_none());
    if let Some(job) = job {
        let listed = ledger.job_rows(Some(&job.name)).await?;
        if listed.first().is_none_or(|listed| listed.gone_at.is_some()) {
            return Err(ReplanError::NoJob(job.name.clone()));
        }
    }
    if !broadcast.is_held_for_changes() {
        // This makes a driver stop the broadcast.
        let note = changed_note(&["an operator asked for a new plan".to_owned()]);
        ledger.hold_for_changes(id, &note, spec.changes.clone().unwrap_or_default()).await?;
    }
    ledger.decide(id, Some(OperatorDecision::Replan)).await?;
    let name = format!("{}/{}", broadcast.name, broadcast.run);
    if let Some(job) = job {
        let at = Duration::from_millis(job.scheduled_at);
        ledger.run_job_again(&job.name, at).await?;
        return Ok(format!(
            "{name} is planned anew: run {} of {} begins within a second or two",
            run_name(at),
            job.name
        ));
    }
    let script = spec.job.as_ref().and_then(|job| script_of(&job.name));
    let path = spec.script.as_ref().map(|mark| mark.path.as_str());
    let script = script.or(path).unwrap_or_default();
    match ask_for_script(ledger, script, &spec.args).await {
        Ok(asked) => Ok(format!("{name} is planned anew: {} runs within a second or two", asked.script)),
        Err(error) => {
            ledger.decide(id, None).await?;
            Err(error.into())
        }
    }
}
