//! One message on its way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::Instrument as _;

use crate::client::{self, Class};
use crate::clock::Instant;
use crate::config::TargetedCost;
use crate::ledger::{BroadcastId, State};
use crate::message::{Call, Draft, Message, Problems, check, check_draft};
use crate::quota::{Answer, Permit, Priority, Quota};

use super::failpoint::Point;
use super::record::{Beginning, Record};
use super::retry::{Backoff, PATIENCE};
use super::{Delivery, Reason, Stop, Tally, Undelivered, trace};

/// (group id, message id) of each group that has the message.
pub type Receipts = Vec<(String, String)>;

/// How a message is sent.
#[derive(Debug, Clone, Default)]
pub struct SendOptions {
    /// Its place among those that wait for the same quota.
    pub priority: Priority,
    /// When to give up, waiting for a permit included.
    pub timeout: Option<Duration>,
    /// A key with which the app gets this message at most once, across runs.
    pub once: Option<String>,
    /// Which script sends it; shown to people.
    pub origin: String,
}

impl Delivery {
    /// Checks the JSON of a message against the app's limits.
    ///
    /// # Errors
    ///
    /// Every problem that it has.
    pub fn check(&self, call: Call, json: serde_json::Value) -> Result<Message, Problems> {
        check(call, json, &self.limits.get())
    }

    /// Checks the JSON of a message whose recipients come later.
    ///
    /// # Errors
    ///
    /// Every problem that it has.
    pub fn check_draft(&self, call: Call, json: serde_json::Value) -> Result<Draft, Problems> {
        check_draft(call, json, &self.limits.get())
    }

