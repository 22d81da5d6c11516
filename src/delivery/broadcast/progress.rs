//! How a broadcast stands while it is driven, for whoever shows it.

use std::cell::{Cell, RefCell};

use crate::ledger::{Counts, Outcome, State};

/// Counts that the driver keeps and others look at.
#[derive(Debug, Default)]
pub struct Progress {
    look: RefCell<Look>,
    in_flight: Cell<u64>,
}

/// A look at a [`Progress`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Recipients by state. Those in flight are counted as pending.
    pub counts: Counts,
    /// Of those sent, the ones that this driver sent.
    pub sent_now: u64,
    /// Throttled answers, each followed by a repetition.
    pub throttled: u64,
    /// Calls that are with the service right now.
    pub in_flight: u64,
    /// What the broadcast waits for, where it is not its quota.
    pub waits_for: Option<String>,
}

impl Progress {
    /// How it stands.
    #[must_use]
    pub fn look(&self) -> Look {
        Look { in_flight: self.in_flight.get(), ..self.look.borrow().clone() }
    }

    pub(super) fn begin(&self, counts: Counts) {
        self.look.borrow_mut().counts = counts;
    }

    pub(super) fn waits_for(&self, what: Option<String>) {
        self.look.borrow_mut().waits_for = what;
    }

    pub(super) fn throttled(&self) {
        self.look.borrow_mut().throttled += 1;
    }

    pub(super) fn settled(&self, outcomes: &[Outcome]) {
        let mut look = self.look.borrow_mut();
        for outcome in outcomes {
            let counts = &mut look.counts;
            let count = match outcome.state {
                State::Sent => &mut counts.sent,
                State::Rejected => &mut counts.rejected,
                State::InDoubt => &mut counts.in_doubt,
                // They wait as before.
                _ => continue,
            };
            *count += 1;
            counts.pending = counts.pending.saturating_sub(1);
            look.sent_now += u64::from(outcome.state == State::Sent);
        }
    }

    /// Counts a call as in flight for as long as the guard lives.
    pub(super) fn in_flight(&self) -> Guard<'_> {
        Guard::new(&self.in_flight)
    }
}

/// Counts one more for as long as it lives.
#[derive(Debug)]
pub(super) struct Guard<'a>(&'a Cell<u64>);

impl<'a> Guard<'a> {
    pub(super) fn new(count: &'a Cell<u64>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
