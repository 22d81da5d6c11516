//! What can be on the suppression list.

use std::borrow::Cow;

use super::Call;

words! {
    /// What an entry of the suppression list is.
    #[derive(Default, utoipa::ToSchema)]
    #[schema(rename_all = "snake_case")]
    SuppressedKind {
        #[default]
        Group, "group";
        User, "user";
        Room, "room";
    }
}

/// The id of a user in lower case. The service takes ids of users in any case, so two that differ only in case are one
/// user.
pub fn user_key(id: &str) -> Cow<'_, str> {
    if id.bytes().any(|byte| byte.is_ascii_uppercase()) { id.to_ascii_lowercase().into() } else { id.into() }
}

impl SuppressedKind {
    /// An id as the list has it: ids of users in lower case.
    pub fn spelled(self, id: &str) -> Cow<'_, str> {
        if self == Self::User { user_key(id) } else { id.into() }
    }

    /// Returns what the recipients of this call are. None for a call that the list does not apply to.
    pub const fn of(call: Call) -> Option<Self> {
        match call {
            Call::Group | Call::Targeted => Some(Self::Group),
            Call::User => Some(Self::User),
            Call::Room => Some(Self::Room),
            Call::Edit | Call::Announce => None,
        }
    }

    /// Returns the call that sends to it, for what its ids are.
    pub const fn call(self) -> Call {
        match self {
            Self::Group => Call::Group,
            Self::User => Call::User,
            Self::Room => Call::Room,
        }
    }
}
