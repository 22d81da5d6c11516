//! Edits the sent messages of a broadcast, all alike. The daemon sends the edits.

use std::rc::Rc;

use serde_json::Value;

use super::{ActionResult, ControlError, amount, app_of};
use crate::core::{Call, InDoubtPolicy, Person};
use crate::delivery::{Delivery, EditPreview, LEASE, SentMessages, edit_name, edit_of, edit_run};
use crate::ledger::{
    AppId, Broadcast, BroadcastLookup, CorrectedRun, Lease, Ledger, NewMessage, NewRecipient, StoredSpec,
};

/// Says what an edit of a broadcast would do, and edits nothing. `change` has `body`, `ext` or both.
///
/// # Errors
///
/// The broadcast is being sent, or the edit breaks a limit of messages.
pub async fn preview_edit(
    ledger: &Ledger,
    apps: &[Rc<Delivery>],
    found: &Broadcast,
    change: &Value,
) -> Result<EditPreview, ControlError> {
    let app = app_of(apps, found).await?;
    let mut preview = EditPreview::default();
    let mut sent = SentMessages::open(ledger, found).await?;
    while let Some((editable, _)) = sent.next(&mut preview).await? {
        for message in editable {
            match edit_of(&message.message, change, None) {
                Ok(edit) => {
                    checked(app, &edit)?;
                    preview.add(&message, &edit);
                }
                Err(why) => drop(preview.leave_out(&message.group_id, &why)),
            }
        }
    }
    Ok(preview)
}

/// Returns the text that the first text message of a broadcast has now; empty if there is none.
pub async fn current_text(ledger: &Ledger, found: &Broadcast) -> Result<String, ControlError> {
    let mut sent = SentMessages::open(ledger, found).await?;
    let first = sent.next(&mut EditPreview::default()).await?.map_or_else(Vec::new, |(editable, _)| editable);
    let mut texts = first.iter().filter_map(|sent| sent.message.pointer("/body/msg")?.as_str());
    Ok(texts.next().unwrap_or_default().to_owned())
}

/// Plans the edit of a broadcast as a broadcast of its own, and hands it to the daemon.
///
/// # Errors
///
/// As [`preview_edit`]; also if another edit of the broadcast has not finished, or nothing can be edited.
pub async fn edit(
    ledger: &Ledger,
    apps: &[Rc<Delivery>],
    found: &Broadcast,
    change: &Value,
    from: Option<&str>,
    by: &Person,
) -> Result<ActionResult, ControlError> {
    let app = app_of(apps, found).await?;
    let (open, id) =
        app.entry().await?.ok_or_else(|| ControlError::Refused("there is no ledger".to_owned()))?;
    let (edits, spec) = begin(ledger, id, app, found, by).await?;
    let lease = ledger.claim(edits.id, &open.instance, LEASE).await?;
    let lease = lease.ok_or_else(|| unfinished(&edits))?;
    let planned = plan(ledger, app, lease, &spec, found, change, from).await;
    if planned.is_err() {
        // A plan that is not fixed is built again by the next edit, so a failure here does no harm.
        let _ = ledger.forget_unbuilt(lease).await;
    }
    let total = planned?;
    ledger.hand_to_daemon(edits.id).await?;
    ledger.release(lease).await?;
    let message = format!(
        "{}: {} messages of {} {}",
        edits.full_name(),
        amount(total),
        found.full_name(),
        if ledger.show(edits.id).await?.awaits_approval() {
            "are edited once another person approves it"
        } else {
            "are being edited"
        }
    );
    Ok(ActionResult { run: Some(edits.run), ..ActionResult::counted(total, message) })
}

/// Creates the broadcast that edits.
async fn begin(
    ledger: &Ledger,
    app: AppId,
    delivery: &Delivery,
    found: &Broadcast,
    by: &Person,
) -> Result<(Broadcast, StoredSpec), ControlError> {
    let latest = ledger.latest_edit(found.id).await?;
    if let Some(latest) = latest.as_ref().filter(|latest| !latest.is_over() && latest.plan.is_some()) {
        return Err(unfinished(latest));
    }
    let run = match &latest {
        Some(latest) if latest.plan.is_none() => latest.run.clone(),
        latest => edit_run(&found.run, latest.as_ref().map(|latest| latest.run.as_str())),
    };
    let corrects = CorrectedRun {
        id: found.id.0,
        name: found.name.clone(),
        run: found.run.clone(),
        call: found.spec.call,
    };
    let script = found.spec.script.as_ref().map(|script| script.path.as_str());
    let spec = StoredSpec {
        in_doubt: InDoubtPolicy::Resend,
        corrects: Some(corrects),
        approval_over: delivery.approval_over(script, None)?,
        begun_by: vec![by.clone()],
        ..StoredSpec::new(Call::Edit)
    };
    match ledger.find_or_create(app, &edit_name(&found.name), &run, &spec).await? {
        BroadcastLookup::New(edits) | BroadcastLookup::Unbuilt(edits) => Ok((edits, spec)),
        BroadcastLookup::Unfinished(other) | BroadcastLookup::Finished(other) => Err(unfinished(&other)),
    }
}

fn unfinished(other: &Broadcast) -> ControlError {
    let name = other.full_name();
    ControlError::Refused(format!("{name} is in the way; let it finish, or cancel it, and edit again"))
}

/// Builds and fixes the plan. Returns the number of messages that are edited.
async fn plan(
    ledger: &Ledger,
    app: &Delivery,
    lease: Lease,
    spec: &StoredSpec,
    found: &Broadcast,
    change: &Value,
    from: Option<&str>,
) -> Result<u64, ControlError> {
    ledger.discard_unbuilt(lease, spec).await?;
    let mut preview = EditPreview::default();
    let mut sent = SentMessages::open(ledger, found).await?;
    while let Some((editable, mut left_out)) = sent.next(&mut preview).await? {
        let mut recipients = Vec::with_capacity(editable.len());
        for message in editable {
            match edit_of(&message.message, change, from) {
                Ok(edit) => recipients.push(NewRecipient {
                    zone: None,
                    group_id: message.group_id,
                    users: message.users,
                    target: Some(message.message_id),
                    message: Some(checked(app, &edit)?),
                    fields: message.fields,
                }),
                Err(why) => left_out.push(preview.leave_out(&message.group_id, &why)),
            }
        }
        ledger.append_skipped(lease, &left_out).await?;
        ledger.append(lease, &recipients).await?;
        ledger.renew(lease, LEASE).await?;
    }
    let plan = ledger.fix_plan(lease, None, None).await?;
    if plan.total == 0 {
        let reasons: Vec<String> =
            preview.left_out.iter().map(|(why, count)| format!("{} {why}", amount(*count))).collect();
        let name = found.full_name();
        return Err(ControlError::Refused(format!(
            "no message of {name} can be edited: {}",
            reasons.join("; ")
        )));
    }
    Ok(plan.total)
}

fn checked(app: &Delivery, edit: &Value) -> Result<NewMessage, ControlError> {
    let draft = app.check_draft(Call::Edit, edit.clone());
    let draft = draft.map_err(|problems| ControlError::Refused(problems.to_string()))?;
    Ok(NewMessage { content: draft.to_json(), size: draft.size() as u64, known_as: None })
}
