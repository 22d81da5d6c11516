//! A reservation: the recipients of a call that is about to be made, under a cap.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::AppId;
use crate::core::MessageCap;

/// The cap of a broadcast.
#[derive(Debug, Clone)]
pub struct CapRule {
    pub app: AppId,
    pub cap: MessageCap,
    /// The time within which messages count.
    pub within: Duration,
}

/// The recipients of a reservation that were not reserved. If there are none, all of them may be sent to now. Otherwise
/// none of the others was reserved either.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unreserved {
    /// Those that are at their cap. They are skipped.
    pub skipped: Vec<i64>,
    /// Those that are at their cap unless a message in flight turns out not to be sent. They stay pending.
    pub undecided: Vec<i64>,
}

/// The recipients of a call that is about to be made, under a cap.
#[derive(Debug, Clone)]
pub(super) struct Reservation {
    pub(super) seqs: Vec<i64>,
    pub(super) rule: Arc<CapRule>,
    answer: Arc<Mutex<Unreserved>>,
}

impl Reservation {
    pub(super) fn new(seqs: Vec<i64>, rule: &Arc<CapRule>) -> Self {
        Self { seqs, rule: Arc::clone(rule), answer: Arc::default() }
    }

    /// Returns what the last commit decided.
    pub(super) fn answer(&self) -> Unreserved {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn decided(&self, unreserved: Unreserved) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = unreserved;
    }
}
