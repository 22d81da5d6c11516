//! Messages and the service's limits on them: pure, no I/O.
//!
//! [`check()`] turns the JSON of a script's message into a [`Message`] that can be sent, or into the list of all its
//! problems. No other function makes a [`Message`], so a message that breaks a documented limit cannot reach the
//! network. A broadcast's message has no `to`: [`check_draft`] returns a [`Draft`], and the broadcast addresses it to
//! each recipient. The worker and the `check` command also take from here the names of all fields and the meaning
//! of an empty table.

use crate::core::Call;

mod altered;
mod body;
mod check;
mod draft;
mod fields;
mod ids;
mod kind;
mod limits;
mod numbers;
mod problem;
mod sendable;
mod shown;
mod writer;

#[cfg(test)]
mod tests;

pub use altered::{IdKind, altered};
pub use body::{ImageSize, MessageBody, ShareSecret};
pub use check::{check, check_draft, check_stored, or_newer};
pub use draft::{DEFAULT_SENDER, Draft};
pub use fields::{TableShape, body_fields, fields, is_field, shape};
pub use ids::{FLOAT_AS_ID, id, id_text};
pub use kind::{MessageKind, types};
pub use limits::{
    CUSTOM_EVENT_CHARS, CUSTOM_EXTS, ExtraNames, GROUPS_PER_CALL, MessageLimits, RECIPIENT_USERS_PER_CALL,
    ROAM_IGNORE_USERS, ROOMS_PER_CALL, TARGETED_GROUPS, USERS_PER_CALL,
};
pub use numbers::exact_numbers;
pub use problem::{MessageProblem, MessageProblems};
pub use sendable::Message;
pub use shown::{counted, counted_as, is_invisible, quoted};

impl Call {
    /// Returns how many recipients one call may name in `to`: groups, users or rooms.
    pub const fn max_recipients(self) -> usize {
        match self {
            Self::Group => GROUPS_PER_CALL,
            Self::Targeted | Self::Edit => TARGETED_GROUPS,
            Self::User => RECIPIENT_USERS_PER_CALL,
            Self::Room => ROOMS_PER_CALL,
            Self::Announce => 1,
        }
    }

    /// Returns what the ids in `to` name. Rooms and groups have ids of the same form.
    pub const fn id_kind(self) -> IdKind {
        match self {
            Self::Group | Self::Targeted | Self::Edit | Self::Room => IdKind::Group,
            Self::User | Self::Announce => IdKind::User,
        }
    }

    /// Returns the noun for a message of this call in problems.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Group => "a group message",
            Self::Targeted => "a targeted message",
            Self::Edit => "an edit",
            Self::User => "a user message",
            Self::Room => "a room message",
            Self::Announce => "an announcement",
        }
    }
}
