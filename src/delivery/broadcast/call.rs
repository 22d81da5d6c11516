//! One call of a broadcast: permit, intent, request, outcome, and again while that is safe.

use std::time::Duration;

use crate::client::{Class, Failure, Renewals};
use crate::ledger::{LedgerError, Outcome, State};
use crate::quota::Priority;

use super::super::book::insist;
use super::super::failpoint::Point;
use super::super::send::Way;
use super::super::{Stop, Undelivered};
use super::packs::Pack;
use super::progress::{Guard, Waits};
use super::verdict::{Fate, Next, Tries, judge};
use super::{Run, ledger};

impl Run<'_> {
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
        mut pack: Pack,
        halt: Stop,
        place: Place<'_>,
    ) -> Result<Fate, LedgerError> {
        let message = match &pack.message {
            Ok(message) => message.clone(),
            Err(why) => return Box::pin(self.refuse(&pack, why)).await,
        };
        let body = message.to_json();
        let (quota, cost, call) = self.delivery.price(&message);
        let mut tries = Tries::of(&self.delivery.clock);
        let mut renewals = Renewals::default();
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
                Err(_) if halt.is_asked() => return Ok(Fate::Untouched),
                Err(undelivered) => return Box::pin(self.refuse(&pack, &undelivered.message)).await,
            };
            // A token that is waited for leaves nobody in doubt, so it is there before the intent.
            let way = tokio::select! {
                biased;
                () = halt.asked() => return Ok(Fate::Untouched),
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
            self.delivery.fail_point.pass(Point::BeforeIntent);
            self.ledger.intend(self.lease, seqs(&pack)).await?;
            self.delivery.fail_point.pass(Point::AfterIntent);
            let in_flight = self.progress.in_flight();
            let answer = self
                .delivery
                .request(&way, call, &message, body.clone(), Some(self.lease.broadcast), None, permit)
                .await;
            drop(in_flight);
            self.delivery.fail_point.pass(Point::AfterRequest);

            let refused = answer.as_ref().err().filter(|failure| failure.status == Some(401)).cloned();
            let unreachable = matches!(&answer, Err(failure) if failure.status.is_none());
            let verdict = judge(&pack.recipients, self.spec.in_doubt, answer, &mut tries);
            for (recipient, outcome) in pack.recipients.iter_mut().zip(&verdict.outcomes) {
                recipient.attempts = outcome.attempts;
            }
            self.settle(verdict.outcomes).await?;
            // Its recipients wait again, so the next token may be long in coming.
            if let (Some(failure), Way::Service(authorisation)) = (&refused, &way)
                && self.delivery.client.renew(&mut renewals, authorisation, failure).await
            {
                continue;
            }
            match verdict.next {
                Next::End(fate) => return Ok(fate),
                Next::Again(None) => self.progress.throttled(),
                Next::Again(Some(wait)) => {
                    if !self.retry_after(wait, unreachable, &halt).await {
                        return Ok(Fate::Untouched);
                    }
                }
            }
        }
    }

    /// Waits before another try; gives whether there is to be one.
    async fn retry_after(&self, wait: Duration, unreachable: bool, halt: &Stop) -> bool {
        let _retries = self.progress.retries(self.delivery.clock.now() + wait, unreachable);
        self.delivery.pause(wait, None, halt).await.is_ok()
    }

    /// What it means that there is no token: nothing was about to be written, so the recipients are where they were.
    /// Gives how the call ended, or nothing where it is tried again now.
    async fn unauthorised(
        &self,
        pack: &Pack,
        failure: Failure,
        tries: &mut Tries,
        halt: &Stop,
    ) -> Result<Option<Fate>, LedgerError> {
        let why = failure.to_string();
        let unreachable = failure.status.is_none();
        let permanent = failure.class == Class::Permanent;
        let verdict = judge(&pack.recipients, self.spec.in_doubt, Err(failure), tries);
        match verdict.next {
            Next::End(Fate::Failed(_)) if permanent => self.refuse(pack, &why).await.map(Some),
            Next::End(fate) => Ok(Some(fate)),
            Next::Again(wait) => {
                let again = self.retry_after(wait.unwrap_or_default(), unreachable, halt).await;
                Ok((!again).then_some(Fate::Untouched))
            }
        }
    }

    /// What can never be sent: refused before it leaves.
    async fn refuse(&self, pack: &Pack, why: &str) -> Result<Fate, LedgerError> {
        self.ledger.intend(self.lease, seqs(pack)).await?;
        let outcome = |one: &ledger::Recipient| Outcome::failed(one.seq, State::Rejected, why, one.attempts);
        self.settle(pack.recipients.iter().map(outcome).collect()).await?;
        Ok(Fate::Failed(why.to_owned()))
    }

    async fn settle(&self, outcomes: Vec<Outcome>) -> Result<(), LedgerError> {
        self.delivery.fail_point.pass(Point::BeforeOutcome);
        insist(&self.delivery.clock, || self.ledger.settle(self.lease, outcomes.clone())).await?;
        self.progress.settled(&outcomes);
        for outcome in &outcomes {
            self.delivery.figures.messages(self.spec.call, outcome.state, 1);
        }
        Ok(())
    }

    /// Waits for this call's turn under the broadcast's own cap, within its hours.
    async fn turn(&self, messages: usize, halt: &Stop) -> Result<(), Undelivered> {
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
            self.progress.waits_for(Some(Waits::Window(clock.unix_time() + closed)));
            // The wall clock may be set meanwhile, so it is looked at again.
            self.delivery.pause(closed.min(Duration::from_mins(1)), None, halt).await?;
            self.progress.waits_for(None);
        }
    }

    /// A place among those that wait for a permit.
    pub(super) fn place(&self) -> Place<'_> {
        Place { _waits: Guard::new(&self.waiting), room: &self.room }
    }
}

/// Held while a call waits for its permit.
pub(super) struct Place<'a> {
    room: &'a tokio::sync::Notify,
    _waits: Guard<'a>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.room.notify_one();
    }
}

fn seqs(pack: &Pack) -> Vec<i64> {
    pack.recipients.iter().map(|recipient| recipient.seq).collect()
}

const fn priority(priority: ledger::Priority) -> Priority {
    match priority {
        ledger::Priority::High => Priority::High,
        ledger::Priority::Normal => Priority::Normal,
        ledger::Priority::Low => Priority::Low,
    }
}
