//! Approves and rejects broadcasts.

use super::cancel::cancel_because;
use super::daemon::hand_over;
use super::{ActionResult, ControlError};
use crate::core::{Actor, BroadcastCommand, TokenRole};
use crate::ledger::{ApprovalResult, Broadcast, Ledger};

/// The most characters of a note.
const NOTE_LENGTH: usize = 1000;

/// What an approver says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdict<'a> {
    /// The approval's hash that the approver saw. None for the plan as it is now.
    pub seen: Option<&'a str>,
    pub note: Option<&'a str>,
}

/// Approves the plan of a broadcast, which is sent then.
pub async fn approve(
    ledger: &Ledger,
    found: &Broadcast,
    by: &Actor,
    verdict: Verdict<'_>,
) -> Result<ActionResult, ControlError> {
    let note = checked(by, verdict)?;
    let result = ledger.approve(found.id, by, verdict.seen, note.as_deref()).await?;
    done(result, by, "approve")?;
    let name = found.full_name();
    let now = ledger.show(found.id).await?;
    if now.command == BroadcastCommand::Pause {
        let message = format!("{name} is approved; it is paused and goes on when it is resumed");
        return Ok(ActionResult::of(message));
    }
    // The daemon takes it over also when the process that drives it now ends, or has just died.
    let daemon = hand_over(ledger, found).await?;
    if let Some(driver) = now.driver {
        let pid = driver.instance.pid;
        return Ok(ActionResult::of(format!(
            "{name} is approved; the process that sends it ({pid}) goes on"
        )));
    }
    Ok(match daemon {
        Some(pid) => ActionResult::of(format!("{name} is approved; the daemon (process {pid}) sends it")),
        None => ActionResult {
            needs_driver: true,
            ..ActionResult::of(format!("{name} is approved, and no process sends it"))
        },
    })
}

/// Rejects the plan of a broadcast, which is cancelled then. The note says why.
pub async fn reject(
    ledger: &Ledger,
    found: &Broadcast,
    by: &Actor,
    verdict: Verdict<'_>,
) -> Result<ActionResult, ControlError> {
    let Some(note) = checked(by, verdict)? else {
        return Err(ControlError::Invalid("say in a note why the broadcast is rejected".to_owned()));
    };
    done(ledger.may_reject(found.id, verdict.seen).await?, by, "reject")?;
    cancel_because(ledger, found, Some(&format!("rejected by {}: {note}", by.name))).await?;
    Ok(ActionResult::of(format!(
        "{} is rejected and cancelled: nothing more of it is sent",
        found.full_name()
    )))
}

/// Returns the note, if the actor may approve and it is one.
fn checked(by: &Actor, verdict: Verdict<'_>) -> Result<Option<String>, ControlError> {
    if !by.role.covers(TokenRole::Approver) {
        return Err(ControlError::Refused(format!(
            "an approval needs the role {}, and {} has the role {}",
            TokenRole::Approver.or_above(),
            by.name,
            by.role
        )));
    }
    let note = verdict.note.map(str::trim).filter(|note| !note.is_empty());
    if note.is_some_and(|note| note.chars().count() > NOTE_LENGTH) {
        return Err(ControlError::Invalid(format!("a note has at most {NOTE_LENGTH} characters")));
    }
    // A store on a server holds no zero byte.
    Ok(note.map(|note| note.replace('\0', "\u{fffd}")))
}

fn done(result: ApprovalResult, by: &Actor, what: &str) -> Result<(), ControlError> {
    Err(ControlError::Refused(match result {
        ApprovalResult::Done => return Ok(()),
        ApprovalResult::NotAwaited(found) => {
            let name = found.full_name();
            match &found.approval {
                Some(approval) => {
                    format!("{name} does not wait for an approval: {} approved it", approval.by.name)
                }
                None => format!("{name} does not wait for an approval: it is {}", found.status()),
            }
        }
        ApprovalResult::OtherPlan(found) => format!(
            "the plan of {} is not the one that you saw; look at it again, and then {what} {}",
            found.full_name(),
            found.approval_hash.as_deref().unwrap_or_default()
        ),
        ApprovalResult::OwnPlan(found) => format!(
            "{} began {} or changed its plan, so another person must approve it",
            by.name,
            found.full_name()
        ),
    }))
}
