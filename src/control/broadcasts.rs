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

/// Lets a broadcast go on. If it is paused because its inputs changed, it goes on with its stored plan.
pub async fn resume(ledger: &Ledger, found: &Broadcast) -> Result<ActionResult, ControlError> {
    if found.is_held_for_changes() {
        return continue_as_stored(ledger, found).await;
    }
    go_on(ledger, found).await
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
