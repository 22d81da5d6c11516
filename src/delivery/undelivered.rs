//! Why a message, a file or a question did not get through.

use std::fmt;

use crate::client::{CallError, FailureClass};
use crate::message::MessageProblems;

/// Why something did not get through.
#[derive(Debug)]
pub struct DeliveryError {
    /// What it means for whoever asked.
    pub reason: DeliveryErrorKind,
    /// The service's status, where it answered.
    pub status: Option<u16>,
    /// The service's word for the error.
    pub code: Option<String>,
    /// What happened and what to do, in one line.
    pub message: String,
    /// The receipts of the groups that did get it.
    pub receipts: Vec<(String, String)>,
}

/// What a failure means.
#[derive(Debug)]
pub enum DeliveryErrorKind {
    /// It breaks documented limits; nothing was sent.
    Invalid(MessageProblems),
    /// It cannot be used: a file over the limit, a folder in a file's place.
    Unusable,
    /// Its `once` key stands for another message.
    Taken,
    /// The ledger cannot be opened; nothing was sent.
    NoLedger,
    /// The ledger cannot be written just now; nothing was sent.
    Unrecorded,
    /// The service refused it for good.
    Rejected,
    /// The service's quota refused it for too long.
    Throttled,
    /// The service does not accept the app's token or credentials.
    Auth,
    /// It may have got through, or not.
    InDoubt,
    /// Nothing was sent.
    Unreachable,
    /// Given up before anything was sent.
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

    /// The time given ran out after a try that failed.
    pub(super) fn overdue_after(failure: CallError) -> Self {
        let message = format!("{failure}; its `timeout` passed before another try");
        Self {
            status: failure.status,
            code: failure.error.map(Into::into),
            ..Self::new(DeliveryErrorKind::Cancelled, message)
        }
    }

    /// What the client's last failure means when nothing more is tried.
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
