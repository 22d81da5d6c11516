//! What an answer means for the recipients of its call.

use std::time::Duration;

use crate::client::{CallError, FailureClass, SendReceipts};
use crate::clock::Clock;
use crate::ledger::{InDoubtPolicy, Recipient, RecipientOutcome, RecipientState};

use super::super::retry::Backoff;

/// The consequences of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CallVerdict {
    pub(super) outcomes: Vec<RecipientOutcome>,
    /// What the call does next.
    pub(super) next: NextAction,
}

/// What a call does after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextAction {
    End(CallResult),
    /// The call is tried again after this time; `None` after a throttled answer, where the quota sets the wait.
    Again(Option<Duration>),
}

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CallResult {
    /// All its recipients have the message.
    Delivered,
    /// At least one recipient does not have the message, for this reason.
    Failed(String),
    /// The service does not accept the app's credentials, so every other call would fail too.
    Locked(String),
    /// The call was given up before its request was sent.
    Untouched,
}

/// The retries of one call. Tries of which nothing was sent and tries that are in doubt are counted apart, so neither
/// uses up the tries of the other.
#[derive(Debug, Default)]
pub(super) struct RetryBackoffs {
    unsent: Backoff,
    doubtful: Backoff,
}

impl RetryBackoffs {
    /// No tries yet.
    pub(super) fn of(clock: &Clock) -> Self {
        Self { unsent: Backoff::of(clock), doubtful: Backoff::of(clock) }
    }
}

/// Decides what an answer means, by the class of its failure.
pub(super) fn judge(
    recipients: &[Recipient],
    policy: InDoubtPolicy,
    answer: Result<SendReceipts, CallError>,
    tries: &mut RetryBackoffs,
) -> CallVerdict {
    let failure = match answer {
        Ok(receipts) => return accepted(recipients, policy, &receipts, tries),
        Err(failure) => failure,
    };
    let why = failure.to_string();
    let all = |state| {
        recipients
            .iter()
            .map(|one| RecipientOutcome::failed(one.seq, state, why.as_str(), one.attempts + 1))
            .collect()
    };
    let ends =
        |state| CallVerdict { outcomes: all(state), next: NextAction::End(CallResult::Failed(why.clone())) };
    let packed = recipients.len() > 1;
    match failure.class {
        FailureClass::Throttled => {
            let outcomes = recipients
                .iter()
                .map(|one| {
                    RecipientOutcome::failed(one.seq, RecipientState::Pending, why.as_str(), one.attempts)
                })
                .collect();
            CallVerdict { outcomes, next: NextAction::Again(None) }
        }
        FailureClass::Auth => CallVerdict {
            outcomes: all(RecipientState::Pending),
            next: NextAction::End(CallResult::Locked(why)),
        },
        FailureClass::NothingSent | FailureClass::Repeat => match tries.unsent.next(failure.retry_after) {
            Some(wait) => {
                CallVerdict { outcomes: all(RecipientState::Pending), next: NextAction::Again(Some(wait)) }
            }
            None => ends(RecipientState::Pending),
        },
        FailureClass::Permanent if !packed => ends(RecipientState::Rejected),
        // Some groups of a refused batch may have the message (design). The answer does not say which.
        FailureClass::Permanent | FailureClass::InDoubt => match policy {
            InDoubtPolicy::Hold | InDoubtPolicy::Reconcile => ends(RecipientState::InDoubt),
            // Each recipient is sent to alone from now on, so that one group's refusal does not affect the others.
            InDoubtPolicy::Resend if packed => ends(RecipientState::Pending),
            InDoubtPolicy::Resend => match tries.doubtful.next(failure.retry_after) {
                Some(wait) => CallVerdict {
                    outcomes: all(RecipientState::Pending),
                    next: NextAction::Again(Some(wait)),
                },
                None => ends(RecipientState::InDoubt),
            },
        },
    }
}

/// Decides what a 200 means. A group without a message id is in doubt.
fn accepted(
    recipients: &[Recipient],
    policy: InDoubtPolicy,
    receipts: &SendReceipts,
    tries: &mut RetryBackoffs,
) -> CallVerdict {
    const LACKING: &str = "the service answered 200 without a message id for this group";
    let has = |one: &Recipient| receipts.data.iter().any(|(group, _)| *group == one.group_id);
    let lacking = !recipients.iter().all(has);
    let packed = recipients.len() > 1;
    let again = (lacking && policy == InDoubtPolicy::Resend).then(|| tries.doubtful.next(None)).flatten();
    let outcomes = recipients
        .iter()
        .map(|one| {
            let attempts = one.attempts + 1;
            let receipt = receipts.data.iter().find(|(group, _)| *group == one.group_id);
            if let Some((_, message)) = receipt {
                return RecipientOutcome::sent(one.seq, message, attempts);
            }
            let state = if again.is_some() { RecipientState::Pending } else { RecipientState::InDoubt };
            RecipientOutcome::failed(one.seq, state, LACKING, attempts)
        })
        .collect();
    let next = match again {
        // The missing recipients of a batch are sent to alone, in a later round.
        Some(wait) if !packed => NextAction::Again(Some(wait)),
        _ if lacking => NextAction::End(CallResult::Failed(LACKING.to_owned())),
        _ => NextAction::End(CallResult::Delivered),
    };
    CallVerdict { outcomes, next }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::client::CallName;

    fn failed(class: FailureClass) -> Result<SendReceipts, CallError> {
        Err(CallError {
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
            zone: None,
            seq: 1,
            group_id: "g".to_owned(),
            users: Vec::new(),
            target: None,
            message: Bytes::new(),
            message_number: 1,
            attempts: 0,
        }]
    }

    #[test]
    fn tries_of_which_nothing_was_sent_leave_those_in_doubt_alone() {
        let lacking = || Ok(SendReceipts { data: Vec::new() });
        for doubtful in [&|| failed(FailureClass::InDoubt), &lacking as &dyn Fn() -> _] {
            let mut tries = RetryBackoffs::default();
            let mut judged = |answer| judge(&one(), InDoubtPolicy::Resend, answer, &mut tries);
            for _ in 0..4 {
                assert!(matches!(judged(failed(FailureClass::NothingSent)).next, NextAction::Again(Some(_))));
            }
            for _ in 0..5 {
                let verdict = judged(doubtful());
                assert!(matches!(verdict.next, NextAction::Again(Some(_))), "{verdict:?}");
                assert_eq!(verdict.outcomes[0].state, RecipientState::Pending);
            }
            let last = judged(doubtful());
            assert!(matches!(last.next, NextAction::End(CallResult::Failed(_))));
            assert_eq!(last.outcomes[0].state, RecipientState::InDoubt);
        }
    }
}
