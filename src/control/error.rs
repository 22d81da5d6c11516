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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::core::RecipientState;
    use crate::language::{Language, Reason};
    use crate::ledger::{BroadcastId, LedgerError, StoreFault};

    #[test]
    fn every_error_of_the_store_has_a_code_and_is_said_in_each_language() {
        let path = PathBuf::from("/project/.mooncast/ledger.db");
        let detail = "Permission denied (os error 13)".to_owned();
        let faults = [
            StoreFault::Newer { path: path.clone(), found: 50, known: 43 },
            StoreFault::Corrupt { path: path.clone(), detail: detail.clone() },
            StoreFault::Corrupt { path: PathBuf::from("postgres://host/db"), detail: detail.clone() },
            StoreFault::ReadOnly { path: path.clone(), detail: detail.clone() },
            StoreFault::Gone { path: path.clone() },
            StoreFault::Full { path: path.clone() },
            StoreFault::Io { path: path.clone(), detail: detail.clone() },
            StoreFault::Locked { path: path.clone() },
            StoreFault::Denied { path: path.clone(), detail: detail.clone() },
            StoreFault::Unreadable { path: path.clone(), detail: detail.clone() },
            StoreFault::Untrusted { path: path.clone(), detail: detail.clone() },
            StoreFault::Away { path: path.clone(), detail: detail.clone() },
            StoreFault::Refused { path: path.clone(), detail: detail.clone() },
            StoreFault::Unhealthy(Box::new(StoreFault::Full { path: path.clone() }.into())),
            StoreFault::Closed,
        ];
        let broadcast = BroadcastId(7);
        let why = "nothing is left to send";
        let errors = [
            LedgerError::Reaped,
            LedgerError::LeaseLost(broadcast),
            LedgerError::Unknown(broadcast),
            LedgerError::NotNow { broadcast, is: "finished", why },
            LedgerError::NotNow { broadcast, is: "being cancelled", why: "that cannot be taken back" },
            LedgerError::NotIn { what: "broadcast 7".to_owned(), wanted: RecipientState::InDoubt, count: 2 },
            LedgerError::TooMany { total: 10, max: 9 },
            LedgerError::OtherPlan { total: 10, largest: 90 },
            LedgerError::Restored { path: path.clone(), taken_at: "2026-06-01T08:00:00Z".to_owned() },
            LedgerError::Record { path, detail },
        ];
        for error in faults.into_iter().map(LedgerError::from).chain(errors) {
            let text = error.to_string();
            let reason = Reason::of(&text).unwrap_or_else(|| panic!("no code for: {text}"));
            assert_eq!(reason.say(Language::English), text);
            let chinese = reason.say(Language::Chinese);
            for word in ["the ", " is ", "denied", "cannot", "nothing"] {
                assert!(!chinese.contains(word), "{chinese}");
            }
        }
    }
}
