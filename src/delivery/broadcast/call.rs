//! One call of a broadcast. Each try waits for its turn, a permit and a token, writes its intent, makes one request, and
//! writes the outcome.

use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::client::{CallError, FailureClass, SendReceipts, TokenRenewals};
use crate::clock::Instant;
use crate::core::RequestFailure;
use crate::ledger::{self, LedgerError, RecipientOutcome, RecipientState};
use crate::message::Message;
use crate::quota::Permit;
use crate::reconcile::mark;

use super::super::failpoint::CrashPoint;
use super::super::permits::Price;
use super::super::reconcile::marked;
use super::super::request::SendRoute;
use super::BroadcastDriver;
use super::batches::CallBatch;
use super::progress::{CountGuard, WaitReason};
use super::verdict::{CallResult, NextAction, RetryBackoffs, judge};

/// One call, and what its tries share.
struct BroadcastCall<'a> {
    driver: &'a BroadcastDriver<'a>,
    pack: CallBatch,
    stop: CancellationToken,
    message: Message,
    body: Bytes,
    price: Price<'a>,
    backoffs: RetryBackoffs,
    renewals: TokenRenewals,
    /// Its next turn under the broadcast's own rate limit, if it has one.
    turn: Option<Instant>,
}

/// The result of a try.
enum TryResult {
    Ended(CallResult),
    /// Its recipients are pending, and the next try may follow at once.
    Again,
}

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
        pack: CallBatch,
        stop: CancellationToken,
        waiting_call: WaitingCall<'_>,
    ) -> Result<CallResult, LedgerError> {
        let message = match &pack.message {
            Ok(message) => message.clone(),
            Err(why) => return Box::pin(self.refuse(&pack, why)).await,
        };
        let call = BroadcastCall {
            driver: self,
            body: message.to_json(),
            price: self.delivery.price(&message),
            message,
            pack,
            stop,
            backoffs: RetryBackoffs::of(&self.delivery.clock),
            renewals: TokenRenewals::default(),
            turn: None,
        };
        call.run(waiting_call).await
    }

    /// Marks the batch as rejected without a request, because its message can never be sent.
    async fn refuse(&self, pack: &CallBatch, why: &str) -> Result<CallResult, LedgerError> {
        if !self.intend(pack).await? {
            return Ok(CallResult::Untouched);
        }
        let outcome = |one: &ledger::Recipient| {
            RecipientOutcome::failed(one.seq, RecipientState::Rejected, why, one.attempts)
        };
        let outcomes: Vec<RecipientOutcome> = pack.recipients.iter().map(outcome).collect();
        self.settle(pack, &outcomes).await?;
        Ok(CallResult::Failed(why.to_owned()))
    }

    /// As [`Self::claim`]. If the store fails, it is recorded that the call is not made.
    async fn intend(&self, pack: &CallBatch) -> Result<bool, LedgerError> {
        let claimed = self.claim(pack).await;
        if claimed.as_ref().is_err_and(LedgerError::is_fault) {
            self.keep_unsent(pack);
        }
        claimed
    }

    /// Waits for the sending hours of a call, and for its turn under the broadcast's own rate limit: the one that it has, or
    /// the next. Returns the turn.
    async fn turn(
        &self,
        pack: &CallBatch,
        mut turn: Option<Instant>,
        stop: &CancellationToken,
    ) -> Result<Instant, RequestFailure> {
        let clock = &self.delivery.clock;
        loop {
            let closed = self.closed_for(pack);
            if closed > Duration::ZERO {
                self.progress.waits_for(Some(WaitReason::Window(clock.unix_time() + closed)));
                // The wall clock can be set meanwhile, so the hours are checked again after a minute at most.
                self.delivery.pause(closed.min(Duration::from_mins(1)), None, stop).await?;
                self.progress.waits_for(None);
                turn = None;
                continue;
            }
            let now = clock.now();
            let turn = turn.take().unwrap_or_else(|| self.pace.turn(pack.recipients.len(), now));
            let wait = turn.saturating_since(now);
            if wait > Duration::ZERO {
                self.delivery.pause(wait, None, stop).await?;
            }
            // The hours may have ended meanwhile.
            if self.closed_for(pack) == Duration::ZERO {
                return Ok(turn);
            }
        }
    }

    /// How long the sending hours of a call are closed; zero while they are open.
    fn closed_for(&self, pack: &CallBatch) -> Duration {
        self.hours.closed_for(self.delivery.clock.unix_time(), pack.zone())
    }

    /// Counts a call as waiting for a permit for as long as the guard lives.
    pub(super) fn waiting_call(&self) -> WaitingCall<'_> {
        WaitingCall { _waits: CountGuard::new(&self.waiting), room: &self.room }
    }
}

