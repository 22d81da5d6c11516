//! The limits that the service documents, each with its source. "Seed" is the vendor's page on group messages.

/// Groups that one group call may name (seed: "3 groups a call"; never raised).
pub const GROUPS_PER_CALL: usize = 3;

/// Groups that one targeted call may name. The seed's text says 1 and its error table 3; Mooncast uses 1.
pub const TARGETED_GROUPS: usize = 1;

/// Members that one targeted call may name (seed, `users`).
pub const USERS_PER_CALL: usize = 20;

/// Members that `roam_ignore_users` may name (seed, request body).
pub const ROAM_IGNORE_USERS: usize = 20;

/// Entries of a custom message's `customExts` (seed, custom message).
pub const CUSTOM_EXTS: usize = 16;

/// Characters of a custom message's `customEvent`, at least one (seed, custom message).
pub const CUSTOM_EVENT_CHARS: usize = 32;

/// Bytes of `body` and `ext` together, unless the app's settings give another limit (seed: 5 KB).
pub const MESSAGE_BYTES: usize = 5120;

/// The only value of `routetype` (seed, request body).
pub(super) const ROUTE_ONLINE: &str = "ROUTE_ONLINE";

/// The limits that the service can change for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// Bytes of `body` and `ext` together, as UTF-8 JSON as sent. Default [`MESSAGE_BYTES`].
    pub message_bytes: usize,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self { message_bytes: MESSAGE_BYTES }
    }
}
