//! The types that several modules share: calls, priorities, options, states, receipts and errors.
//!
//! May import: no other module of this crate.

#[macro_use]
mod words;

mod actor;
mod app_token;
mod approval;
mod broadcast;
mod call;
mod cap;
mod command;
mod command_line;
mod duration;
mod failure;
mod group_findings;
mod hash;
mod history_result;
mod history_zone;
mod instant;
mod job;
mod nearest;
mod options;
mod output;
mod priority;
mod ramp;
mod receipt;
mod recipient;
mod rest;
mod run_request;
mod status;
mod stop_if;
mod suppression;
mod token_role;
mod visible;
mod whole_number;
mod window;

pub use actor::{Act, Actor, ActorKind, Door, host_name};
pub use app_token::{StoredToken, TokenTurn};
pub use approval::{AskedApproval, Person};
pub use broadcast::{BROADCAST_FIELDS, BroadcastSpec, CorrectedBroadcast, InDoubtPolicy, OnChange};
pub use call::{Call, UserScope};
pub use cap::MessageCap;
pub use command::{BroadcastCommand, JobCommand};
pub use command_line::CommandLineStart;
pub use duration::parse_duration;
pub use failure::{FailureKind, RequestFailure};
pub use group_findings::{GroupFindings, ListedTargets};
pub use hash::sha256_hex;
pub use history_result::HistoryResult;
pub use history_zone::HistoryZone;
pub use instant::{unix_time, utc};
pub use job::{EVENT_HEAD, JobState};
pub(crate) use nearest::abbreviates;
pub use nearest::{nearest, unknown_name};
pub use options::{SendOptions, UploadOptions};
pub use output::{OutputLine, OutputStream};
pub use priority::Priority;
pub use ramp::Ramp;
pub use receipt::Receipts;
pub use recipient::{RecipientCounts, RecipientState};
pub use rest::{RestGrant, RestMethod, RestPath, RestQuota};
pub use run_request::RunRequest;
pub use status::{BroadcastStage, BroadcastStatus};
pub use stop_if::{StopCounts, StopIf};
pub use suppression::{SuppressedKind, user_key};
pub use token_role::TokenRole;
pub use visible::{is_format_character, one_line, visible};
pub use whole_number::WholeNumber;
pub use window::{SendWindow, WindowCalendar, WindowZone, ZoneColumn};
