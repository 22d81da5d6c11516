//! Handles a request for a broadcast that has ended: either nothing is left to send, or its audience has new
//! recipients.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::core::{BroadcastSpec, OnChange};
use crate::delivery::{BroadcastSummary, Delivery};
use crate::ledger::{Broadcast, BroadcastStage, InputKind};
use crate::message::counted_as;
use crate::protocol::{HostResponse, RequestFailure};
use crate::run::rehearsal::BroadcastOrigin;
use crate::run::services::RunServices;

use super::drive::LeasedBroadcast;
use super::{inputs, json_answer, report};

/// The begins of the notes that say by whom a broadcast was rejected or cancelled.
const BY_WHOM: [&str; 2] = ["rejected by ", "cancelled by "];

/// Whether the recipients of an ended broadcast are compared with what its script requests now. They are not for a
/// job's run (which goes on with the rest of its script), unless it replans, nor for a run whose audience file is
/// gone.
pub(super) async fn is_compared(
    services: &RunServices,
    request: &BroadcastSpec,
    broadcast: &Broadcast,
) -> bool {
    let stored = &broadcast.spec.inputs;
    let replans = request.on_change == OnChange::Replan;
    if broadcast.stage != BroadcastStage::Finished
        || stored.is_empty()
        || request.on_change == OnChange::Continue
        || (services.job.is_some() && !replans)
    {
        return false;
    }
    let Some(path) = &request.path else { return true };
    if services.files.open_upload(path).await.is_err() {
        return false;
    }
    // For an audience file, only these inputs determine the recipients; the script does not.
    let of_recipients = |kind: InputKind| {
        replans || matches!(kind, InputKind::Audience | InputKind::Fields | InputKind::Recipients)
    };
    inputs::changed(services, request, stored).await.iter().any(|input| of_recipients(input.kind))
}

/// Releases the lease of a broadcast that has no recipients to add.
pub(super) async fn left_as_it_is(
    services: &RunServices,
    role: LeasedBroadcast,
) -> Result<HostResponse, RequestFailure> {
    let (delivery, broadcast) = (Rc::clone(&role.delivery), role.broadcast.clone());
    role.release().await;
    already(services, &delivery, &broadcast)
}

/// Answers that nothing is left to send, and how to send again. Recipients that never got the message count for the
/// exit status as they did when the broadcast ended.
pub(super) fn already(
    services: &RunServices,
    delivery: &Delivery,
    broadcast: &Broadcast,
) -> Result<HostResponse, RequestFailure> {
    let is_cancelled = broadcast.stage == BroadcastStage::Cancelled;
    let origin = if is_cancelled { BroadcastOrigin::Cancelled } else { BroadcastOrigin::Already };
    services.policy.reopened(delivery.name(), broadcast, origin)?;
    let (name, run, counts) = (&broadcast.name, &broadcast.run, &broadcast.counts);
    let summary = BroadcastSummary::new(broadcast, counts, 0, Duration::ZERO);
    if is_cancelled {
        services.tally.broadcast(broadcast.spec.call, &summary, 0);
        services.broadcasts.note_cancelled(why_cancelled(broadcast));
        return Ok(answered(broadcast));
    }
    services.tally.broadcast_before(broadcast.spec.call, &summary);
    let doubts = match counts.in_doubt {
        0 => String::new(),
        many => format!(
            " ({} in doubt: `mooncast runs settle {}` settles {})",
            counted_as(many, "is", "are"),
            broadcast.id,
            if many == 1 { "it" } else { "them" }
        ),
    };
    if let Some(corrected) = &broadcast.spec.corrects {
        tracing::warn!(
            "the messages of {} got this edit before: {} ended at {}; nothing is edited again",
            corrected.full_name(),
            broadcast.full_name(),
            end_of(broadcast)
        );
        return Ok(answered(broadcast));
    }
    tracing::warn!(
        "broadcast `{name}` (run {run}) ended at {}: it was sent to {} of {} recipients{doubts}; nothing is \
         sent again. To send it again as another `run`, set `run` to a new value, for example `run = \"2\"`",
        end_of(broadcast),
        counts.sent,
        counts.total(),
    );
    Ok(answered(broadcast))
}

/// Says that a broadcast was rejected or cancelled, by whom, how much of it was sent, and what to do next.
pub(super) fn why_cancelled(broadcast: &Broadcast) -> String {
    let Broadcast { name, run, counts, .. } = broadcast;
    let how = match broadcast.command_note.as_deref() {
        Some(note) if BY_WHOM.iter().any(|begin| note.starts_with(begin)) => format!("was {note}"),
        _ => format!("was cancelled at {}", end_of(broadcast)),
    };
    if broadcast.spec.corrects.is_some() {
        let (sent, total) = (counts.sent, counts.total());
        return format!(
            "the edit `{name}` (run {run}) {how}; it edited {sent} of {total} messages. To edit the rest, edit again"
        );
    }
    let sent = match counts.sent {
        0 => "nothing of it was sent".to_owned(),
        many => format!("it was sent to {many} of {} recipients", counts.total()),
    };
    format!(
        "broadcast `{name}` (run {run}) {how}; {sent}, and nothing is sent now. To send it, correct it and set `run` to a new value, for example `run = \"2\"`"
    )
}

fn answered(broadcast: &Broadcast) -> HostResponse {
    let mut report = report::stored(broadcast);
    report["already"] = Value::Bool(true);
    json_answer(&json!({ "state": "already", "report": report }))
}

/// Returns the refusal for an ended broadcast that has new recipients, with the differences and the ways to go on.
pub(super) fn refused(broadcast: &Broadcast, lines: &[String]) -> RequestFailure {
    let Broadcast { name, run, counts, .. } = broadcast;
    RequestFailure::invalid(
        "on_change",
        format!(
            "broadcast `{name}` (run {run}) ended at {}: it was sent to {} of {} recipients. Its inputs now have \
             more recipients: {}. This call sent nothing. Choose one: --replan sends only to the added recipients; --continue leaves it as it is; another `run`, for example `run = \"2\"`, sends to all (in Lua: on_change = \"replan\" or \"continue\")",
            end_of(broadcast),
            counts.sent,
            counts.total(),
            lines.join("; ")
        ),
    )
}

/// Returns when the broadcast ended, in UTC.
fn end_of(broadcast: &Broadcast) -> String {
    broadcast
        .finished_at
        .and_then(|at| i64::try_from(at.as_secs()).ok())
        .and_then(|at| jiff::Timestamp::from_second(at).ok())
        .map_or_else(|| "an unknown time".to_owned(), |at| at.to_string())
}
