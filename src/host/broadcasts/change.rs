//! An unfinished broadcast whose inputs changed: refused, continued as it is stored, or planned anew.

use serde::Deserialize;

use crate::ledger::{
    Broadcast, BroadcastChanges, BroadcastCommand, InDoubtPolicy, Lease, Ledger, LedgerError, MessageChange,
    PlanDifference, PlanInput,
};
use crate::protocol::RequestFailure;

use super::drive::LeasedBroadcast;
use super::{fault, inputs, texts};

/// What begins the note of a broadcast that is paused because its inputs changed.
pub(super) const NOTE: &str = crate::ledger::CHANGED;

/// What becomes of an unfinished broadcast whose inputs changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// Nothing is sent, and what differs is shown.
    #[default]
    Refuse,
    /// It goes on with the recipients and messages of its stored plan.
    Continue,
    /// A new plan takes the place of what is left of the stored one.
    Replan,
}

/// The stored plan that a draft is built beside.
pub(super) struct StoredPlan {
    /// The right to the broadcast itself.
    pub(super) role: LeasedBroadcast,
    /// What is known to have changed.
    pub(super) changed: Vec<PlanInput>,
    /// Whether the script or a module is not what this run began with, so that it cannot make the new plan.
    pub(super) old_code: bool,
    pub(super) on_change: OnChange,
}

/// Holds a broadcast back while its inputs are not what they were. A pause that a person asked for stays as it is.
pub(super) async fn hold(
    role: &LeasedBroadcast,
    note: &str,
    changes: BroadcastChanges,
) -> Result<(), RequestFailure> {
    role.ledger.hold_for_changes(role.broadcast.id, note, changes).await.map_err(fault)
}

/// What changed, for the page: messages are cut short.
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

/// Settles what a process that is gone had in flight, where its broadcast is held back: whether it arrived is not known. One
/// that sends those in doubt again keeps them as they are, for whoever goes on with it.
pub(super) async fn settle_in_flight(
    ledger: &Ledger,
    lease: Lease,
    broadcast: &Broadcast,
) -> Result<(), LedgerError> {
    if broadcast.counts.sending > 0 && broadcast.spec.in_doubt == InDoubtPolicy::Hold {
        ledger.take_over_as(lease, InDoubtPolicy::Hold).await?;
    }
    Ok(())
}

/// Lets a broadcast go on that was held back for this reason.
pub(super) async fn release(role: &mut LeasedBroadcast) -> Result<(), RequestFailure> {
    if role.broadcast.is_held_for_changes() {
        role.ledger.request_command(role.broadcast.id, BroadcastCommand::Run, None).await.map_err(fault)?;
    } else if role.broadcast.spec.changes.is_none() {
        return Ok(());
    }
    role.ledger.forget_changes(role.broadcast.id).await.map_err(fault)?;
    role.broadcast = role.ledger.show(role.broadcast.id).await.map_err(fault)?;
    Ok(())
}

/// What differs, in lines of text.
pub(super) fn lines(changed: &[PlanInput], difference: &PlanDifference) -> Vec<String> {
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
            lines.push(format!("group {} by the stored plan: {old}", first.group_id));
            lines.push(format!("group {} by the new plan:    {new}", first.group_id));
        }
        Some(first) => {
            let (both, _) = texts::both(&first.old, &first.new);
            lines.push(format!("group {}, both plans: {both}", first.group_id));
        }
        None => {}
    }
    lines
}

/// How many there are, and the first of them: `7 (1001, 1002, 1003, 1004, 1005, …)`.
pub(super) fn listed(many: u64, first: &[String]) -> String {
    let more = if many > first.len() as u64 { ", …" } else { "" };
    format!("{many} ({}{more})", first.join(", "))
}

/// The refusal, with what differs and the ways on.
pub(super) fn refused(broadcast: &Broadcast, lines: &[String]) -> RequestFailure {
    let Broadcast { name, run, .. } = broadcast;
    let counts = &broadcast.counts;
    RequestFailure::invalid(
        "on_change",
        format!(
            "broadcast `{name}` (run {run}) was begun from other inputs, and nothing more was sent ({} of {} were sent before); {}. Ways on: --continue sends the rest as it is stored; --replan sends the rest by the new plan, and nothing again to those who have it; or give it another `run` (in Lua: on_change = \"continue\" or \"replan\")",
            counts.sent,
            counts.total(),
            lines.join("; ")
        ),
    )
}

/// The note that the page and `runs show` have.
#[must_use]
pub fn note(lines: &[String]) -> String {
    format!(
        "{NOTE}: {}. Nothing of it is sent until an operator decides: continue sends the rest as it is stored, replan sends the rest by the new inputs, and another `run` of its script begins anew",
        lines.join("; ")
    )
}