impl BroadcastCall<'_> {
    /// Tries until the call has ended.
    async fn run(mut self, waiting_call: WaitingCall<'_>) -> Result<CallResult, LedgerError> {
        let mut result = self.once(waiting_call).await?;
        loop {
            match result {
                TryResult::Ended(result) => return Ok(result),
                TryResult::Again => result = self.once(self.driver.waiting_call()).await?,
            }
        }
    }

    async fn once(&mut self, waits: WaitingCall<'_>) -> Result<TryResult, LedgerError> {
        let driver = self.driver;
        if let Err(why) = self.mark() {
            return self.refuse(&why).await;
        }
        let permit = self.permit().await;
        drop(waits);
        let (permit, turn) = match permit {
            Ok(permit) => permit,
            Err(_) if self.stop.is_cancelled() => return Ok(TryResult::Ended(CallResult::Untouched)),
            Err(undelivered) => return self.refuse(&undelivered.message).await,
        };
        // The wait for a token comes before the intent, so an interruption during the wait leaves no recipient in doubt.
        let route = match driver.delivery.route(self.message.call(), None, &self.stop).await {
            Some(Ok(route)) => route,
            Some(Err(failure)) => {
                // Other calls can use the permit meanwhile.
                drop(permit);
                return Box::pin(self.unauthorised(failure)).await;
            }
            None => return Ok(TryResult::Ended(CallResult::Untouched)),
        };
        if !self.may_leave(turn) {
            return Ok(TryResult::Again);
        }
        driver.delivery.fail_point.pass(CrashPoint::BeforeIntent);
        if !driver.intend(&self.pack).await? {
            return Ok(TryResult::Ended(CallResult::Untouched));
        }
        driver.delivery.fail_point.pass(CrashPoint::AfterIntent);
        let in_flight = driver.progress.in_flight();
        let id = driver.lease.broadcast;
        let request =
            driver.delivery.request(&route, &self.message, self.body.clone(), Some(id), None, permit);
        let answer = request.await;
        drop(in_flight);
        driver.delivery.fail_point.pass(CrashPoint::AfterRequest);
        self.conclude(answer, &route).await
    }

    /// Gives each try of a single recipient a mark of its own. The error says why it cannot have one.
    fn mark(&mut self) -> Result<(), String> {
        if let [one] = self.pack.recipients.as_slice()
            && let Some(mark) = mark(self.driver.spec, one.seq, one.attempts)
        {
            self.message = marked(&self.message, mark)?;
            self.body = self.message.to_json();
        }
        Ok(())
    }

    /// Waits for the call's turn and for its permits.
    async fn permit(&mut self) -> Result<(Permit, Instant), RequestFailure> {
        let driver = self.driver;
        let turn = driver.turn(&self.pack, self.turn.take(), &self.stop).await?;
        let permit = driver.delivery.permits(&self.price, driver.spec.priority, None, &self.stop).await?;
        Ok((permit, turn))
    }

    /// Whether the call may leave now, by the sending hours and by the broadcast's own rate limit. The waits for its permit
    /// and its token can take hours.
    fn may_leave(&mut self, turn: Instant) -> bool {
        let driver = self.driver;
        if driver.closed_for(&self.pack) > Duration::ZERO {
            return false;
        }
        let left = driver.pace.leave(self.pack.recipients.len(), turn, driver.delivery.clock.now());
        self.turn = left.err();
        left.is_ok()
    }

    /// Writes what an answer means, and does what follows from it.
    async fn conclude(
        &mut self,
        answer: Result<SendReceipts, CallError>,
        route: &SendRoute<'_>,
    ) -> Result<TryResult, LedgerError> {
        let driver = self.driver;
        let refused = answer.as_ref().err().filter(|failure| failure.refuses_token()).cloned();
        let unreachable = matches!(&answer, Err(failure) if failure.status.is_none());
        let verdict = judge(&self.pack.recipients, driver.spec.in_doubt, answer, &mut self.backoffs);
        driver.settle(&self.pack, &verdict.outcomes).await?;
        for (recipient, outcome) in self.pack.recipients.iter_mut().zip(&verdict.outcomes) {
            recipient.attempts = outcome.attempts;
        }
        // The recipients are pending again, so a slow token renewal leaves no recipient in doubt.
        if let (Some(failure), SendRoute::Service(authorisation)) = (&refused, route)
            && driver.delivery.client.renew(&mut self.renewals, authorisation, failure).await
        {
            return Ok(TryResult::Again);
        }
        match verdict.next {
            NextAction::End(result) => Ok(TryResult::Ended(result)),
            NextAction::Again(None) => {
                driver.progress.throttled();
                Ok(TryResult::Again)
            }
            NextAction::Again(Some(wait)) => Ok(self.retry_after(wait, unreachable).await),
        }
    }

    /// Waits before another try.
    async fn retry_after(&self, wait: Duration, unreachable: bool) -> TryResult {
        let driver = self.driver;
        let _retries = driver.progress.retries(driver.delivery.clock.now() + wait, unreachable);
        match driver.delivery.pause(wait, None, &self.stop).await {
            Ok(()) => TryResult::Again,
            Err(_) => TryResult::Ended(CallResult::Untouched),
        }
    }

    /// Handles a failure to get a token. No intent was written, so the recipients' states are unchanged.
    async fn unauthorised(&mut self, failure: CallError) -> Result<TryResult, LedgerError> {
        let why = failure.to_string();
        let unreachable = failure.status.is_none();
        let permanent = failure.class == FailureClass::Permanent;
        let verdict =
            judge(&self.pack.recipients, self.driver.spec.in_doubt, Err(failure), &mut self.backoffs);
        match verdict.next {
            NextAction::End(CallResult::Failed(_)) if permanent => self.refuse(&why).await,
            NextAction::End(result) => Ok(TryResult::Ended(result)),
            NextAction::Again(wait) => Ok(self.retry_after(wait.unwrap_or_default(), unreachable).await),
        }
    }

    /// Ends the call without a request, because its message can never be sent.
    async fn refuse(&self, why: &str) -> Result<TryResult, LedgerError> {
        Box::pin(self.driver.refuse(&self.pack, why)).await.map(TryResult::Ended)
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
