//! Broadcasts: found or created, built, planned, driven by one at a time, watched and steered by any.

mod build;
mod changes;
mod desk;
mod difference;
mod draft;
mod drive;
mod entrust;
mod export;
mod fields;
mod find;
mod lease;
mod plan;
mod replan;
mod row;
mod shift;
mod spec;
mod standing;
mod status;
mod wishes;

pub use build::{NewMessage, NewRecipient};
pub use difference::{Changes, Difference, FirstText};
pub use drive::{Outcome, Recipient, TakenOver};
pub use export::{Exported, RecalledCounts, Receipt};
pub use fields::ExportPages;
pub use find::{Filter, Found};
pub use lease::Lease;
pub use plan::{Exclusion, Plan};
pub use replan::CHANGED;
pub use row::{Broadcast, Driver};
pub use spec::{Decision, InDoubt, Input, InputKind, JobMark, Priority, ScriptMark, Spec};
pub use standing::Standing;
pub use wishes::{Settlement, Wishes};

pub(super) use build::json;
pub(super) use desk::Desks;
pub(super) use drive::Shelf;
pub(super) use lease::holds;
pub(super) use shift::{Delta, apply, apply_text, bind_apply};

/// A broadcast's number, unique in its ledger and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BroadcastId(pub i64);

impl std::fmt::Display for BroadcastId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)
    }
}
