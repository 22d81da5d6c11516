//! A failure as a script sees it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Receipts;

words! {
    /// The kinds of failure that a script can tell apart.
    FailureKind {
        /// The call is malformed or breaks a documented limit; nothing was sent.
        Invalid, "invalid";
        /// The service refused the call and would refuse it again.
        Rejected, "rejected";
        /// The service's quota refused the call for longer than the call may wait.
        Throttled, "throttled";
        /// The service does not accept the app's token or credentials.
        Auth, "auth";
        /// The message may have been sent or not.
        InDoubt, "in_doubt";
        /// Nothing was sent: the service could not be reached.
        Unreachable, "unreachable";
        /// The permissions do not grant the call.
        Denied, "denied";
        /// The run was interrupted or its time ran out before anything was sent.
        Cancelled, "cancelled";
    }
}

impl FailureKind {
    /// Whether the same call may succeed later without sending anything twice.
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Unreachable | Self::Cancelled)
    }
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestFailure {
    pub kind: FailureKind,
    /// The field or argument at fault: `body.msg`, `to[2]`.
    pub field: Option<Box<str>>,
    /// The service's HTTP status. None if the service did not answer.
    pub status: Option<u16>,
    /// The service's name for the error: `message_send_error`.
    pub code: Option<Box<str>>,
    /// What happened, the value at fault and what to do, in one line.
    pub message: String,
    /// The groups that got the message in spite of the failure: (group id, message id).
    pub receipts: Receipts,
    /// All problems of an `invalid` message that has several: (field, message).
    pub problems: Vec<(String, String)>,
}

impl RequestFailure {
    /// Returns a failure with only a kind and a message.
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

    /// Returns a failure for a malformed call.
    pub fn invalid(field: impl Into<Box<str>>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(FailureKind::Invalid, message) }
    }

    /// Returns a failure for a call that the permissions do not grant.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Denied, message)
    }
}

impl fmt::Display for RequestFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for RequestFailure {}
