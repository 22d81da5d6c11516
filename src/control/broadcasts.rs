//! Commands for broadcasts: pause, resume, retry, settle.

use super::daemon::hand_over;
use super::{ActionResult, ControlError};
use crate::ledger::{Broadcast, BroadcastCommand, Ledger, OperatorDecision, Settlement};
use crate::message::counted_as;

/// Pauses a broadcast until it is resumed.
pub async fn pause(ledger: &Ledger, found: &Broadcast) -> Result<ActionResult, ControlError> {
    ledger.request_command(found.id, BroadcastCommand::Pause, None).await?;
    Ok(ActionResult::of(format!("{} is paused until you resume it", found.full_name())))
}

/// Lets a broadcast go on. `changed` are its inputs that changed since its plan, as
/// [`undecided_changes`](crate::run::undecided_changes) returns them.
///
/// # Errors
///
/// [`ControlError::Refused`] if inputs changed: an operator must decide whether the stored plan or a new one is sent.
pub async fn resume(
    ledger: &Ledger,
    found: &Broadcast,
    changed: &[String],
) -> Result<ActionResult, ControlError> {
    if !changed.is_empty() {
        return Err(ControlError::Refused(resume_refused(found, changed)));
    }
    if found.spec.changes.is_some() {
        ledger.forget_changes(found.id).await?;
    }
    go_on(ledger, found).await
}

fn resume_refused(found: &Broadcast, changed: &[String]) -> String {
    let Broadcast { name, run, counts, .. } = found;
    format!(
        "broadcast `{name}` (run {run}) was started from other inputs: changed: {}. It was not resumed; {} of {} were \
         sent before. Choose one: continue (`--continue`) sends the rest as stored; replan (`--replan`) sends the rest by \
         the new plan, and nothing again to recipients that have it; another `run` in its script sends to all",
        changed.join(", "),
        counts.sent,
        counts.total()
    )
}

/// Lets a broadcast go on with its stored plan, whatever its inputs are now.
pub async fn continue_as_stored(ledger: &Ledger, found: &Broadcast) -> Result<ActionResult, ControlError> {
    ledger.decide(found.id, Some(OperatorDecision::Continue)).await?;
    go_on(ledger, found).await
}

async fn go_on(ledger: &Ledger, found: &Broadcast) -> Result<ActionResult, ControlError> {
    ledger.request_command(found.id, BroadcastCommand::Run, None).await?;
    let name = found.full_name();
    let now = ledger.show(found.id).await?;
    if now.awaits_approval() {
        let then = then(ledger, &now, "it").await?;
        return Ok(ActionResult { message: format!("{name} {}", awaits(&now, &then.message)), ..then });
    }
    if let Some(driver) = now.driver {
        return Ok(ActionResult::of(format!(
            "{name} continues in the process that sends it ({})",
            driver.instance.pid
        )));
    }
    Ok(match hand_over(ledger, found).await? {
        Some(pid) => ActionResult::of(format!("{name} continues in the daemon (process {pid})")),
        None => ActionResult { needs_driver: true, ..ActionResult::of(format!("no process sends {name}")) },
    })
}

/// Makes rejected recipients pending again.
pub async fn retry(ledger: &Ledger, found: &Broadcast) -> Result<ActionResult, ControlError> {
    let count = ledger.retry_rejected(found.id).await?;
    send_again(ledger, found, count).await
}

/// Settles the recipients in doubt.
pub async fn settle(
    ledger: &Ledger,
    found: &Broadcast,
    settlement: Settlement,
) -> Result<ActionResult, ControlError> {
    let count = ledger.settle_doubts(found.id, settlement).await?;
    match settlement {
        Settlement::Again => send_again(ledger, found, count).await,
        Settlement::AsSent => {
            let message = counted_as(count, "counts as sent", "count as sent");
            Ok(ActionResult::counted(count, format!("{}: {message}", found.full_name())))
        }
    }
}

/// Says which process sends to recipients that are pending again.
pub(super) async fn send_again(
    ledger: &Ledger,
    found: &Broadcast,
    count: u64,
) -> Result<ActionResult, ControlError> {
    if found.is_over() {
        // Messages of a finished broadcast that are sent again use the stored plan.
        ledger.decide(found.id, Some(OperatorDecision::Continue)).await?;
    }
    let pending = counted_as(count, "is pending again", "are pending again");
    let message = format!("{}: {pending}", found.full_name());
    let now = ledger.show(found.id).await?;
    if now.awaits_approval() {
        let then = then(ledger, &now, "them").await?;
        let message = format!("{message}; it {}", awaits(&now, &then.message));
        return Ok(ActionResult { message, count: Some(count), ..then });
    }
    Ok(match hand_over(ledger, found).await? {
        Some(pid) => {
            ActionResult::counted(count, format!("{message}; the daemon (process {pid}) sends them"))
        }
        None => ActionResult { needs_driver: true, ..ActionResult::counted(count, message) },
    })
}

/// `awaits approval: 3 recipients; …; then the daemon (process 7) sends it`
fn awaits(broadcast: &Broadcast, then: &str) -> String {
    format!("awaits approval: {}{then}", broadcast.approval_wanted())
}

/// Which process sends a broadcast once it is approved.
async fn then(ledger: &Ledger, now: &Broadcast, what: &str) -> Result<ActionResult, ControlError> {
    if let Some(driver) = &now.driver {
        let pid = driver.instance.pid;
        return Ok(ActionResult::of(format!("; then the process that waits for it ({pid}) sends {what}")));
    }
    Ok(match hand_over(ledger, now).await? {
        Some(pid) => ActionResult::of(format!("; then the daemon (process {pid}) sends {what}")),
        None => ActionResult { needs_driver: true, ..ActionResult::default() },
    })
}
