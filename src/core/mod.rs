//! The types that several modules share: calls, priorities, options, states, receipts and errors.
//!
//! May import: no other module of this crate.

#[macro_use]
mod words;

mod broadcast;
mod call;
mod command;
mod failure;
mod job;
mod nearest;
mod options;
mod priority;
mod receipt;
mod recipient;
mod status;

pub use broadcast::BROADCAST_FIELDS;
pub use call::Call;
pub use command::{BroadcastCommand, JobCommand};
pub use failure::{FailureKind, RequestFailure};
pub use job::JobState;
pub(crate) use nearest::abbreviates;
pub use nearest::nearest;
pub use options::{SendOptions, UploadOptions};
pub use priority::Priority;
pub use receipt::Receipts;
pub use recipient::{DeliveryState, RecipientCounts};
pub use status::{BroadcastStage, BroadcastStatus};
