//! The failures of messages, uploads and reads.

use crate::client::{CallError, FailureClass};
use crate::core::{FailureKind, RequestFailure};
use crate::message::MessageProblems;

impl RequestFailure {
    pub(super) fn cancelled(what: &str) -> Self {
        Self::new(FailureKind::Cancelled, format!("{what} was cancelled before anything was sent"))
    }

    pub(super) fn overdue() -> Self {
        let message =
            "its `timeout` passed while it waited, before anything was sent; give it longer or send less";
        Self::new(FailureKind::Cancelled, message)
    }

    /// The error when the given time ran out after a failed try.
    pub(super) fn overdue_after(failure: CallError) -> Self {
        let message = format!("{failure}; its `timeout` passed before another try");
        Self { status: failure.status, code: failure.error, ..Self::new(FailureKind::Cancelled, message) }
    }

    /// The meaning of the client's last failure, when nothing more is tried.
    pub(super) fn from_failure(failure: CallError) -> Self {
        let (kind, advice) = match failure.class {
            FailureClass::Permanent => (FailureKind::Rejected, "the same call would be refused again"),
            FailureClass::Auth => (FailureKind::Auth, "check the app's credentials with `mooncast doctor`"),
            FailureClass::Throttled => (
                FailureKind::Throttled,
                "other programs use up the app's quota; lower `share`, or send later",
            ),
            FailureClass::InDoubt => (FailureKind::InDoubt, "check before you send it again"),
            FailureClass::NothingSent | FailureClass::Repeat => (FailureKind::Unreachable, "try again later"),
        };
        let message = format!("{failure}; {advice}");
        Self { status: failure.status, code: failure.error, ..Self::new(kind, message) }
    }
}

impl From<MessageProblems> for RequestFailure {
    fn from(problems: MessageProblems) -> Self {
        let message = problems.to_string();
        let problems: Vec<_> =
            problems.iter().map(|problem| (problem.field.clone(), problem.message.clone())).collect();
        Self {
            field: problems.first().map(|(field, _)| field.as_str().into()),
            problems,
            ..Self::new(FailureKind::Invalid, message)
        }
    }
}
