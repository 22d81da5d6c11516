//! The quotas of a message: its price, its permits, and what the answer means for them.

use tokio_util::sync::CancellationToken;

use crate::client::{CallError, FailureClass};
use crate::clock::Instant;
use crate::config::TargetedCost;
use crate::core::{Call, FailureKind, Priority, RequestFailure};
use crate::message::Message;
use crate::quota::{Permit, PermitOutcome, Quota};

use super::Delivery;

/// What a call takes from the app's quotas.
pub(super) struct Price<'a> {
    /// The quota that counts the call's messages, or the call where it counts calls.
    pub(super) quota: &'a Quota,
    pub(super) cost: u32,
    /// The quota that counts the call beside its messages.
    pub(super) calls: Option<&'a Quota>,
}

impl Delivery {
    /// The quotas that a message uses, and its cost.
    pub(super) fn price(&self, message: &Message) -> Price<'_> {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let cost = match message.call() {
            Call::Group | Call::User | Call::Room => count(message.recipient_count()),
            Call::Targeted => match self.settings.borrow().targeted_cost {
                TargetedCost::Call => 1,
                TargetedCost::User => count(message.user_count()),
            },
            Call::Edit | Call::Announce => 1,
        };
        let call = message.call();
        Price { quota: self.quotas.of_call(call), cost, calls: self.quotas.counting_calls(call) }
    }

    /// Waits for the permits of a message: first for its messages, then for the call, so that no call of the quota of
    /// calls is held while the message waits.
    pub(super) async fn permits(
        &self,
        price: &Price<'_>,
        priority: Priority,
        deadline: Option<Instant>,
        stop: &CancellationToken,
    ) -> Result<Permit, RequestFailure> {
        let permit = self.permit(price.quota, price.cost, priority, deadline, stop).await?;
        match price.calls {
            Some(calls) => Ok(permit.with_call(self.permit(calls, 1, priority, deadline, stop).await?)),
            None => Ok(permit),
        }
    }

    /// Waits for a permit, the deadline or a stop, whichever comes first.
    pub(super) async fn permit(
        &self,
        quota: &Quota,
        cost: u32,
        priority: Priority,
        deadline: Option<Instant>,
        stop: &CancellationToken,
    ) -> Result<Permit, RequestFailure> {
        self.share_as(quota.name(), quota).await?;
        self.acquire(quota, cost, priority, deadline, stop).await
    }

    /// Waits for a permit of a quota whose slots are claimed already.
    pub(super) async fn acquire(
        &self,
        quota: &Quota,
        cost: u32,
        priority: Priority,
        deadline: Option<Instant>,
        stop: &CancellationToken,
    ) -> Result<Permit, RequestFailure> {
        let began = self.clock.now();
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(RequestFailure::cancelled("the call")),
            permit = quota.acquire(cost, priority) => {
                self.figures.waited(quota, self.clock.now() - began);
                self.start_reporting();
                permit.map_err(|error| RequestFailure::new(FailureKind::Cancelled, error.to_string()))
            }
            () = self.reached(deadline) => Err(RequestFailure::overdue()),
        }
    }
}

/// The meaning of an answer for the quota.
pub(super) fn answer_of(failure: Option<&CallError>) -> PermitOutcome {
    match failure {
        None => PermitOutcome::Accepted,
        Some(failure) => match (failure.class, failure.status) {
            (FailureClass::Throttled, _) => PermitOutcome::Throttled { retry_after: failure.retry_after },
            (_, Some(_)) => PermitOutcome::Other,
            (_, None) => PermitOutcome::Missing,
        },
    }
}

/// The meaning of an answer for the quota of messages, and for the quota of calls beside it. The service answers 429 to too
/// many calls, and 403 to too many messages (contract).
pub(super) fn answers_of(failure: Option<&CallError>, has_calls: bool) -> (PermitOutcome, PermitOutcome) {
    let answer = answer_of(failure);
    if !matches!(answer, PermitOutcome::Throttled { .. }) {
        return (answer, answer);
    }
    if has_calls && failure.and_then(|failure| failure.status) == Some(429) {
        (PermitOutcome::Other, answer)
    } else {
        (answer, PermitOutcome::Other)
    }
}
