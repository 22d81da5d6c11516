//! Handles an unfinished broadcast whose inputs changed: refuses it, continues its stored plan, or plans it again.

use crate::core::{Call, OnChange};
use crate::ledger::{
    Broadcast, BroadcastChanges, InDoubtPolicy, Lease, Ledger, LedgerError, MessageChange, PlanDifference,
    PlanInput,
};
use crate::protocol::RequestFailure;

use super::drive::LeasedBroadcast;
use super::{fault, inputs, texts};

/// The prefix of the note on a broadcast that is paused because its inputs changed.
pub(super) const NOTE: &str = crate::ledger::CHANGED;

/// The stored plan beside which a draft is built.
pub(super) struct StoredPlan {
    /// The lease of the broadcast itself.
    pub(super) role: LeasedBroadcast,
    /// The inputs known to have changed.
    pub(super) changed: Vec<PlanInput>,
    /// Whether the script or a module differs from what this run began with, so that it cannot build the new plan.
    pub(super) old_code: bool,
    pub(super) on_change: OnChange,
}

/// Pauses a broadcast whose inputs changed. A pause that an operator requested stays as it is.
pub(super) async fn hold(
    role: &LeasedBroadcast,
    note: &str,
    changes: BroadcastChanges,
) -> Result<(), RequestFailure> {
    role.ledger.hold_for_changes(role.broadcast.id, note, changes).await.map_err(fault)
}

/// Returns the changes for the web page. Messages are shortened.
pub(super) fn changes(changed: &[PlanInput], difference: Option<PlanDifference>) -> BroadcastChanges {
    let difference = difference.map(|difference| PlanDifference {
        first: difference.first.map(|first| {
            let (old, new) = texts::both(&first.old, &first.new);
            MessageChange { group_id: first.group_id, old, new }
        }),
        ..difference
    });
    BroadcastChanges { inputs: changed.iter().map(inputs::words).collect(), difference }
}

/// Settles the calls that were in flight for a paused broadcast: as this process knows their outcomes; those of a dead
/// process are in doubt. A broadcast that sends recipients in doubt again keeps those as they are, for the process that
/// resumes it.
pub(super) async fn settle_in_flight(
    ledger: &Ledger,
    lease: Lease,
    broadcast: &Broadcast,
) -> Result<(), LedgerError> {
    if broadcast.counts.sending == 0 {
        return Ok(());
    }
    ledger.write_kept_outcomes(lease).await?;
    if broadcast.spec.in_doubt != InDoubtPolicy::Resend {
        ledger.take_over_as(lease, InDoubtPolicy::Hold).await?;
    }
    Ok(())
}

/// Resumes a broadcast that was paused for changed inputs. A command that a person gave meanwhile stays in effect.
pub(super) async fn release(role: &mut LeasedBroadcast) -> Result<(), RequestFailure> {
    if role.broadcast.is_held_for_changes() {
        role.ledger.end_pause(role.broadcast.id, NOTE).await.map_err(fault)?;
    } else if role.broadcast.spec.changes.is_none() {
        return Ok(());
    }
    role.ledger.forget_changes(role.broadcast.id).await.map_err(fault)?;
    role.broadcast = role.ledger.show(role.broadcast.id).await.map_err(fault)?;
    Ok(())
}

/// Describes the differences in lines of text.
pub(super) fn lines(changed: &[PlanInput], difference: &PlanDifference, call: Call) -> Vec<String> {
    let noun = call.recipient();
    let names: Vec<String> = changed.iter().map(inputs::words).collect();
    let mut lines = vec![format!("changed: {}", names.join(", "))];
    for (many, first, what) in [
        (difference.added, &difference.first_added, "added"),
        (difference.removed, &difference.first_removed, "removed"),
    ] {
        if many > 0 {
            lines.push(format!("recipients {what}: {}", listed(many, first)));
        }
    }
    match &difference.first {
        Some(first) if first.old != first.new => {
            let (old, new) = texts::both(&first.old, &first.new);
            lines.push(format!("{noun} {} by the stored plan: {old}", first.group_id));
            lines.push(format!("{noun} {} by the new plan:    {new}", first.group_id));
        }
        Some(first) => {
            let (both, _) = texts::both(&first.old, &first.new);
            lines.push(format!("{noun} {}, both plans: {both}", first.group_id));
        }
        None => {}
    }
    lines
}

/// Formats a count and the first ids: `7 (1001, 1002, 1003, 1004, 1005, …)`.
pub(super) fn listed(many: u64, first: &[String]) -> String {
    let more = if many > first.len() as u64 { ", …" } else { "" };
    format!("{many} ({}{more})", first.join(", "))
}

/// Returns the refusal, with the differences and the ways to go on.
pub(super) fn refused(broadcast: &Broadcast, lines: &[String]) -> RequestFailure {
    let Broadcast { name, run, .. } = broadcast;
    let counts = &broadcast.counts;
    RequestFailure::invalid(
        "on_change",
        format!(
            "broadcast `{name}` (run {run}) was started from other inputs: {}. This call sent nothing; {} of {} \
             were sent before. Choose one: --continue sends the rest as stored; --replan sends the rest by the new plan, and nothing again to recipients that have it; another `run`, for example `run = \"2\"`, sends to all (in Lua: on_change = \"continue\" or \"replan\")",
            lines.join("; "),
            counts.sent,
            counts.total()
        ),
    )
}

/// Returns the note and the changes of a broadcast that is held before its recipients were compared.
pub(super) fn held(changed: &[PlanInput]) -> (String, BroadcastChanges) {
    let kept = changes(changed, None);
    (note(&[format!("changed: {}", kept.inputs.join(", "))]), kept)
}

/// Returns the note that the web page and `runs show` display.
pub fn note(lines: &[String]) -> String {
    format!(
        "{NOTE}: {}. Nothing of it is sent until an operator decides: continue sends the rest as stored, \
         replan sends the rest by the new inputs, and another `run` in its script starts from the beginning",
        lines.join("; ")
    )
}
