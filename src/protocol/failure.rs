//! A failure as a script sees it.

use serde::{Deserialize, Serialize};

/// What a script can tell failures apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureKind {
    /// The call is malformed or breaks a documented limit; nothing was sent.
    Invalid,
    /// The service refused it, and will again.
    Rejected,
    /// The service's quota refused it for longer than it was worth waiting.
    Throttled,
    /// The service does not accept the app's token or credentials.
    Auth,
    /// It may have been sent, or not.
    InDoubt,
    /// Nothing was sent: the service could not be reached.
    Unreachable,
    /// The permissions do not grant it.
    Denied,
    /// The run was interrupted, or the time given ran out, before anything was sent.
    Cancelled,
}

impl FailureKind {
    /// The word for it in Lua, logs and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Rejected => "rejected",
            Self::Throttled => "throttled",
            Self::Auth => "auth",
            Self::InDoubt => "in_doubt",
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the same call may work later, with nothing sent twice.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Unreachable | Self::Cancelled)
    }
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestFailure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// The field or argument at fault: `body.msg`, `to[2]`.
    pub field: Option<Box<str>>,
    /// The service's HTTP status.
    pub status: Option<u16>,
    /// The service's word for the error: `message_send_error`.
    pub code: Option<Box<str>>,
    /// What happened, which value, and what to do, in one line.
    pub message: String,
    /// The message ids of the groups that did get it: (group id, message id).
    pub receipts: Vec<(String, String)>,
    /// Every problem of a message, for `invalid` ones with several: (field, message).
    pub problems: Vec<(String, String)>,
}

impl RequestFailure {
    /// A failure of this kind with nothing but its message.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            field: None,
            status: None,
            code: None,
            message: message.into(),
            receipts: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// A malformed call.
    #[must_use]
    pub fn invalid(field: impl Into<Box<str>>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(FailureKind::Invalid, message) }
    }

    /// What the permissions do not grant.
    #[must_use]
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Denied, message)
    }
}
