//! How a broadcast goes on whose inputs changed, as an operator decides: the same from the page, the API and the command
//! line.

use std::time::Duration;

use crate::host::changed_note;
use crate::ledger::{Broadcast, Ledger, LedgerError, OperatorDecision};
use crate::schedule::{run_name, script_of};

use super::scripts::{RunScriptError, ask_for_script};

/// Why a broadcast cannot be planned anew.
#[derive(Debug, thiserror::Error)]
pub enum ReplanError {
    /// Nothing of it is left to send.
    #[error("nothing of it is left to send, so there is nothing to plan anew")]
    Over,
    /// Its job is gone.
    #[error(
        "no script declares the job `{0}` any more, so it cannot make a new plan; continue or cancel the broadcast"
    )]
    NoJob(String),
    /// Its script cannot be run by the daemon.
    #[error("{0}; run its script by hand: mooncast run FILE --replan")]
    NotRun(#[from] RunScriptError),
    /// The ledger does not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Lets a broadcast go on with its stored plan, whatever its inputs are now.
///
/// # Errors
///
/// [`LedgerError::NotNow`] when it is over or being cancelled, and faults of the store.
pub async fn continue_as_stored(ledger: &Ledger, broadcast: &Broadcast) -> Result<(), LedgerError> {
    ledger.decide(broadcast.id, Some(OperatorDecision::Continue)).await?;
    ledger.request_command(broadcast.id, crate::ledger::BroadcastCommand::Run, None).await?;
    ledger.hand_to_daemon(broadcast.id).await
}

/// Asks the daemon to run the script of a broadcast again, so that a new plan takes the place of what is left of the
/// stored one; gives a sentence that says what begins.
///
/// # Errors
///
/// [`NotReplanned`]; the broadcast is as it was then.
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
        // A driver lets go of it then.
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
