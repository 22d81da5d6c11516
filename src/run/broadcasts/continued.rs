//! Reports the effect of a changed audience file on a broadcast that continues with its stored plan: which recipients
//! get nothing, and which get the message although they were removed.

use bytes::Bytes;

use crate::input::Audience;
use crate::ledger::{Broadcast, InputKind, NewMessage, NewRecipient, PlanDifference};
use crate::protocol::{FailureKind, RequestFailure};
use crate::run::services::RunServices;

use super::audience::named;
use super::drive::LeasedBroadcast;
use super::{change, draft, fault, inputs};
use crate::core::BroadcastSpec;
use crate::input::AudienceOptions;

/// Recipients read at once.
const PAGE: usize = 500;

/// Logs in which recipients the file differs from the stored plan. This changes nothing, so if the file cannot be
/// read, that is only logged too.
pub(super) async fn log_changes(services: &RunServices, role: &LeasedBroadcast, request: &BroadcastSpec) {
    let Some(path) = &request.path else { return };
    let broadcast = &role.broadcast;
    let Some(stored) = broadcast.spec.inputs.iter().find(|input| input.kind == InputKind::Audience) else {
        return;
    };
    let changed = inputs::changed(services, request, std::slice::from_ref(stored)).await;
    if changed.is_empty() {
        return;
    }
    let (name, run) = (&broadcast.name, &broadcast.run);
    match Box::pin(difference(services, role, request, path)).await {
        Ok(difference) => {
            let mut lines = Vec::new();
            for (many, first, what) in [
                (difference.added, &difference.first_added, "recipients added since, which get nothing"),
                (
                    difference.removed,
                    &difference.first_removed,
                    "recipients removed since, which still get it",
                ),
            ] {
                if many > 0 {
                    lines.push(format!("{what}: {}", change::listed(many, first)));
                }
            }
            if !lines.is_empty() {
                tracing::warn!(
                    "broadcast `{name}` (run {run}) continues as stored, and `{path}` has changed: {}",
                    lines.join("; ")
                );
            }
        }
        Err(failure) => tracing::warn!(
            "broadcast `{name}` (run {run}) continues as stored; `{path}` has changed, and the added and \
             removed recipients cannot be listed: {}",
            failure.message
        ),
    }
}

/// Compares the recipients of the file with those of the stored plan.
async fn difference(
    services: &RunServices,
    role: &LeasedBroadcast,
    request: &BroadcastSpec,
    path: &str,
) -> Result<PlanDifference, RequestFailure> {
    let delivery = &role.delivery;
    let entry = delivery.entry().await?;
    let (open, app) = entry.ok_or_else(|| RequestFailure::new(FailureKind::Invalid, "no ledger is open"))?;
    let spec = draft::spec_of(services, delivery, request)?;
    let Broadcast { name, run, .. } = &role.broadcast;
    let beside = draft::draft(services, delivery, open, app, name, run, &spec).await?;
    let compared = async {
        let ledger = &beside.ledger;
        ledger.discard_unbuilt(beside.lease, &spec).await.map_err(fault)?;
        put(services, &beside, request, path).await?;
        let exclusion = request.exclusion(ledger, app).await?;
        ledger.check_plan(beside.lease, exclusion.as_ref(), None, None).await.map_err(fault)?;
        ledger.recipients_differ(role.broadcast.id, beside.broadcast.id).await.map_err(fault)
    }
    .await;
    if let Err(error) = beside.ledger.delete_draft(beside.lease).await {
        tracing::warn!(
            "could not delete the draft plan of `{}`; a later run deletes it: {error}",
            request.name
        );
    }
    beside.release().await;
    compared
}

/// Adds the valid lines of the file to a draft, with a placeholder as their message.
async fn put(
    services: &RunServices,
    draft: &LeasedBroadcast,
    request: &BroadcastSpec,
    path: &str,
) -> Result<(), RequestFailure> {
    let unreadable = |what: String| RequestFailure::invalid("to", format!("`{path}`: {what}"));
    let options = AudienceOptions::of(request)?;
    Audience::check_name(path, &options).map_err(|(field, what)| RequestFailure::invalid(field, what))?;
    let opened = services.files.open_upload(path).await?.file;
    let name = path.to_owned();
    let opening = tokio::task::spawn_blocking(move || Audience::open(&name, opened, &options));
    let cut_short = |_| RequestFailure::new(FailureKind::Cancelled, "the host is shutting down");
    let mut file = opening.await.map_err(cut_short)?.map_err(|fault| unreadable(fault.to_string()))?;
    let content = Bytes::from_static(b"{}");
    let message = NewMessage { size: content.len() as u64, content, known_as: None };
    while !file.is_over() {
        let reading = tokio::task::spawn_blocking(move || {
            let page = file.page(PAGE);
            (file, page)
        });
        let (rest, page) = reading.await.map_err(cut_short)?;
        file = rest;
        let mut recipients = Vec::new();
        for line in page.map_err(|fault| unreadable(fault.to_string()))? {
            let Some(named) = line.value.ok().and_then(|value| named(&value, request).ok()) else { continue };
            for (group_id, users) in named.split() {
                let message = Some(message.clone());
                recipients.push(NewRecipient {
                    zone: None,
                    group_id,
                    users,
                    message,
                    fields: Vec::new(),
                    target: None,
                });
            }
        }
        if !recipients.is_empty() {
            draft.ledger.append(draft.lease, &recipients).await.map_err(fault)?;
        }
    }
    Ok(())
}
