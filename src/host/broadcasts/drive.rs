//! The end of a fixed plan: sent by the driver, waited for by the script.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::delivery::{Delivery, Reason, SendOptions, Stop, Tally, Undelivered};
use crate::ledger::{Broadcast, Lease, Ledger, LedgerError, Outcome, Recipient, State};
use crate::message::Message;
use crate::protocol::{Failure, Kind};
use crate::quota::Priority;

use super::super::services::Services;
use super::{Heartbeat, fault, report};

/// How long a script waits before it is told how the broadcast stands.
const TOLD: Duration = Duration::from_secs(1);

/// The right to drive a broadcast, and what that takes.
pub(super) struct Role {
    pub(super) delivery: Rc<Delivery>,
    pub(super) ledger: Ledger,
    pub(super) lease: Lease,
    pub(super) broadcast: Broadcast,
    pub(super) heartbeat: Heartbeat,
    /// Lines of its file that were left out.
    pub(super) bad_lines: u64,
}

impl Role {
    /// Gives the right back.
    pub(super) async fn release(self) {
        drop(self.heartbeat);
        if let Err(error) = self.ledger.release(self.lease).await {
            tracing::warn!("the lease of broadcast {} was not given back: {error}", self.lease.broadcast);
        }
    }
}

/// How a driving ended.
enum Driven {
    /// Nothing is left to send.
    Finished,
    /// It was told to stop; the rest is pending.
    Stopped,
}

/// A broadcast that is being driven.
pub(super) struct Driving {
    ledger: Ledger,
    lease: Lease,
    /// Its report or why there is none, once it has ended.
    end: RefCell<Option<Result<Value, Failure>>>,
    ended: Notify,
}

impl Driving {
    /// Begins to send in a task of its own, which the run's stop ends.
    pub(super) fn start(services: &Services, role: Role) -> Rc<Self> {
        let driving = Rc::new(Self {
            ledger: role.ledger.clone(),
            lease: role.lease,
            end: RefCell::default(),
            ended: Notify::new(),
        });
        let (stop, tally, clock) =
            (services.stop.stop().clone(), Rc::clone(&services.tally), services.clock.clone());
        let task = Rc::clone(&driving);
        tokio::task::spawn_local(async move {
            let end = to_end(role, &stop, &tally, &clock).await;
            task.end.replace(Some(end));
            task.ended.notify_waiters();
        });
        driving
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        let ended = self.ended.notified();
        if self.end.borrow().is_none() {
            ended.await;
        }
    }

    /// Waits for its end or for about a second, and tells how it stands.
    pub(super) async fn wait(&self, clock: &Clock) -> Result<Value, Failure> {
        // Whether it came to its end in time is seen below.
        let _ = clock.timeout(TOLD, self.ended()).await;
        let end = self.end.borrow().clone().transpose()?;
        let counts = self.ledger.counts(self.lease.broadcast).await.map_err(fault)?;
        Ok(json!({ "done": end.is_some(), "progress": report::progress(&counts), "report": end }))
    }
}

/// Drives a broadcast and makes its report.
async fn to_end(mut role: Role, stop: &Stop, tally: &Tally, clock: &Clock) -> Result<Value, Failure> {
    let began = clock.now();
    let before = role.broadcast.counts.sent;
    let driven = drive_to_end(&role, stop, tally).await;
    let elapsed = clock.now() - began;
    let shown = role.ledger.show(role.lease.broadcast).await;
    let result = match (driven, shown) {
        (Err(error), _) | (_, Err(error)) => Err(fault(error)),
        (Ok(Driven::Stopped), Ok(now)) => Err(Failure::new(
            Kind::Cancelled,
            format!(
                "broadcast `{}` (run {}) was interrupted after {} of {} recipients; the same call goes on where it stopped",
                now.name,
                now.run,
                now.counts.sent,
                now.counts.total()
            ),
        )),
        (Ok(Driven::Finished), Ok(now)) => {
            let report = report::of(&now, now.counts.sent.saturating_sub(before), elapsed, role.bad_lines);
            role.ledger.finish(role.lease, &report.to_string()).await.map(|_| report).map_err(fault)
        }
    };
    role.bad_lines = 0;
    role.release().await;
    result
}

/// Sends what is pending, one call after the other, each with its intent and its outcome in the ledger. This is the one
/// place that a driver of many calls at once takes over.
async fn drive_to_end(role: &Role, stop: &Stop, tally: &Tally) -> Result<Driven, LedgerError> {
    let (ledger, lease, spec) = (&role.ledger, role.lease, &role.broadcast.spec);
    ledger.take_over(lease).await?;
    let options = SendOptions { priority: priority(spec.priority), timeout: None };
    loop {
        let pending = ledger.pending(lease, 0, 100).await?;
        if pending.is_empty() {
            return Ok(Driven::Finished);
        }
        for recipient in pending {
            if stop.is_asked() {
                return Ok(Driven::Stopped);
            }
            let (seq, attempts) = (recipient.seq, recipient.attempts + 1);
            ledger.intend(lease, vec![seq]).await?;
            let outcome = match address(role, recipient) {
                Err(why) => Outcome::failed(seq, State::Rejected, why, attempts),
                Ok(message) => match role.delivery.send(&message, options, stop, tally).await {
                    Ok(receipts) => {
                        let id = receipts.into_iter().next().map(|(_, id)| id).unwrap_or_default();
                        Outcome::sent(seq, id, attempts)
                    }
                    Err(undelivered) => {
                        Outcome::failed(seq, state_of(&undelivered), undelivered.message, attempts)
                    }
                },
            };
            ledger.settle(lease, vec![outcome]).await?;
        }
    }
}

fn address(role: &Role, recipient: Recipient) -> Result<Message, String> {
    let json = serde_json::from_slice(&recipient.message).map_err(|error| error.to_string())?;
    role.delivery
        .check_draft(role.broadcast.spec.call, json)
        .and_then(|draft| draft.address(vec![recipient.group_id], recipient.users))
        .map_err(|problems| problems.to_string())
}

const fn state_of(undelivered: &Undelivered) -> State {
    match undelivered.reason {
        Reason::InDoubt => State::InDoubt,
        Reason::Cancelled => State::Pending,
        _ => State::Rejected,
    }
}

const fn priority(priority: crate::ledger::Priority) -> Priority {
    match priority {
        crate::ledger::Priority::High => Priority::High,
        crate::ledger::Priority::Normal => Priority::Normal,
        crate::ledger::Priority::Low => Priority::Low,
    }
}
