//! The recipients of a broadcast.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::group_id;
use crate::control::verified_text;
use crate::core::utc;
use crate::core::{Call, RecipientState};
use crate::language::Reason;
use crate::ledger::ExportedRecipient;

/// What the latest verification showed of a message.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it is only the schema of `verified_text`'s names")]
enum VerifiedName {
    /// The service has a record of it.
    Yes,
    /// The complete history has none.
    Missing,
    /// Nothing is known yet.
    Unknown,
}

/// A recipient, as in `runs export`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecipientView {
    /// Its place in the plan.
    pub seq: i64,
    /// The group, user or room.
    pub recipient_id: String,
    /// The same as `recipient_id`, if it is a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// The members of a targeted message; empty for the whole group.
    pub users: Vec<String>,
    /// Its state.
    pub state: RecipientState,
    /// The service's id of the message, once it was sent.
    pub message_id: Option<String>,
    /// The number of attempts.
    pub attempts: u32,
    /// Why it was not sent, or why it is in doubt.
    pub error: Option<String>,
    /// The code and the parameters of the error, if Mooncast wrote it.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// When its state last changed; in doubt, when its latest request began.
    pub updated_at: String,
    /// What the latest verification showed of the message: `yes`, `missing` or `unknown`.
    #[schema(value_type = Option<VerifiedName>)]
    pub verified: Option<String>,
    /// The result of the recall, if one was requested.
    pub recalled: Option<bool>,
    /// The members that have read the message, by the service's read receipts.
    pub readers: u64,
}

impl RecipientView {
    /// A recipient of a broadcast that this call sends.
    pub fn of(exported: ExportedRecipient, call: Call) -> Self {
        Self {
            seq: exported.seq,
            group_id: group_id(call, &exported.group_id),
            recipient_id: exported.group_id,
            users: exported.users,
            state: exported.state,
            message_id: exported.message_id,
            attempts: exported.attempts,
            reason: exported.error.as_deref().and_then(Reason::of),
            error: exported.error,
            updated_at: utc(exported.updated_at),
            verified: verified_text(exported.verified).map(|(name, _)| name.to_owned()),
            recalled: exported.recalled,
            readers: exported.readers,
        }
    }
}
