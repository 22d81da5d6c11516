//! The limits that the service documents, each with its source. "The vendor's page" is the vendor's documentation of
//! group messages.

use super::is_field;

/// Groups that one group call may name (vendor's page: "3 groups a call"; never raised).
pub const GROUPS_PER_CALL: usize = 3;

/// Groups that one targeted call may name. The vendor's text says 1 and its error table 3; Mooncast uses 1.
pub const TARGETED_GROUPS: usize = 1;

/// Members that one targeted call may name (vendor's page, `users`).
pub const USERS_PER_CALL: usize = 20;

/// Users that one call to users may name (contract: 600).
pub const RECIPIENT_USERS_PER_CALL: usize = 600;

/// Rooms that one room call may name (contract: 10).
pub const ROOMS_PER_CALL: usize = 10;

/// Members that `roam_ignore_users` may name (vendor's page, request body).
pub const ROAM_IGNORE_USERS: usize = 20;

/// Entries of a custom message's `customExts` (vendor's page, custom message).
pub const CUSTOM_EXTS: usize = 16;

/// Characters of a custom message's `customEvent`, at least one (vendor's page, custom message).
pub const CUSTOM_EVENT_CHARS: usize = 32;

/// Bytes of `body` and `ext` together, unless the app's settings give another limit (vendor's page: 5 KB).
pub const MESSAGE_BYTES: usize = 5120;

/// The only value of `routetype` (vendor's page, request body).
pub(super) const ROUTE_ONLINE: &str = "ROUTE_ONLINE";

/// The values of `chatroom_msg_level` (contract).
pub(super) const ROOM_LEVELS: [&str; 3] = ["high", "normal", "low"];

/// The limits that the service can change for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageLimits {
    /// Bytes of `body` and `ext` together, as UTF-8 JSON as sent. Default [`MESSAGE_BYTES`].
    pub message_bytes: usize,
    /// The fields that are sent although the check does not know them. Default none.
    pub extra: ExtraNames,
}

/// The names of fields that are sent unchecked: fields of the service that are newer than this program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraNames {
    /// Fields beside `body`. The name of a field that some message has is without effect here.
    pub message: Vec<String>,
    /// Fields of `body`.
    pub body: Vec<String>,
}

impl ExtraNames {
    /// Whether a field of a message is sent unchecked.
    pub fn in_message(&self, name: &str) -> bool {
        !is_field(name) && self.message.iter().any(|extra| extra == name)
    }

    /// Whether a field of a `body` is sent unchecked.
    pub fn in_body(&self, name: &str) -> bool {
        self.body.iter().any(|extra| extra == name)
    }
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self { message_bytes: MESSAGE_BYTES, extra: ExtraNames::default() }
    }
}

/// The most bytes of a message's id, an own choice; the service's ids have 19 digits.
pub(super) const MESSAGE_ID_BYTES: usize = 64;
