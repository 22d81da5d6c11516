//! Why a message, an upload or a read failed.

use std::fmt;

use crate::client::{CallError, FailureClass};
use crate::message::MessageProblems;

/// The error of a message, an upload or a read.
#[derive(Debug)]
pub struct DeliveryError {
    /// The meaning of the error for the caller.
    pub reason: DeliveryErrorKind,
    /// The service's HTTP status; `None` if it did not answer.
    pub status: Option<u16>,
    pub code: Option<String>,
    /// What happened and what to do, in one line.
    pub message: String,
    /// The receipts of the groups that have the message.
    pub receipts: Vec<(String, String)>,
}

/// What a failure means.
#[derive(Debug)]
pub enum DeliveryErrorKind {
    /// The message breaks documented limits. Nothing was sent.
    Invalid(MessageProblems),
    /// The file cannot be used: it is over the limit, or a folder.
    Unusable,
    /// The `once` key was used for another message.
    Taken,
    /// The ledger cannot be opened. Nothing was sent.
    NoLedger,
    /// The ledger cannot be written now. Nothing was sent.
    Unrecorded,
    Rejected,
    /// The service's quota refused it for too long.
    Throttled,
    /// The service does not accept the app's token or credentials.
    Auth,
    /// It may or may not have got through.
    InDoubt,
    /// The service could not be reached. Nothing was sent.
    Unreachable,
    /// It was cancelled before anything was sent.
    Cancelled,
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DeliveryError {}

impl DeliveryError {
    pub(super) fn new(reason: DeliveryErrorKind, message: impl Into<String>) -> Self {
        Self { reason, status: None, code: None, message: message.into(), receipts: Vec::new() }
    }

    pub(super) fn cancelled(what: &str) -> Self {
        Self::new(DeliveryErrorKind::Cancelled, format!("{what} was given up before anything was sent"))
    }

    pub(super) fn overdue() -> Self {
        let message =
            "its `timeout` passed while it waited, before anything was sent; give it longer or send less";
        Self::new(DeliveryErrorKind::Cancelled, message)
    }

    /// The error when the given time ran out after a failed try.
    pub(super) fn overdue_after(failure: CallError) -> Self {
        let message = format!("{failure}; its `timeout` passed before another try");
        Self {
            status: failure.status,
            code: failure.error.map(Into::into),
            ..Self::new(DeliveryErrorKind::Cancelled, message)
        }
    }

    /// The meaning of the client's last failure, when nothing more is tried.
    pub(super) fn from_failure(failure: CallError) -> Self {
        let (reason, advice) = match failure.class {
            FailureClass::Permanent => (DeliveryErrorKind::Rejected, "the same call would be refused again"),
            FailureClass::Auth => {
                (DeliveryErrorKind::Auth, "check the app's credentials with `mooncast doctor`")
            }
            FailureClass::Throttled => (
                DeliveryErrorKind::Throttled,
                "the app's quota is used up by others; lower `share`, or send later",
            ),
            FailureClass::InDoubt => (DeliveryErrorKind::InDoubt, "look before sending it again"),
            FailureClass::NothingSent | FailureClass::Repeat => {
                (DeliveryErrorKind::Unreachable, "try again later")
            }
        };
        Self {
            message: format!("{failure}; {advice}"),
            reason,
            status: failure.status,
            code: failure.error.map(Into::into),
            receipts: Vec::new(),
        }
    }
}

impl From<MessageProblems> for DeliveryError {
    fn from(problems: MessageProblems) -> Self {
        let message = problems.to_string();
        Self::new(DeliveryErrorKind::Invalid(problems), message)
    }
}
