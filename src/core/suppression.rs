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

impl SuppressedKind {
    /// An id as the list has it. The service takes ids of users in any case, so the list has them in lower case.
    pub fn spelled(self, id: &str) -> Cow<'_, str> {
        if self == Self::User && id.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return id.to_ascii_lowercase().into();
        }
        id.into()
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
