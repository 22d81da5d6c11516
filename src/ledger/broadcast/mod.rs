//! Broadcasts: found or created, built, planned, driven by one at a time, watched and steered by any.

mod build;
mod changes;
mod message_dedup;
mod difference;
mod draft;
mod drive;
mod daemon_handover;
mod export;
mod fields;
mod find;
mod lease;
mod plan;
mod replan;
mod row;
mod shift;
mod spec;
mod totals;
mod status;
mod commands;

pub use build::{NewMessage, NewRecipient};
pub use difference::{BroadcastChanges, PlanDifference, MessageChange};
pub use drive::{RecipientOutcome, Recipient, TakeoverCounts};
pub use export::{ExportedRecipient, RecalledCounts, RecallableMessage};
pub use fields::ExportPages;
pub use find::{BroadcastFilter, BroadcastLookup};
pub use lease::Lease;
pub use plan::{Exclusion, BroadcastPlan};
pub use replan::CHANGED;
pub use row::{Broadcast, LeaseHolder};
pub use spec::{OperatorDecision, InDoubtPolicy, PlanInput, InputKind, JobRunRef, BroadcastPriority, ScriptRef, BroadcastSpec};
pub use totals::BroadcastTotals;
pub use commands::{Settlement, NotedCommand};

pub(super) use build::json;
pub(super) use message_dedup::DedupRegistry;
pub(super) use drive::MessageCache;
pub(super) use lease::holds;
pub(super) use shift::{CountsDelta, apply, apply_text, bind_apply};

/// A broadcast's number, unique in its ledger and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BroadcastId(pub i64);

impl std::fmt::Display for BroadcastId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)
    }
}
