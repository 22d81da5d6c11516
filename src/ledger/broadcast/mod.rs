//! Broadcasts. A process finds or creates one, builds its plan, and drives it under a lease: it sends the plan while it
//! holds the lease. Any process can read a broadcast and give commands.

mod approval;
mod build;
mod changes;
mod commands;
mod daemon_handover;
mod difference;
mod draft;
mod drive;
mod edits;
mod export;
mod fields;
mod find;
mod groups;
mod identity;
mod late_outcomes;
mod lease;
mod left_out;
mod message_dedup;
mod plan;
mod ramp;
mod readers;
mod recipient_message;
mod replan;
mod row;
mod shift;
mod spec;
mod status;
mod totals;
mod verified;

pub use approval::ApprovalResult;
pub use build::{NewMessage, NewRecipient};
pub use commands::{BY_ITSELF, DriverPause, NotedCommand, Settlement};
pub use difference::{BroadcastChanges, MessageChange, PlanDifference};
#[cfg(test)]
pub use drive::TakeoverCounts;
pub use drive::{Recipient, RecipientOutcome};
pub use edits::EDITS_A_MESSAGE;
pub use export::{ExportedRecipient, RecallableMessage, RecalledCounts};
pub use fields::ExportPages;
pub use find::{BroadcastFilter, BroadcastLookup};
pub use groups::PlannedGroup;
pub use lease::Lease;
pub use plan::{BroadcastPlan, Exclusion};
pub use ramp::RampTurn;
pub use readers::ReaderCounts;
pub use recipient_message::RecipientMessage;
pub use replan::CHANGED;
pub use row::Broadcast;
pub use spec::{CorrectedRun, InputKind, JobRunRef, OperatorDecision, PlanInput, ScriptRef, StoredSpec};
pub use verified::{VerifiedCounts, VerifiedState};

pub(super) use approval::{STAGE_TO_SEND, add_requester};
pub(super) use build::json;
pub(super) use drive::{MessageCache, PendingRow};
pub(super) use lease::{holds, next_lease};
pub(super) use left_out::{not_suppressed, skip};
pub(super) use message_dedup::DedupRegistry;
pub(super) use row::LeaseHolder;
pub(super) use shift::{CountsDelta, apply, apply_text, bind_apply, changed_at};

/// The number of a broadcast. It is unique in its ledger and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BroadcastId(pub i64);

impl std::fmt::Display for BroadcastId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)
    }
}
