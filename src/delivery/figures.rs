//! Metrics of the delivery. The handles are created once, so counting only adds to a number.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, describe_counter, describe_histogram, histogram};

use crate::client::{CallError, FailureClass};
use crate::core::Call;
use crate::ledger::RecipientState;
use crate::quota::{Quota, Quotas};

/// What a request is, as the metrics name it.
#[derive(Debug, Clone, Copy)]
pub(super) enum QuotaKind {
    Group,
    Targeted,
    Upload,
    Read,
    Edit,
    User,
    Room,
    /// Calls of `im.request`.
    Request,
    Announce,
}

impl QuotaKind {
    const ALL: [Self; 9] = [
        Self::Group,
        Self::Targeted,
        Self::Upload,
        Self::Read,
        Self::Edit,
        Self::User,
        Self::Room,
        Self::Request,
        Self::Announce,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Targeted => "targeted",
            Self::Upload => "upload",
            Self::Read => "read",
            Self::Edit => "edit",
            Self::User => "user",
            Self::Room => "room",
            Self::Request => "request",
            Self::Announce => "announce",
        }
    }
}

impl From<Call> for QuotaKind {
    fn from(call: Call) -> Self {
        match call {
            Call::Group => Self::Group,
            Call::Targeted => Self::Targeted,
            Call::Edit => Self::Edit,
            Call::User => Self::User,
            Call::Room => Self::Room,
            Call::Announce => Self::Announce,
        }
    }
}

/// The classes of answers, as the metrics name them.
const CLASSES: [&str; 7] =
    ["accepted", "permanent", "auth", "throttled", "in_doubt", "nothing_sent", "repeat"];

pub(super) const fn class_of(failure: Option<&CallError>) -> &'static str {
    let Some(failure) = failure else { return "accepted" };
    match failure.class {
        FailureClass::Permanent => "permanent",
        FailureClass::Auth => "auth",
        FailureClass::Throttled => "throttled",
        FailureClass::InDoubt => "in_doubt",
        FailureClass::NothingSent => "nothing_sent",
        FailureClass::Repeat => "repeat",
    }
}

/// The outcomes of messages, as the metrics name them.
const OUTCOMES: [&str; 3] = ["sent", "rejected", "in_doubt"];

#[derive(Debug)]
pub(super) struct AppMetrics {
    /// By call and outcome, in the order of [`Call::ALL`].
    messages: [[Counter; 3]; Call::ALL.len()],
    /// By quota and class.
    requests: [[Counter; 7]; QuotaKind::ALL.len()],
    round_trips: [Histogram; QuotaKind::ALL.len()],
    waits: Vec<(&'static str, Histogram)>,
}

impl AppMetrics {
    pub(super) fn new(app: &str, quotas: &Quotas) -> Self {
        describe_counter!(
            "mooncast_messages_total",
            "Messages by outcome; a message to three groups, users or rooms counts as three."
        );
        describe_counter!(
            "mooncast_requests_total",
            "Requests to the service by the class of their answer, with retries."
        );
        describe_histogram!("mooncast_request_duration_seconds", "Time from a request to its answer.");
        describe_histogram!(
            "mooncast_quota_wait_seconds",
            "Time that calls waited for a permit of their quota."
        );
        let label = || app.to_owned();
        let outcomes = |call: Call| {
            OUTCOMES.map(|outcome| {
                counter!("mooncast_messages_total", "app" => label(), "call" => call.name(), "outcome" => outcome)
            })
        };
        Self {
            messages: Call::ALL.map(outcomes),
            requests: QuotaKind::ALL.map(QuotaKind::name).map(|call| {
                CLASSES.map(|class| {
                    counter!("mooncast_requests_total", "app" => label(), "call" => call, "class" => class)
                })
            }),
            round_trips: QuotaKind::ALL.map(QuotaKind::name).map(
                |call| histogram!("mooncast_request_duration_seconds", "app" => label(), "call" => call),
            ),
            waits: quotas
                .all()
                .into_iter()
                .map(|quota| {
                    let name = quota.name();
                    let word = name.replace(' ', "_");
                    (name, histogram!("mooncast_quota_wait_seconds", "app" => label(), "quota" => word))
                })
                .collect(),
        }
    }

    /// Counts `count` messages that have reached `state`. Messages that are not settled are not counted.
    pub(super) fn messages(&self, call: Call, state: RecipientState, count: u64) {
        let [sent, rejected, in_doubt] = &self.messages[call as usize];
        match state {
            RecipientState::Sent => sent.increment(count),
            RecipientState::Rejected => rejected.increment(count),
            RecipientState::InDoubt => in_doubt.increment(count),
            RecipientState::Pending
            | RecipientState::Sending
            | RecipientState::Skipped
            | RecipientState::Cancelled => {}
        }
    }

    /// Counts a request that was answered, or failed, after `took`.
    pub(super) fn request(&self, kind: QuotaKind, failure: Option<&CallError>, took: Duration) {
        let class = class_of(failure);
        let counted = CLASSES.iter().zip(&self.requests[kind as usize]).find(|(name, _)| **name == class);
        if let Some((_, counter)) = counted {
            counter.increment(1);
        }
        self.round_trips[kind as usize].record(took);
    }

    /// Records how long a call waited for its permit.
    pub(super) fn waited(&self, quota: &Quota, time: Duration) {
        if let Some((_, waits)) = self.waits.iter().find(|(name, _)| *name == quota.name()) {
            waits.record(time);
        }
    }
}
