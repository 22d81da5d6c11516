//! One request of a message: the time that is left for it, its token or transport, and its answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::client::{self, Authorisation, TimeLimit};
use crate::clock::Instant;
use crate::core::{Call, Receipts, RequestFailure};
use crate::ledger::BroadcastId;
use crate::message::Message;
use crate::quota::{Permit, PermitOutcome};

use super::permits::answers_of;
use super::{Delivery, Transport, trace};

/// Where a request is sent, once it has its permit and token.
pub(super) enum SendRoute<'a> {
    /// To a transport in place of the service.
    Transport(&'a dyn Transport),
    /// To the service, with this token.
    Service(Authorisation),
}

/// The least time that must be left for a request to begin. With less, the request would most likely end in doubt. A
/// tenth of the given time, 500 ms at most.
fn least_time(given: Duration) -> Duration {
    (given / 10).min(Duration::from_millis(500))
}

impl Delivery {
    /// The time that is left of `limit`, a deadline and the time that was given; or the error if too little is left for a
    /// try after the failure `last`.
    pub(super) fn time_left(
        &self,
        limit: Option<(Instant, Duration)>,
        last: Option<&client::CallError>,
    ) -> Result<Option<TimeLimit>, RequestFailure> {
        let limit = limit.map(|(at, given)| TimeLimit { left: at - self.clock.now(), given });
        if limit.is_some_and(|limit| limit.left < least_time(limit.given)) {
            return Err(last.cloned().map_or_else(RequestFailure::overdue, RequestFailure::overdue_after));
        }
        Ok(limit)
    }

    /// The error of a wait. If the deadline has passed, it names the failure before it.
    pub(super) fn overdue_after(
        &self,
        last: Option<&client::CallError>,
        deadline: Option<Instant>,
        error: RequestFailure,
    ) -> RequestFailure {
        match (last, deadline) {
            (Some(failure), Some(deadline)) if self.clock.now() >= deadline => {
                RequestFailure::overdue_after(failure.clone())
            }
            _ => error,
        }
    }

    /// Waits before another try.
    pub(super) async fn pause(
        &self,
        wait: Duration,
        deadline: Option<Instant>,
        stop: &CancellationToken,
    ) -> Result<(), RequestFailure> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(RequestFailure::cancelled("the call")),
            () = self.clock.sleep(wait) => Ok(()),
            () = self.reached(deadline) => Err(RequestFailure::overdue()),
        }
    }

    pub(super) async fn reached(&self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => self.clock.sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }

    /// The token that a request needs, or the transport. Waits for a token until `limit` is reached. `None` if the call
    /// is to stop.
    pub(super) async fn route(
        &self,
        call: Call,
        limit: Option<TimeLimit>,
        stop: &CancellationToken,
    ) -> Option<Result<SendRoute<'_>, client::CallError>> {
        if stop.is_cancelled() {
            return None;
        }
        if let Some(transport) = &self.transport {
            return Some(Ok(SendRoute::Transport(transport.as_ref())));
        }
        if let Some(authorisation) = self.client.authorisation_at_hand() {
            return Some(Ok(SendRoute::Service(authorisation)));
        }
        // The box keeps a call with an active token smaller than one that waits.
        let waiting = Box::pin(self.client.authorisation(call, limit));
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            authorisation = waiting => Some(authorisation.map(SendRoute::Service)),
        }
    }

    /// Sends one request with its permit and returns its answer. Gives up when `limit` is reached.
    pub(super) async fn request(
        &self,
        route: &SendRoute<'_>,
        message: &Message,
        body: bytes::Bytes,
        broadcast: Option<BroadcastId>,
        limit: Option<TimeLimit>,
        permit: Permit,
    ) -> Result<client::SendReceipts, client::CallError> {
        let authorisation = match route {
            SendRoute::Transport(transport) => {
                return Ok(self.send_over(*transport, message, broadcast, permit));
            }
            SendRoute::Service(authorisation) => authorisation,
        };
        let permit = Arc::new(Mutex::new(permit));
        let writing = Arc::clone(&permit);
        let began = self.clock.now();
        let on_write = move || lock(&writing).written();
        let span = trace::request(&self.name, message.call().into(), message.recipient_count());
        let answer = async {
            if let Some(scope) = message.scope() {
                let id = self.client.announce_with(authorisation, limit, scope, body, on_write).await?;
                return Ok(client::SendReceipts { data: vec![(scope.name().to_owned(), id)] });
            }
            let Some(message_id) = message.edits() else {
                return self.client.send_with(authorisation, limit, message.call(), body, on_write).await;
            };
            self.client.rewrite_with(authorisation, limit, message_id, body, on_write).await?;
            Ok(client::SendReceipts { data: edited(message, message_id) })
        };
        let outcome = answer.instrument(span.clone()).await;
        let failure = outcome.as_ref().err();
        trace::answered(&span, failure);
        let has_calls = self.quotas.counting_calls(message.call()).is_some();
        let (messages, calls) = match message.scope() {
            // A refused announcement says nothing about the quota that it takes its permit from.
            Some(_) => (PermitOutcome::Other, PermitOutcome::Other),
            None => answers_of(failure, has_calls),
        };
        lock(&permit).settle_each(messages, calls);
        self.figures.request(message.call().into(), failure, self.clock.now() - began);
        outcome
    }
}

pub(super) fn lock(permit: &Mutex<Permit>) -> MutexGuard<'_, Permit> {
    permit.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The receipts of an edited message: its id stays.
pub(super) fn edited(message: &Message, message_id: &str) -> Receipts {
    message.to().iter().map(|group| (group.clone(), message_id.to_owned())).collect()
}
