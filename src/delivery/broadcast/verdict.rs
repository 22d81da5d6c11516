//! What an answer means for the recipients of its call.

use std::time::Duration;

use crate::client::{CallError, FailureClass, SendReceipts};
use crate::clock::Clock;
use crate::ledger::{DeliveryState, InDoubtPolicy, Recipient, RecipientOutcome};

use super::super::retry::Backoff;

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CallVerdict {
    /// For each recipient.
    pub(super) outcomes: Vec<RecipientOutcome>,
    /// For the call.
    pub(super) next: NextAction,
}

/// What comes after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextAction {
    /// The call has come to its end.
    End(CallResult),
    /// It is tried again after this time; that was a throttled answer where it is nothing.
    Again(Option<Duration>),
}

/// How a call came to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CallResult {
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
pub(super) struct RetryBackoffs {
    unsent: Backoff,
    doubtful: Backoff,
}

impl RetryBackoffs {
    /// None so far.
    pub(super) fn of(clock: &Clock) -> Self {
        Self { unsent: Backoff::of(clock), doubtful: Backoff::of(clock) }
    }
}

/// Judges an answer by its class.
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
                    RecipientOutcome::failed(one.seq, DeliveryState::Pending, why.as_str(), one.attempts)
                })
                .collect();
            CallVerdict { outcomes, next: NextAction::Again(None) }
        }
        FailureClass::Auth => CallVerdict {
            outcomes: all(DeliveryState::Pending),
            next: NextAction::End(CallResult::Locked(why)),
        },
        FailureClass::NothingSent | FailureClass::Repeat => match tries.unsent.next(failure.retry_after) {
            Some(wait) => {
                CallVerdict { outcomes: all(DeliveryState::Pending), next: NextAction::Again(Some(wait)) }
            }
            None => ends(DeliveryState::Pending),
        },
        FailureClass::Permanent if !packed => ends(DeliveryState::Rejected),
        // Some groups of a refused pack may have got it (design): which, nobody says.
        FailureClass::Permanent | FailureClass::InDoubt => match policy {
            InDoubtPolicy::Hold => ends(DeliveryState::InDoubt),
            // Alone from now on, so that one group's refusal is not that of the others.
            InDoubtPolicy::Resend if packed => ends(DeliveryState::Pending),
            InDoubtPolicy::Resend => match tries.doubtful.next(failure.retry_after) {
                Some(wait) => {
                    CallVerdict { outcomes: all(DeliveryState::Pending), next: NextAction::Again(Some(wait)) }
                }
                None => ends(DeliveryState::InDoubt),
            },
        },
    }
}

/// A 200 that lacks a group leaves that group in doubt.
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
            let state = if again.is_some() { DeliveryState::Pending } else { DeliveryState::InDoubt };
            RecipientOutcome::failed(one.seq, state, LACKING, attempts)
        })
        .collect();
    let next = match again {
        // Those of a pack that lack are sent to alone.
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
                assert_eq!(verdict.outcomes[0].state, DeliveryState::Pending);
            }
            let last = judged(doubtful());
            assert!(matches!(last.next, NextAction::End(CallResult::Failed(_))));
            assert_eq!(last.outcomes[0].state, DeliveryState::InDoubt);
        }
    }
}
