//! What an answer means for the recipients of its call.

use std::time::Duration;

use crate::client::{Class, Failure, Receipts};
use crate::clock::Clock;
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

/// How often a call is tried again, and how long it waits before: what is in doubt does not use up the tries of what
/// was never sent, nor the other way round.
#[derive(Debug, Default)]
pub(super) struct Tries {
    unsent: Backoff,
    doubtful: Backoff,
}

impl Tries {
    /// None so far.
    pub(super) fn of(clock: &Clock) -> Self {
        Self { unsent: Backoff::of(clock), doubtful: Backoff::of(clock) }
    }
}

/// Judges an answer by its class.
pub(super) fn judge(
    recipients: &[Recipient],
    policy: InDoubt,
    answer: Result<Receipts, Failure>,
    tries: &mut Tries,
) -> Verdict {
    let failure = match answer {
        Ok(receipts) => return accepted(recipients, policy, &receipts, tries),
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
        Class::NothingSent | Class::Repeat => match tries.unsent.next(failure.retry_after) {
            Some(wait) => Verdict { outcomes: all(State::Pending), next: Next::Again(Some(wait)) },
            None => ends(State::Pending),
        },
        Class::Permanent if !packed => ends(State::Rejected),
        // Some groups of a refused pack may have got it (design): which, nobody says.
        Class::Permanent | Class::InDoubt => match policy {
            InDoubt::Hold => ends(State::InDoubt),
            // Alone from now on, so that one group's refusal is not that of the others.
            InDoubt::Resend if packed => ends(State::Pending),
            InDoubt::Resend => match tries.doubtful.next(failure.retry_after) {
                Some(wait) => Verdict { outcomes: all(State::Pending), next: Next::Again(Some(wait)) },
                None => ends(State::InDoubt),
            },
        },
    }
}

/// A 200 that lacks a group leaves that group in doubt.
fn accepted(recipients: &[Recipient], policy: InDoubt, receipts: &Receipts, tries: &mut Tries) -> Verdict {
    const LACKING: &str = "the service answered 200 without a message id for this group";
    let has = |one: &Recipient| receipts.data.iter().any(|(group, _)| *group == one.group_id);
    let lacking = !recipients.iter().all(has);
    let packed = recipients.len() > 1;
    let again = (lacking && policy == InDoubt::Resend).then(|| tries.doubtful.next(None)).flatten();
    let outcomes = recipients
        .iter()
        .map(|one| {
            let attempts = one.attempts + 1;
            let receipt = receipts.data.iter().find(|(group, _)| *group == one.group_id);
            if let Some((_, message)) = receipt {
                return Outcome::sent(one.seq, message, attempts);
            }
            let state = if again.is_some() { State::Pending } else { State::InDoubt };
            Outcome::failed(one.seq, state, LACKING, attempts)
        })
        .collect();
    let next = match again {
        // Those of a pack that lack are sent to alone.
        Some(wait) if !packed => Next::Again(Some(wait)),
        _ if lacking => Next::End(Fate::Failed(LACKING.to_owned())),
        _ => Next::End(Fate::Delivered),
    };
    Verdict { outcomes, next }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::client::CallName;

    fn failed(class: Class) -> Result<Receipts, Failure> {
        Err(Failure {
            class,
            call: CallName { method: "POST", path: "/messages/chatgroups" },
            status: None,
            error: None,
            code: None,
            description: None,
            retry_after: None,
            detail: "".into(),
        })
    }

    fn one() -> Vec<Recipient> {
        vec![Recipient {
            seq: 1,
            group_id: "g".to_owned(),
            users: Vec::new(),
            message: Bytes::new(),
            message_number: 1,
            attempts: 0,
        }]
    }

    #[test]
    fn tries_of_which_nothing_was_sent_leave_those_in_doubt_alone() {
        let lacking = || Ok(Receipts { data: Vec::new() });
        for doubtful in [&|| failed(Class::InDoubt), &lacking as &dyn Fn() -> _] {
            let mut tries = Tries::default();
            let mut judged = |answer| judge(&one(), InDoubt::Resend, answer, &mut tries);
            for _ in 0..4 {
                assert!(matches!(judged(failed(Class::NothingSent)).next, Next::Again(Some(_))));
            }
            for _ in 0..5 {
                let verdict = judged(doubtful());
                assert!(matches!(verdict.next, Next::Again(Some(_))), "{verdict:?}");
                assert_eq!(verdict.outcomes[0].state, State::Pending);
            }
            let last = judged(doubtful());
            assert!(matches!(last.next, Next::End(Fate::Failed(_))));
            assert_eq!(last.outcomes[0].state, State::InDoubt);
        }
    }
}
