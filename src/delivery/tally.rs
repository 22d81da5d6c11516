//! Counts the outcomes of a run's messages for its summary.

use std::cell::Cell;

use super::BroadcastSummary;

/// The counts of one run. A message to three groups counts as three.
#[derive(Debug, Default)]
pub struct SendCounters {
    sent: Cell<u64>,
    rejected: Cell<u64>,
    in_doubt: Cell<u64>,
    not_sent: Cell<u64>,
    refused: Cell<u64>,
    without_recipients: Cell<u64>,
    in_flight: Cell<u64>,
}

/// A copy of [`SendCounters`] at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendCounts {
    /// Groups whose message the service accepted.
    pub sent: u64,
    /// Groups whose message the service rejected.
    pub rejected: u64,
    /// Groups that may or may not have the message.
    pub in_doubt: u64,
    /// Groups whose message was given up before it was sent.
    pub not_sent: u64,
    /// Throttled answers. Each such call is retried.
    pub throttled: u64,
    /// Groups whose message is in flight.
    pub in_flight: u64,
    /// Broadcasts whose audience had no recipients.
    pub without_recipients: u64,
}

impl SendCounts {
    /// Whether every message was delivered and no audience was empty.
    pub const fn all_delivered(&self) -> bool {
        self.rejected == 0 && self.in_doubt == 0 && self.not_sent == 0 && self.without_recipients == 0
    }
}

impl SendCounters {
    /// Copies the counts of this moment.
    pub fn counts(&self) -> SendCounts {
        SendCounts {
            sent: self.sent.get(),
            rejected: self.rejected.get(),
            in_doubt: self.in_doubt.get(),
            not_sent: self.not_sent.get(),
            throttled: self.refused.get(),
            in_flight: self.in_flight.get(),
            without_recipients: self.without_recipients.get(),
        }
    }

    /// Counts the result of a broadcast: `sent_now` recipients that this run sent to, and all its recipients that do
    /// not have the message.
    pub fn broadcast(&self, report: &BroadcastSummary, sent_now: u64) {
        let settled = report.sent + report.rejected + report.in_doubt + report.skipped + report.cancelled;
        for (count, more) in [
            (&self.sent, sent_now),
            (&self.rejected, report.rejected),
            (&self.in_doubt, report.in_doubt),
            (&self.not_sent, report.cancelled + report.total.saturating_sub(settled)),
        ] {
            count.set(count.get() + more);
        }
    }

    /// Counts a broadcast whose audience had no recipients.
    pub fn no_recipients(&self) {
        add(&self.without_recipients, 1);
    }

    /// Counts everything in flight as in doubt, because its answers are not waited for.
    pub fn give_up(&self) {
        self.in_doubt.set(self.in_doubt.get() + self.in_flight.get());
    }

    pub(super) fn sent(&self, groups: usize) {
        add(&self.sent, groups);
    }

    pub(super) fn rejected(&self, groups: usize) {
        add(&self.rejected, groups);
    }

    pub(super) fn in_doubt(&self, groups: usize) {
        add(&self.in_doubt, groups);
    }

    pub(super) fn not_sent(&self, groups: usize) {
        add(&self.not_sent, groups);
    }

    pub(super) fn throttled(&self) {
        add(&self.refused, 1);
    }

    /// Counts these groups as in flight for as long as the guard lives.
    pub(super) fn in_flight(&self, groups: usize) -> InFlightGuard<'_> {
        add(&self.in_flight, groups);
        InFlightGuard { tally: self, groups }
    }
}

fn add(count: &Cell<u64>, more: usize) {
    count.set(count.get() + more as u64);
}

/// The guard of [`SendCounters::in_flight`].
#[derive(Debug)]
pub(super) struct InFlightGuard<'a> {
    tally: &'a SendCounters,
    groups: usize,
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        let count = &self.tally.in_flight;
        count.set(count.get() - self.groups as u64);
    }
}
