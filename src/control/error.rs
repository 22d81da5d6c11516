//! Why a command is refused.

use crate::core::RequestFailure;
use crate::forms::ArgumentProblems;
use crate::ledger::LedgerError;

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nothing has this name or number.
    #[error("{0}")]
    NotFound(String),
    /// The current state does not allow it.
    #[error("{0}")]
    Refused(String),
    /// An argument is invalid.
    #[error("{0}")]
    Invalid(String),
    /// The arguments of a script do not fit its form.
    #[error("{0}")]
    Arguments(ArgumentProblems),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<RequestFailure> for ControlError {
    fn from(error: RequestFailure) -> Self {
        Self::Refused(error.to_string())
    }
}
