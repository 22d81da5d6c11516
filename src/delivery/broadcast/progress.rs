//! How a broadcast stands while it is driven, for whoever shows it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::clock::Instant;
use crate::ledger::{DeliveryState, RecipientCounts, RecipientOutcome};

/// Counts that the driver keeps and others look at.
#[derive(Debug, Default)]
pub struct BroadcastProgress {
    look: RefCell<ProgressSnapshot>,
    in_flight: Cell<u64>,
    /// Calls that wait for another try.
    retrying: Cell<u64>,
}

/// What a broadcast waits for, where it is not its quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// Somebody who resumes it: it is paused, and this is why, where they said so.
    Resume(Option<String>),
    /// The opening of its window, at this instant since 1970.
    Window(Duration),
    /// Another try of calls that failed.
    Retry {
        /// How many.
        calls: u64,
        /// When the one that failed last is tried again.
        at: Instant,
        /// Whether the service cannot be reached at all.
        unreachable: bool,
    },
    /// The store, which does not answer; what it says.
    Store(String),
    /// Other hosts, which send to the rest.
    Hosts,
}

/// A look at a [`Progress`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgressSnapshot {
    /// Recipients by state. Those in flight are counted as pending.
    pub counts: RecipientCounts,
    /// Of those sent, the ones that this driver sent.
    pub sent_now: u64,
    /// Recipients that this driver has settled: sent, refused or in doubt.
    pub settled_now: u64,
    /// Throttled answers, each followed by a repetition.
    pub throttled: u64,
    /// Calls that are with the service right now.
    pub in_flight: u64,
    /// What the broadcast waits for, where it is not its quota.
    pub waits_for: Option<WaitReason>,
}

impl BroadcastProgress {
    /// How it stands.
    #[must_use]
    pub fn snapshot(&self) -> ProgressSnapshot {
        let mut look = ProgressSnapshot { in_flight: self.in_flight.get(), ..self.look.borrow().clone() };
        // Those that are tried again have told nobody that they no longer wait.
        match (&mut look.waits_for, self.retrying.get()) {
            (Some(WaitReason::Retry { .. }), 0) => look.waits_for = None,
            (Some(WaitReason::Retry { calls, .. }), retrying) => *calls = retrying,
            _ => {}
        }
        look
    }

    pub(super) fn begin(&self, counts: RecipientCounts) {
        self.look.borrow_mut().counts = counts;
    }

    pub(super) fn waits_for(&self, what: Option<WaitReason>) {
        self.look.borrow_mut().waits_for = what;
    }

    /// Counts a call as waiting for another try for as long as the guard lives.
    pub(super) fn retries(&self, at: Instant, unreachable: bool) -> CountGuard<'_> {
        self.look.borrow_mut().waits_for = Some(WaitReason::Retry { calls: 0, at, unreachable });
        CountGuard::new(&self.retrying)
    }

    pub(super) fn throttled(&self) {
        self.look.borrow_mut().throttled += 1;
    }

    pub(super) fn settled(&self, outcomes: &[RecipientOutcome]) {
        let mut look = self.look.borrow_mut();
        for outcome in outcomes {
            let counts = &mut look.counts;
            let count = match outcome.state {
                DeliveryState::Sent => &mut counts.sent,
                DeliveryState::Rejected => &mut counts.rejected,
                DeliveryState::InDoubt => &mut counts.in_doubt,
                // They wait as before.
                _ => continue,
            };
            *count += 1;
            counts.pending = counts.pending.saturating_sub(1);
            look.sent_now += u64::from(outcome.state == DeliveryState::Sent);
            look.settled_now += 1;
        }
    }

    /// Counts a call as in flight for as long as the guard lives.
    pub(super) fn in_flight(&self) -> CountGuard<'_> {
        CountGuard::new(&self.in_flight)
    }
}

/// Counts one more for as long as it lives.
#[derive(Debug)]
pub(super) struct CountGuard<'a>(&'a Cell<u64>);

impl<'a> CountGuard<'a> {
    pub(super) fn new(count: &'a Cell<u64>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for CountGuard<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
