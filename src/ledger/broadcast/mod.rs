//! Broadcasts. A process finds or creates one, builds its plan, and drives it under a lease; any process can read it
//! and give commands.

mod build;
mod changes;
mod commands;
mod daemon_handover;
mod difference;
mod draft;
mod drive;
mod export;
mod fields;
mod find;
mod lease;
mod message_dedup;
mod plan;
mod replan;
mod row;
mod shift;
mod spec;
mod status;
mod totals;

pub use build::{NewMessage, NewRecipient};
pub use commands::Settlement;
pub use difference::{BroadcastChanges, MessageChange, PlanDifference};
#[cfg(test)]
pub use drive::TakeoverCounts;
pub use drive::{Recipient, RecipientOutcome};
pub use export::{ExportedRecipient, RecallableMessage, RecalledCounts};
pub use fields::ExportPages;
pub use find::{BroadcastFilter, BroadcastLookup};
pub use lease::Lease;
pub use plan::{BroadcastPlan, Exclusion};
pub use replan::CHANGED;
pub use row::Broadcast;
pub use spec::{BroadcastSpec, InDoubtPolicy, InputKind, JobRunRef, OperatorDecision, PlanInput, ScriptRef};

pub(super) use build::json;
pub(super) use drive::{MessageCache, PendingRow};
pub(super) use lease::holds;
pub(super) use message_dedup::DedupRegistry;
pub(super) use row::LeaseHolder;
pub(super) use shift::{CountsDelta, apply, apply_text, bind_apply};

/// The number of a broadcast. It is unique in its ledger and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BroadcastId(pub i64);

impl std::fmt::Display for BroadcastId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)
    }
}
