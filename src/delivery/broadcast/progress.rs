//! The live progress of a broadcast while it is driven, for display.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::clock::Instant;
use crate::ledger::{RecipientCounts, RecipientOutcome, RecipientState};

/// Counts that the driver updates and other code reads.
#[derive(Debug, Default)]
pub struct BroadcastProgress {
    look: RefCell<ProgressSnapshot>,
    in_flight: Cell<u64>,
    /// Calls that wait before a retry.
    retrying: Cell<u64>,
}

/// What a broadcast waits for, other than its quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// A command that resumes it. The text is the note of the pause, if it has one.
    Resume(Option<String>),
    /// An approval of its plan.
    Approval,
    /// The start of its sending hours, at this time since 1970.
    Window(Duration),
    /// The next stage of its ramp.
    Ramp {
        /// The stage that has ended, from 1.
        stage: u32,
        /// Since 1970.
        until: Duration,
    },
    /// The retry of failed calls.
    Retry {
        /// The number of calls.
        calls: u64,
        /// When the call that failed last is retried.
        at: Instant,
        /// Whether the service cannot be reached at all.
        unreachable: bool,
    },
    /// The store, which does not answer. The text is its error.
    Store(String),
    /// Other hosts, which send to the remaining recipients.
    Hosts,
    /// The service's records of messages in doubt.
    Records {
        /// The number of messages in doubt.
        doubts: u64,
        /// When the records are complete at the latest, since 1970.
        until: Option<Duration>,
    },
}

/// A copy of a [`BroadcastProgress`] at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgressSnapshot {
    /// Recipients by state. Those in flight count as pending.
    pub counts: RecipientCounts,
    /// Recipients that this driver has sent to.
    pub sent_now: u64,
    /// Recipients that this driver has settled: sent, rejected or in doubt.
    pub settled_now: u64,
    /// Throttled answers. The driver retries each such call.
    pub throttled: u64,
    /// Calls whose answer has not come yet.
    pub in_flight: u64,
    /// What the broadcast waits for, other than its quota.
    pub waits_for: Option<WaitReason>,
}

impl BroadcastProgress {
    /// Copies the counts of this moment.
    pub fn snapshot(&self) -> ProgressSnapshot {
        let mut look = ProgressSnapshot { in_flight: self.in_flight.get(), ..self.look.borrow().clone() };
        // A call that is retried does not clear `waits_for`, so it is corrected here.
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

    /// Counts a call as waiting before a retry for as long as the guard lives.
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
                RecipientState::Sent => &mut counts.sent,
                RecipientState::Rejected => &mut counts.rejected,
                RecipientState::InDoubt => &mut counts.in_doubt,
                // The recipient is still pending.
                _ => continue,
            };
            *count += 1;
            counts.pending = counts.pending.saturating_sub(1);
            look.sent_now += u64::from(outcome.state == RecipientState::Sent);
            look.settled_now += 1;
        }
    }

    /// Counts recipients that were skipped instead of sent to.
    pub(super) fn skipped(&self, recipients: u64) {
        let counts = &mut self.look.borrow_mut().counts;
        counts.skipped += recipients;
        counts.pending = counts.pending.saturating_sub(recipients);
    }

    /// Counts a call as in flight for as long as the guard lives.
    pub(super) fn in_flight(&self) -> CountGuard<'_> {
        CountGuard::new(&self.in_flight)
    }
}

/// Raises a count by one for as long as the guard lives.
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
