//! The tries of one message. Each waits for a permit and a token, writes its intent, and makes one request.

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::client::{CallError, FailureClass, SendReceipts, TokenRenewals};
use crate::clock::Instant;
use crate::core::{FailureKind, Receipts, RequestFailure, SendOptions};
use crate::message::Message;

use super::failpoint::CrashPoint;
use super::permits::Price;
use super::record::SendRecord;
use super::request::SendRoute;
use super::retry::{Backoff, PATIENCE};
use super::{Delivery, SendCounters, announce};

/// One message, and what its tries share.
pub(super) struct Tries<'a> {
    delivery: &'a Delivery,
    message: &'a Message,
    options: &'a SendOptions,
    deadline: Option<Instant>,
    stop: &'a CancellationToken,
    tally: &'a SendCounters,
    body: Bytes,
    price: Price<'a>,
    /// When a throttled message is given up.
    give_up: Instant,
    backoff: Backoff,
    renewals: TokenRenewals,
    /// The failure of the try before.
    last: Option<CallError>,
}

/// The result of a try.
enum TryResult {
    Answered(SendReceipts),
    Failed(CallError),
    /// Nothing was sent, and the next try may follow at once.
    Again,
}

impl<'a> Tries<'a> {
    pub(super) fn new(
        delivery: &'a Delivery,
        message: &'a Message,
        options: &'a SendOptions,
        deadline: Option<Instant>,
        stop: &'a CancellationToken,
        tally: &'a SendCounters,
    ) -> Self {
        Self {
            delivery,
            message,
            options,
            deadline,
            stop,
            tally,
            body: message.to_json(),
            price: delivery.price(message),
            give_up: delivery.clock.now() + PATIENCE,
            backoff: Backoff::of(&delivery.clock),
            renewals: TokenRenewals::default(),
            last: None,
        }
    }

    /// Tries until the message is sent, or must not be tried again.
    pub(super) async fn run(mut self, record: &mut SendRecord<'_>) -> Result<Receipts, RequestFailure> {
        loop {
            match self.once(record).await? {
                TryResult::Answered(answer) => return settle(self.message, answer),
                TryResult::Failed(failure) => self.wait_after(failure, record).await?,
                TryResult::Again => {}
            }
        }
    }

    async fn once(&mut self, record: &mut SendRecord<'_>) -> Result<TryResult, RequestFailure> {
        let Self { delivery, message, options, deadline, stop, .. } = *self;
        delivery.await_announcement(message, record, options, deadline, stop).await?;
        let permit = delivery.permits(&self.price, options.priority, deadline, stop).await;
        let permit = permit.map_err(|error| self.overdue_after_last(error))?;
        let limit = deadline.zip(options.timeout);
        // The wait for a token comes before the intent, so an interruption during the wait leaves nothing in doubt.
        let left = delivery.time_left(limit, self.last.as_ref())?;
        let route = match delivery.route(message.call(), left, stop).await {
            Some(Ok(route)) => route,
            // Other calls can use the permit meanwhile.
            Some(Err(failure)) => return Ok(TryResult::Failed(failure)),
            None => return Err(RequestFailure::cancelled("the call")),
        };
        if !delivery.take_announcement(message, record).await? {
            return Ok(TryResult::Again);
        }
        if !options.overrides {
            Box::pin(delivery.refuse_suppressed(message, record)).await?;
        }
        // No request is sent before its intent is on disk.
        record.intend().await?;
        // A ledger that was slow may have taken the rest of the time.
        let left = match delivery.time_left(limit, self.last.as_ref()) {
            Ok(left) => left,
            Err(overdue) => {
                record.withdraw(false, &overdue.message).await?;
                return Err(overdue);
            }
        };
        let in_flight = self.tally.in_flight(message.recipient_count());
        let outcome = delivery.request(&route, message, self.body.clone(), None, left, permit).await;
        drop(in_flight);
        delivery.fail_point.pass(CrashPoint::AfterRequest);
        let failure = match outcome {
            Ok(answer) => return Ok(TryResult::Answered(answer)),
            Err(failure) => failure,
        };
        if let SendRoute::Service(authorisation) = route
            && failure.refuses_token()
        {
            // Nothing was sent. The record says so before the token renewal, which may be slow.
            record.withdraw(true, &failure.to_string()).await?;
            if delivery.client.renew(&mut self.renewals, &authorisation, &failure).await {
                self.last = Some(failure);
                return Ok(TryResult::Again);
            }
        }
        Ok(TryResult::Failed(failure))
    }

    /// Waits for the next try after a failure, if there may be one: only where nothing was sent.
    async fn wait_after(
        &mut self,
        failure: CallError,
        record: &mut SendRecord<'_>,
    ) -> Result<(), RequestFailure> {
        let Self { delivery, deadline, stop, .. } = *self;
        match failure.class {
            FailureClass::Throttled if self.message.scope().is_some() => {
                return Err(announce::refused(failure));
            }
            FailureClass::Throttled => {
                self.tally.throttled();
                if delivery.clock.now() >= self.give_up {
                    return Err(RequestFailure::from_failure(failure));
                }
                record.withdraw(false, &failure.to_string()).await?;
                self.last = Some(failure);
            }
            FailureClass::NothingSent => {
                let Some(wait) = self.backoff.next(failure.retry_after) else {
                    return Err(RequestFailure::from_failure(failure));
                };
                tracing::warn!(app = delivery.name, ?wait, "nothing was sent, trying again: {failure}");
                record.withdraw(true, &failure.to_string()).await?;
                self.last = Some(failure);
                let paused = delivery.pause(wait, deadline, stop).await;
                paused.map_err(|error| self.overdue_after_last(error))?;
            }
            _ => return Err(RequestFailure::from_failure(failure)),
        }
        Ok(())
    }

    /// The error of a wait. If the deadline has passed, it names the failure of the try before.
    fn overdue_after_last(&self, error: RequestFailure) -> RequestFailure {
        self.delivery.overdue_after(self.last.as_ref(), self.deadline, error)
    }
}

/// Checks that a 200 names every recipient. One that it does not name is in doubt.
fn settle(message: &Message, answer: SendReceipts) -> Result<Receipts, RequestFailure> {
    let receipts = answer.data;
    let missing: Vec<&str> = message
        .to()
        .iter()
        .filter(|recipient| !receipts.iter().any(|(known, _)| known == *recipient))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(receipts);
    }
    let message = format!(
        "the service answered 200 without a message id for {}; it may have been sent there: check before \
         you send it again",
        missing.join(", ")
    );
    Err(RequestFailure { receipts, status: Some(200), ..RequestFailure::new(FailureKind::InDoubt, message) })
}
