//! Approves and rejects broadcasts.

use super::cancel::cancel;
use super::daemon::hand_over;
use super::{ActionResult, ControlError};
use crate::core::{Actor, BroadcastCommand, TokenRole};
use crate::ledger::{ApprovalResult, Broadcast, BroadcastStage, Ledger};

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
    let note = format!("rejected by {}: {note}", by.name);
    done(ledger.reject(found.id, verdict.seen, &note).await?, by, "reject")?;
    // Nothing of it is sent from here on. A process that drives it may end it at the same time.
    if let Err(error) = cancel(ledger, found).await
        && ledger.show(found.id).await?.stage != BroadcastStage::Cancelled
    {
        return Err(error);
    }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::clock::Clock;
    use crate::core::{ActorKind, Call, Door};
    use crate::ledger::{NewMessage, NewRecipient, StoredSpec};

    fn actor(name: &str) -> Actor {
        Actor {
            name: name.to_owned(),
            kind: ActorKind::Token,
            role: TokenRole::Approver,
            door: Door::Api,
            host: "host".to_owned(),
            address: None,
        }
    }

    /// Makes a broadcast to two groups that waits for an approval, and that no process drives.
    async fn awaiting(ledger: &Ledger) -> Broadcast {
        let instance = ledger.register("run").await.unwrap();
        let app = ledger.app("https://service/org/app").await.unwrap();
        let spec = StoredSpec { approval_over: Some(1), ..StoredSpec::new(Call::Group) };
        let found = ledger.find_or_create(app, "news", "1", &spec).await.unwrap();
        let id = found.broadcast().id;
        let lease = ledger.claim(id, &instance, Duration::from_secs(30)).await.unwrap().unwrap();
        let content = Bytes::from_static(br#"{"type":"txt","body":{"msg":"hi"}}"#);
        let message = NewMessage { content, size: 12, known_as: None };
        let recipients: Vec<NewRecipient> = ["g1", "g2"]
            .map(|group| NewRecipient {
                zone: None,
                target: None,
                group_id: group.to_owned(),
                users: vec![],
                message: Some(message.clone()),
                fields: vec![],
            })
            .into();
        ledger.append(lease, &recipients).await.unwrap();
        ledger.fix_plan(lease, None, None).await.unwrap();
        ledger.release(lease).await.unwrap();
        ledger.unregister(&instance).await.unwrap();
        ledger.show(id).await.unwrap()
    }

    #[test]
    fn of_a_rejection_and_an_approval_at_the_same_time_one_has_effect() {
        for rejects_first in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let clock = Clock::simulated(Duration::from_hours(500_000));
            let decide = async {
                let ledger = Ledger::open(folder.path(), clock.clone()).await.unwrap();
                let found = awaiting(&ledger).await;
                let (ann, bob) = (actor("ann"), actor("bob"));
                let no = Verdict { note: Some("too dear"), ..Verdict::default() };
                let rejecting = reject(&ledger, &found, &ann, no);
                let approving = approve(&ledger, &found, &bob, Verdict::default());
                // Writes follow one another in the order in which they are begun.
                let (rejected, approved) = if rejects_first {
                    tokio::join!(rejecting, approving)
                } else {
                    let (approved, rejected) = tokio::join!(approving, rejecting);
                    (rejected, approved)
                };
                let now = ledger.show(found.id).await.unwrap();
                assert_eq!(rejected.is_ok(), rejects_first, "{rejected:?}");
                assert_eq!(approved.is_ok(), !rejects_first, "{approved:?}");
                assert_eq!(now.approval.is_some(), !rejects_first, "{now:?}");
                if rejects_first {
                    assert_eq!(now.stage, BroadcastStage::Cancelled);
                    assert_eq!(now.command_note.as_deref(), Some("rejected by ann: too dear"));
                } else {
                    assert_eq!((now.command, now.counts.pending), (BroadcastCommand::Run, 2));
                }
            };
            clock.block_on(decide).unwrap();
        }
    }
}
