//! Settles a broadcast's recipients in doubt by the service's own records.

use std::rc::Rc;

use super::broadcasts::send_again;
use super::{ActionResult, ControlError, app_of};
use crate::core::{unix_time, utc};
use crate::delivery::{Delivery, has_own_messages};
use crate::ledger::{Broadcast, Ledger, VerifiedState};
use crate::message::counted_as;
use crate::reconcile::{Ask, Verification};

/// Asks the service for the history files of the hours in which a broadcast has doubts, and settles what they show.
pub async fn ask_service(
    ledger: &Ledger,
    apps: &[Rc<Delivery>],
    found: &Broadcast,
) -> Result<ActionResult, ControlError> {
    let app = app_of(apps, found).await?;
    let before = ledger.counts(found.id).await?;
    let outlook = app.reconcile(Ask::Now).await?;
    let now = ledger.counts(found.id).await?;
    let settled = before.in_doubt.saturating_sub(now.in_doubt);
    let mut message = format!(
        "{}: {}",
        found.full_name(),
        counted_as(settled, "message in doubt is settled", "messages in doubt are settled")
    );
    let states = outlook.broadcasts.get(&found.id).copied().unwrap_or_default();
    let until = states.until.map_or_else(String::new, |until| format!(", until {}", utc(until)));
    for (count, what) in [
        (states.waiting, format!("still wait for a record{until}")),
        (
            states.absent,
            "were not accepted, by the service's history; `--again --proven` sends to them".to_owned(),
        ),
        (states.open, "have no record that settles them; settle them yourself".to_owned()),
    ] {
        if count > 0 && now.in_doubt > 0 {
            message = format!("{message}; {count} {what}");
        }
    }
    Ok(ActionResult::counted(settled, message))
}

/// Makes the recipients in doubt pending that the service did not accept, by its history.
pub async fn settle_proven(
    ledger: &Ledger,
    apps: &[Rc<Delivery>],
    found: &Broadcast,
) -> Result<ActionResult, ControlError> {
    let app = app_of(apps, found).await?;
    let count = app.settle_absent(found.id).await?;
    if count == 0 {
        let name = found.full_name();
        let message = format!("{name}: the service's history does not prove yet that a message is missing");
        return Ok(ActionResult::counted(0, message));
    }
    send_again(ledger, found, count).await
}

/// Verifies the sent messages of a finished broadcast by the service's records.
pub async fn verify(
    apps: &[Rc<Delivery>],
    found: &Broadcast,
) -> Result<(ActionResult, Verification), ControlError> {
    let name = found.full_name();
    if !found.is_over() {
        return Err(ControlError::Refused(format!("{name} has not finished; verify it afterwards")));
    }
    has_own_messages(found, "verify")?;
    let app = app_of(apps, found).await?;
    let verified = app.verify(found.id, Ask::Now).await?;
    app.store_verification(found.id, &verified).await?;
    let message = format!("{name}: {}", verification_text(&verified));
    Ok((ActionResult::counted(verified.verified, message), verified))
}

/// Returns the result of a verification as a sentence.
pub fn verification_text(verified: &Verification) -> String {
    if verified.verified + verified.missing + verified.unknown == 0 {
        return "it has no sent messages that were not recalled".to_owned();
    }
    let mut text =
        format!("the service has a record of {}", counted_as(verified.verified, "message", "messages"));
    if verified.missing > 0 {
        let groups = verified.first_missing.join(", ");
        let more = if verified.missing > verified.first_missing.len() as u64 { ", …" } else { "" };
        text = format!(
            "{text}; {} no record in the complete history, most likely because moderation stopped it after the service had accepted it (groups {groups}{more})",
            counted_as(verified.missing, "message has", "messages have")
        );
    }
    if verified.unknown > 0 {
        let until = verified.until_ms.map_or_else(
            || "and the service no longer keeps their history".to_owned(),
            |until| format!("their history is complete at {}", utc(unix_time(until))),
        );
        text = format!("{text}; {} not known yet, {until}", counted_as(verified.unknown, "is", "are"));
    }
    text
}

/// Returns the name of what a verification showed of a message, and the reason if it has no record.
pub const fn verified_text(state: VerifiedState) -> Option<(&'static str, Option<&'static str>)> {
    match state {
        VerifiedState::Unasked => None,
        VerifiedState::Verified => Some(("yes", None)),
        VerifiedState::Missing => Some((
            "missing",
            Some("the service's complete history has no record of it; most likely moderation stopped it"),
        )),
        VerifiedState::Unknown => Some(("unknown", Some("the service had no record of it yet"))),
    }
}
