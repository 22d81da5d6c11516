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
pub use check::{check, check_draft, check_stored};
pub use draft::Draft;
pub use fields::{TableShape, body_fields, fields, shape};
pub use ids::{id, id_text};
pub use kind::{MessageKind, types};
pub use limits::{
    CUSTOM_EVENT_CHARS, CUSTOM_EXTS, GROUPS_PER_CALL, MessageLimits, ROAM_IGNORE_USERS, TARGETED_GROUPS,
    USERS_PER_CALL,
};
pub use numbers::exact_numbers;
pub use problem::{MessageProblem, MessageProblems};
pub use sendable::Message;
pub use shown::{counted, counted_as, is_invisible, quoted};

impl Call {
    /// Returns how many groups one call may name.
    pub const fn max_groups(self) -> usize {
        match self {
            Self::Group => GROUPS_PER_CALL,
            Self::Targeted => TARGETED_GROUPS,
        }
    }

    /// Returns the noun for a message of this call in problems.
    const fn noun(self) -> &'static str {
        match self {
            Self::Group => "a group message",
            Self::Targeted => "a targeted message",
        }
    }
}