    /// Sends a message, once: waits for its permit, writes it, and tries again only what was certainly not sent.
    ///
    /// # Errors
    ///
    /// [`Undelivered`], of which [`Reason::InDoubt`] is the one that must not be tried again blindly.
    #[tracing::instrument(
        target = "traces", name = "message", skip_all,
        fields(app = self.name, quota = self.price(message).0.name(), groups = message.group_count())
    )]
    pub async fn send(
        &self,
        message: &Message,
        options: SendOptions,
        stop: &Stop,
        tally: &Tally,
    ) -> Result<Receipts, Undelivered> {
        let deadline = options.timeout.map(|timeout| self.clock.now() + timeout);
        let result = match self.begin(message, &options, deadline, stop).await {
            // Sent by an earlier call, which counted it.
            Ok(Beginning::Done(receipts)) => return Ok(receipts),
            Ok(Beginning::New(mut record)) => {
                let priority = options.priority;
                let result =
                    self.try_until_settled(message, &mut record, priority, deadline, stop, tally).await;
                record.end(&result).await;
                result
            }
            Err(undelivered) => Err(undelivered),
        };
        let groups = message.group_count();
        let count = |state, groups: usize| self.figures.messages(message.call(), state, groups as u64);
        match &result {
            Ok(_) => {
                tally.sent(groups);
                count(State::Sent, groups);
            }
            Err(undelivered) => {
                let delivered = undelivered.receipts.len();
                tally.sent(delivered);
                count(State::Sent, delivered);
                let rest = groups - delivered.min(groups);
                match undelivered.reason {
                    Reason::InDoubt => {
                        tally.in_doubt(rest);
                        count(State::InDoubt, rest);
                    }
                    Reason::Rejected | Reason::Auth => {
                        tally.rejected(rest);
                        count(State::Rejected, rest);
                    }
                    Reason::Throttled
                    | Reason::Unreachable
                    | Reason::Cancelled
                    | Reason::Invalid(_)
                    | Reason::Unusable
                    | Reason::Taken
                    | Reason::NoLedger
                    | Reason::Unrecorded => {
                        tally.not_sent(rest);
                    }
                }
            }
        }
        result
    }

    async fn try_until_settled(
        &self,
        message: &Message,
        record: &mut Record<'_>,
        priority: Priority,
        deadline: Option<Instant>,
        stop: &Stop,
        tally: &Tally,
    ) -> Result<Receipts, Undelivered> {
        let body = message.to_json();
        let (quota, cost, call) = self.price(message);
        let give_up = self.clock.now() + PATIENCE;
        let mut backoff = Backoff::of(&self.clock);
        loop {
            let permit = self.permit(quota, cost, priority, deadline, stop).await?;
            // Without its intent on disk nothing leaves.
            record.intend().await?;
            let in_flight = tally.in_flight(message.group_count());
            let outcome = self.request(call, message, body.clone(), None, permit).await;
            drop(in_flight);
            self.fail_point.pass(Point::AfterRequest);
            let failure = match outcome {
                Ok(receipts) => return settle(message, receipts),
                Err(failure) => failure,
            };
            match failure.class {
                Class::Throttled => {
                    tally.throttled();
                    if self.clock.now() >= give_up {
                        return Err(Undelivered::from_failure(failure));
                    }
                    record.withdraw(false, &failure.to_string()).await?;
                }
                Class::NothingSent => match backoff.next(failure.retry_after) {
                    Some(wait) => {
                        tracing::warn!(
                            app = self.name,
                            wait = ?wait,
                            "nothing was sent, trying again: {failure}"
                        );
                        record.withdraw(true, &failure.to_string()).await?;
                        self.pause(wait, deadline, stop).await?;
                    }
                    None => return Err(Undelivered::from_failure(failure)),
                },
                _ => return Err(Undelivered::from_failure(failure)),
            }
        }
    }

    /// Which quota a message draws on, how much of it, and by which call it goes.
    pub(super) fn price(&self, message: &Message) -> (&Quota, u32, client::SendCall) {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(1);
        match message.call() {
            Call::Group => (&self.quotas.group, count(message.group_count()), client::SendCall::Group),
            Call::Targeted => {
                let cost = match self.settings.borrow().targeted_cost {
                    TargetedCost::Call => 1,
                    TargetedCost::User => count(message.user_count()),
                };
                (&self.quotas.targeted, cost, client::SendCall::Targeted)
            }
        }
    }

    /// Waits for a permit, a deadline or a stop, whichever comes first.
    pub(super) async fn permit(
        &self,
        quota: &Quota,
        cost: u32,
        priority: Priority,
        deadline: Option<Instant>,
        stop: &Stop,
    ) -> Result<Permit, Undelivered> {
        self.share(quota).await?;
        let began = self.clock.now();
        tokio::select! {
            biased;
            () = stop.asked() => Err(Undelivered::cancelled("the call")),
            permit = quota.acquire(cost, priority) => {
                self.figures.waited(quota, self.clock.now() - began);
                self.notice();
                permit.map_err(|error| Undelivered::new(Reason::Cancelled, error.to_string()))
            }
            () = self.reached(deadline) => Err(Undelivered::overdue()),
        }
    }

    /// Waits before another try.
    pub(super) async fn pause(
        &self,
        wait: Duration,
        deadline: Option<Instant>,
        stop: &Stop,
    ) -> Result<(), Undelivered> {
        tokio::select! {
            biased;
            () = stop.asked() => Err(Undelivered::cancelled("the call")),
            () = self.clock.sleep(wait) => Ok(()),
            () = self.reached(deadline) => Err(Undelivered::overdue()),
        }
    }

    async fn reached(&self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => self.clock.sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }

    /// One request, from its permit to its answer.
    pub(super) async fn request(
        &self,
        call: client::SendCall,
        message: &Message,
        body: bytes::Bytes,
        broadcast: Option<BroadcastId>,
        permit: Permit,
    ) -> Result<client::Receipts, client::Failure> {
        if let Some(stage) = &self.stage {
            return Ok(self.perform(stage.as_ref(), message, broadcast, permit));
        }
        let permit = Arc::new(Mutex::new(permit));
        let writing = Arc::clone(&permit);
        let began = self.clock.now();
        let on_write = move || lock(&writing).written();
        let span = trace::request(&self.name, message.call().into(), message.group_count());
        let outcome = self.client.send(call, body, on_write).instrument(span.clone()).await;
        let failure = outcome.as_ref().err();
        trace::answered(&span, failure);
        lock(&permit).settle(answer_of(failure));
        self.figures.request(message.call().into(), failure, self.clock.now() - began);
        outcome
    }
}

fn lock(permit: &Mutex<Permit>) -> MutexGuard<'_, Permit> {
    permit.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an answer says about the quota.
pub(super) fn answer_of(failure: Option<&client::Failure>) -> Answer {
    match failure {
        None => Answer::Accepted,
        Some(failure) => match (failure.class, failure.status) {
            (Class::Throttled, _) => Answer::Throttled { retry_after: failure.retry_after },
            (_, Some(_)) => Answer::Other,
            (_, None) => Answer::Missing,
        },
    }
}

/// A 200 that names every group settles the message; one that lacks a group leaves that group in doubt.
fn settle(message: &Message, answer: client::Receipts) -> Result<Receipts, Undelivered> {
    let receipts = answer.data;
    let missing: Vec<&str> = message
        .to()
        .iter()
        .filter(|group| !receipts.iter().any(|(known, _)| known == *group))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(receipts);
    }
    let message = format!(
        "the service answered 200 without a message id for {}; it may have been sent there: look before sending it again",
        missing.join(", ")
    );
    Err(Undelivered { receipts, status: Some(200), ..Undelivered::new(Reason::InDoubt, message) })
}
