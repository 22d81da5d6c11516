//! One call of a broadcast: permit, intent, request, outcome, and again while that is safe.

use std::time::Duration;

use crate::client::{CallError, FailureClass, TokenRenewals};
use crate::ledger::{DeliveryState, LedgerError, RecipientOutcome};
use crate::quota::Priority;

use super::super::failpoint::CrashPoint;
use super::super::lazy_ledger::retry_until_written;
use super::super::send::SendRoute;
use super::super::{DeliveryError, StopSignal};
use super::batches::CallBatch;
use super::progress::{CountGuard, WaitReason};
use super::verdict::{CallResult, NextAction, RetryBackoffs, judge};
use super::{BroadcastDriver, ledger};

impl BroadcastDriver<'_> {
    /// Sends a pack, unless `halt` says otherwise before its intent is written. What has left is seen through.
    ///
    /// # Errors
    ///
    /// Whatever keeps the ledger from being written: nothing may be sent then.
    #[tracing::instrument(
        target = "traces", name = "message", skip_all,
        fields(app = self.delivery.name, quota = self.quota().name(), groups = pack.recipients.len())
    )]
    pub(super) async fn call(
        &self,
        mut pack: CallBatch,
        halt: StopSignal,
        place: WaitingCall<'_>,
    ) -> Result<CallResult, LedgerError> {
        let message = match &pack.message {
            Ok(message) => message.clone(),
            Err(why) => return Box::pin(self.refuse(&pack, why)).await,
        };
        let body = message.to_json();
        let (quota, cost, call) = self.delivery.price(&message);
        let mut tries = RetryBackoffs::of(&self.delivery.clock);
        let mut renewals = TokenRenewals::default();
        let mut place = Some(place);
        loop {
            let waits = place.take().unwrap_or_else(|| self.place());
            let permit = match self.turn(pack.recipients.len(), &halt).await {
                Ok(()) => self.delivery.permit(quota, cost, priority(self.spec.priority), None, &halt).await,
                Err(halted) => Err(halted),
            };
            drop(waits);
            let permit = match permit {
                Ok(permit) => permit,
                Err(_) if halt.is_asked() => return Ok(CallResult::Untouched),
                Err(undelivered) => return Box::pin(self.refuse(&pack, &undelivered.message)).await,
            };
            // A token that is waited for leaves nobody in doubt, so it is there before the intent.
            let way = tokio::select! {
                biased;
                () = halt.asked() => return Ok(CallResult::Untouched),
                way = self.delivery.way(call, None) => way,
            };
            let way = match way {
                Ok(way) => way,
                Err(failure) => {
                    drop(permit);
                    match Box::pin(self.unauthorised(&pack, failure, &mut tries, &halt)).await? {
                        Some(fate) => return Ok(fate),
                        None => continue,
                    }
                }
            };
            self.delivery.fail_point.pass(CrashPoint::BeforeIntent);
            self.ledger.intend(self.lease, seqs(&pack)).await?;
            self.delivery.fail_point.pass(CrashPoint::AfterIntent);
            let in_flight = self.progress.in_flight();
            let answer = self
                .delivery
                .request(&way, call, &message, body.clone(), Some(self.lease.broadcast), None, permit)
                .await;
            drop(in_flight);
            self.delivery.fail_point.pass(CrashPoint::AfterRequest);

            let refused = answer.as_ref().err().filter(|failure| failure.status == Some(401)).cloned();
            let unreachable = matches!(&answer, Err(failure) if failure.status.is_none());
            let verdict = judge(&pack.recipients, self.spec.in_doubt, answer, &mut tries);
            for (recipient, outcome) in pack.recipients.iter_mut().zip(&verdict.outcomes) {
                recipient.attempts = outcome.attempts;
            }
            self.settle(verdict.outcomes).await?;
            // Its recipients wait again, so the next token may be long in coming.
            if let (Some(failure), SendRoute::Service(authorisation)) = (&refused, &way)
                && self.delivery.client.renew(&mut renewals, authorisation, failure).await
            {
                continue;
            }
            match verdict.next {
                NextAction::End(fate) => return Ok(fate),
                NextAction::Again(None) => self.progress.throttled(),
                NextAction::Again(Some(wait)) => {
                    if !self.retry_after(wait, unreachable, &halt).await {
                        return Ok(CallResult::Untouched);
                    }
                }
            }
        }
    }

    /// Waits before another try; gives whether there is to be one.
    async fn retry_after(&self, wait: Duration, unreachable: bool, halt: &StopSignal) -> bool {
        let _retries = self.progress.retries(self.delivery.clock.now() + wait, unreachable);
        self.delivery.pause(wait, None, halt).await.is_ok()
    }

    /// What it means that there is no token: nothing was about to be written, so the recipients are where they were.
    /// Gives how the call ended, or nothing where it is tried again now.
    async fn unauthorised(
        &self,
        pack: &CallBatch,
        failure: CallError,
        tries: &mut RetryBackoffs,
        halt: &StopSignal,
    ) -> Result<Option<CallResult>, LedgerError> {
        let why = failure.to_string();
        let unreachable = failure.status.is_none();
        let permanent = failure.class == FailureClass::Permanent;
        let verdict = judge(&pack.recipients, self.spec.in_doubt, Err(failure), tries);
        match verdict.next {
            NextAction::End(CallResult::Failed(_)) if permanent => self.refuse(pack, &why).await.map(Some),
            NextAction::End(fate) => Ok(Some(fate)),
            NextAction::Again(wait) => {
                let again = self.retry_after(wait.unwrap_or_default(), unreachable, halt).await;
                Ok((!again).then_some(CallResult::Untouched))
            }
        }
    }

    /// What can never be sent: refused before it leaves.
    async fn refuse(&self, pack: &CallBatch, why: &str) -> Result<CallResult, LedgerError> {
        self.ledger.intend(self.lease, seqs(pack)).await?;
        let outcome = |one: &ledger::Recipient| {
            RecipientOutcome::failed(one.seq, DeliveryState::Rejected, why, one.attempts)
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

    /// Waits for this call's turn under the broadcast's own cap, within its hours.
    async fn turn(&self, messages: usize, halt: &StopSignal) -> Result<(), DeliveryError> {
        let clock = &self.delivery.clock;
        let now = clock.now();
        let wait = self.pace.turn(messages, now).saturating_since(now);
        if wait > Duration::ZERO {
            self.delivery.pause(wait, None, halt).await?;
        }
        loop {
            let closed = self.hours.closed_for(clock.unix_time());
            if closed == Duration::ZERO {
                return Ok(());
            }
            self.progress.waits_for(Some(WaitReason::Window(clock.unix_time() + closed)));
            // The wall clock may be set meanwhile, so it is looked at again.
            self.delivery.pause(closed.min(Duration::from_mins(1)), None, halt).await?;
            self.progress.waits_for(None);
        }
    }

    /// A place among those that wait for a permit.
    pub(super) fn place(&self) -> WaitingCall<'_> {
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

fn seqs(pack: &CallBatch) -> Vec<i64> {
    pack.recipients.iter().map(|recipient| recipient.seq).collect()
}

const fn priority(priority: ledger::BroadcastPriority) -> Priority {
    match priority {
        ledger::BroadcastPriority::High => Priority::High,
        ledger::BroadcastPriority::Normal => Priority::Normal,
        ledger::BroadcastPriority::Low => Priority::Low,
    }
}
