//! One call of a broadcast: permit, intent, request, outcome, and retries while they are safe.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::client::{CallError, FailureClass, TokenRenewals};
use crate::core::RequestFailure;
use crate::ledger::{self, LedgerError, RecipientOutcome, RecipientState};
use crate::reconcile::mark;

use super::super::failpoint::CrashPoint;
use super::super::lazy_ledger::retry_until_written;
use super::super::reconcile::marked;
use super::super::request::SendRoute;
use super::BroadcastDriver;
use super::batches::CallBatch;
use super::progress::{CountGuard, WaitReason};
use super::verdict::{CallResult, NextAction, RetryBackoffs, judge};

impl BroadcastDriver<'_> {
    /// Sends a batch. If `stop` is cancelled before the intent is written, nothing is sent. After that the call runs to
    /// its end.
    ///
    /// # Errors
    ///
    /// Any error of the ledger that prevents a write. Nothing may be sent after it.
    #[tracing::instrument(
        target = "traces", name = "message", skip_all,
        fields(app = self.delivery.name, quota = self.quota().name(), groups = pack.recipients.len())
    )]
    pub(super) async fn call(
        &self,
        mut pack: CallBatch,
        stop: CancellationToken,
        waiting_call: WaitingCall<'_>,
    ) -> Result<CallResult, LedgerError> {
        let mut message = match &pack.message {
            Ok(message) => message.clone(),
            Err(why) => return Box::pin(self.refuse(&pack, why)).await,
        };
        let mut body = message.to_json();
        let price = self.delivery.price(&message);
        let mut tries = RetryBackoffs::of(&self.delivery.clock);
        let mut renewals = TokenRenewals::default();
        let mut waiting_call = Some(waiting_call);
        loop {
            if let [one] = pack.recipients.as_slice()
                && let Some(mark) = mark(self.spec, one.seq, one.attempts)
            {
                // Each try has a mark of its own.
                message = match marked(&message, mark) {
                    Ok(message) => message,
                    Err(why) => return Box::pin(self.refuse(&pack, &why)).await,
                };
                body = message.to_json();
            }
            let waits = waiting_call.take().unwrap_or_else(|| self.waiting_call());
            let permit = match self.turn(&pack, &stop).await {
                Ok(()) => self.delivery.permits(&price, self.spec.priority, None, &stop).await,
                Err(stopped) => Err(stopped),
            };
            drop(waits);
            let permit = match permit {
                Ok(permit) => permit,
                Err(_) if stop.is_cancelled() => return Ok(CallResult::Untouched),
                Err(undelivered) => return Box::pin(self.refuse(&pack, &undelivered.message)).await,
            };
            // The wait for a token comes before the intent, so an interruption during the wait leaves no recipient in
            // doubt.
            let Some(route) = self.delivery.route(message.call(), None, &stop).await else {
                return Ok(CallResult::Untouched);
            };
            let route = match route {
                Ok(route) => route,
                Err(failure) => {
                    drop(permit);
                    match Box::pin(self.unauthorised(&pack, failure, &mut tries, &stop)).await? {
                        Some(result) => return Ok(result),
                        None => continue,
                    }
                }
            };
            self.delivery.fail_point.pass(CrashPoint::BeforeIntent);
            if !self.claim(&pack).await? {
                return Ok(CallResult::Untouched);
            }
            self.delivery.fail_point.pass(CrashPoint::AfterIntent);
            let in_flight = self.progress.in_flight();
            let answer = self
                .delivery
                .request(&route, &message, body.clone(), Some(self.lease.broadcast), None, permit)
                .await;
            drop(in_flight);
            self.delivery.fail_point.pass(CrashPoint::AfterRequest);

            let refused = answer.as_ref().err().filter(|failure| failure.refuses_token()).cloned();
            let unreachable = matches!(&answer, Err(failure) if failure.status.is_none());
            let verdict = judge(&pack.recipients, self.spec.in_doubt, answer, &mut tries);
            for (recipient, outcome) in pack.recipients.iter_mut().zip(&verdict.outcomes) {
                recipient.attempts = outcome.attempts;
            }
            self.settle(verdict.outcomes).await?;
            // The recipients are pending again, so a slow token renewal leaves no recipient in doubt.
            if let (Some(failure), SendRoute::Service(authorisation)) = (&refused, &route)
                && self.delivery.client.renew(&mut renewals, authorisation, failure).await
            {
                continue;
            }
            match verdict.next {
                NextAction::End(result) => return Ok(result),
                NextAction::Again(None) => self.progress.throttled(),
                NextAction::Again(Some(wait)) => {
                    if !self.retry_after(wait, unreachable, &stop).await {
                        return Ok(CallResult::Untouched);
                    }
                }
            }
        }
    }

    /// Waits before another try. Returns false if `stop` was cancelled meanwhile.
    async fn retry_after(&self, wait: Duration, unreachable: bool, stop: &CancellationToken) -> bool {
        let _retries = self.progress.retries(self.delivery.clock.now() + wait, unreachable);
        self.delivery.pause(wait, None, stop).await.is_ok()
    }

    /// Handles a failure to get a token. No intent was written, so the recipients' states are unchanged. Returns how
    /// the call ended, or `None` if the caller is to try again now.
    async fn unauthorised(
        &self,
        pack: &CallBatch,
        failure: CallError,
        tries: &mut RetryBackoffs,
        stop: &CancellationToken,
    ) -> Result<Option<CallResult>, LedgerError> {
        let why = failure.to_string();
        let unreachable = failure.status.is_none();
        let permanent = failure.class == FailureClass::Permanent;
        let verdict = judge(&pack.recipients, self.spec.in_doubt, Err(failure), tries);
        match verdict.next {
            NextAction::End(CallResult::Failed(_)) if permanent => self.refuse(pack, &why).await.map(Some),
            NextAction::End(result) => Ok(Some(result)),
            NextAction::Again(wait) => {
                let again = self.retry_after(wait.unwrap_or_default(), unreachable, stop).await;
                Ok((!again).then_some(CallResult::Untouched))
            }
        }
    }

    /// Marks the batch as rejected without a request, because its message can never be sent.
    async fn refuse(&self, pack: &CallBatch, why: &str) -> Result<CallResult, LedgerError> {
        if !self.claim(pack).await? {
            return Ok(CallResult::Untouched);
        }
        let outcome = |one: &ledger::Recipient| {
            RecipientOutcome::failed(one.seq, RecipientState::Rejected, why, one.attempts)
        };
        self.settle(pack.recipients.iter().map(outcome).collect()).await?;
        Ok(CallResult::Failed(why.to_owned()))
    }

    async fn settle(&self, outcomes: Vec<RecipientOutcome>) -> Result<(), LedgerError> {
        self.delivery.fail_point.pass(CrashPoint::BeforeOutcome);
        retry_until_written(&self.delivery.clock, || self.ledger.settle(self.lease, outcomes.clone()))
            .await?;
        self.progress.settled(&outcomes);
        for outcome in &outcomes {
            self.delivery.figures.messages(self.spec.call, outcome.state, 1);
        }
        Ok(())
    }

    /// Waits for this call's turn under the broadcast's own rate limit, and for its sending hours.
    async fn turn(&self, pack: &CallBatch, stop: &CancellationToken) -> Result<(), RequestFailure> {
        let clock = &self.delivery.clock;
        let now = clock.now();
        let wait = self.pace.turn(pack.recipients.len(), now).saturating_since(now);
        if wait > Duration::ZERO {
            self.delivery.pause(wait, None, stop).await?;
        }
        loop {
            let closed = self.hours.closed_for(clock.unix_time(), pack.zone());
            if closed == Duration::ZERO {
                return Ok(());
            }
            self.progress.waits_for(Some(WaitReason::Window(clock.unix_time() + closed)));
            // The wall clock can be set meanwhile, so the hours are checked again after a minute at most.
            self.delivery.pause(closed.min(Duration::from_mins(1)), None, stop).await?;
            self.progress.waits_for(None);
        }
    }

    /// Counts a call as waiting for a permit for as long as the guard lives.
    pub(super) fn waiting_call(&self) -> WaitingCall<'_> {
        WaitingCall { _waits: CountGuard::new(&self.waiting), room: &self.room }
    }
}

/// Held while a call waits for its permit.
pub(super) struct WaitingCall<'a> {
    room: &'a tokio::sync::Notify,
    _waits: CountGuard<'a>,
}

impl Drop for WaitingCall<'_> {
    fn drop(&mut self) {
        self.room.notify_one();
    }
}
