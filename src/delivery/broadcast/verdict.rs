//! What an answer means for the recipients of its call.

use std::time::Duration;

use crate::client::{Class, Failure, Receipts};
use crate::ledger::{InDoubt, Outcome, Recipient, State};

use super::super::retry::Backoff;

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// For each recipient.
    pub(super) outcomes: Vec<Outcome>,
    /// For the call.
    pub(super) next: Next,
}

/// What comes after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The call has come to its end.
    End(Fate),
    /// It is tried again after this time; that was a throttled answer where it is nothing.
    Again(Option<Duration>),
}

/// How a call came to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// All its recipients have the message.
    Delivered,
    /// At least one has not, and this is why.
    Failed(String),
    /// The service does not take the app's credentials: no other call will do better.
    Locked(String),
    /// It was given up before it began.
    Untouched,
}

/// Judges an answer by its class.
pub(super) fn judge(
    recipients: &[Recipient],
    policy: InDoubt,
    answer: Result<Receipts, Failure>,
    backoff: &mut Backoff,
) -> Verdict {
    let failure = match answer {
        Ok(receipts) => return accepted(recipients, policy, &receipts),
        Err(failure) => failure,
    };
    let why = failure.to_string();
    let all = |state| {
        recipients.iter().map(|one| Outcome::failed(one.seq, state, why.as_str(), one.attempts + 1)).collect()
    };
    let ends = |state| Verdict { outcomes: all(state), next: Next::End(Fate::Failed(why.clone())) };
    let packed = recipients.len() > 1;
    match failure.class {
        Class::Throttled => {
            let outcomes = recipients
                .iter()
                .map(|one| Outcome::failed(one.seq, State::Pending, why.as_str(), one.attempts))
                .collect();
            Verdict { outcomes, next: Next::Again(None) }
        }
        Class::Auth => Verdict { outcomes: all(State::Pending), next: Next::End(Fate::Locked(why)) },
        Class::NothingSent | Class::Repeat => match backoff.next(failure.retry_after) {
            Some(wait) => Verdict { outcomes: all(State::Pending), next: Next::Again(Some(wait)) },
            None => ends(State::Pending),
        },
        Class::Permanent if !packed => ends(State::Rejected),
        // Some groups of a refused pack may have got it (design): which, nobody says.
        Class::Permanent | Class::InDoubt => match policy {
            InDoubt::Hold => ends(State::InDoubt),
            // Alone from now on, so that one group's refusal is not that of the others.
            InDoubt::Resend if packed => ends(State::Pending),
            InDoubt::Resend => match backoff.next(failure.retry_after) {
                Some(wait) => Verdict { outcomes: all(State::Pending), next: Next::Again(Some(wait)) },
                None => ends(State::InDoubt),
            },
        },
    }
}

/// A 200 that lacks a group leaves that group in doubt.
fn accepted(recipients: &[Recipient], policy: InDoubt, receipts: &Receipts) -> Verdict {
    const LACKING: &str = "the service answered 200 without a message id for this group";
    let mut lacking = false;
    let outcomes = recipients
        .iter()
        .map(|one| {
            let attempts = one.attempts + 1;
            let receipt = receipts.data.iter().find(|(group, _)| *group == one.group_id);
            if let Some((_, message)) = receipt {
                return Outcome::sent(one.seq, message, attempts);
            }
            lacking = true;
            let again = policy == InDoubt::Resend && attempts < super::super::retry::TRIES;
            let state = if again { State::Pending } else { State::InDoubt };
            Outcome::failed(one.seq, state, LACKING, attempts)
        })
        .collect();
    let fate = if lacking { Fate::Failed(LACKING.to_owned()) } else { Fate::Delivered };
    Verdict { outcomes, next: Next::End(fate) }
}
