//! Counts the outcomes of a run's messages for its summary.

use std::cell::Cell;

use super::BroadcastSummary;
use crate::core::Call;

/// The counts of one run. A message to three groups, users or rooms counts as three.
#[derive(Debug, Default)]
pub struct SendCounters {
    recipient: Cell<Option<&'static str>>,
    sent: Cell<u64>,
    rejected: Cell<u64>,
    in_doubt: Cell<u64>,
    not_sent: Cell<u64>,
    skipped: Cell<u64>,
    refused: Cell<u64>,
    without_recipients: Cell<u64>,
    in_flight: Cell<u64>,
    requests_in_doubt: Cell<u64>,
    sent_before: Cell<u64>,
    /// Recipients of broadcasts that ended before and do not have the message. They are in the other counts too.
    lacking_before: Cell<u64>,
}

/// A copy of [`SendCounters`] at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendCounts {
    /// The noun for one of the recipients: `group`, `user`, `room`, or `recipient` for several kinds. None before the
    /// first send.
    pub recipient: Option<&'static str>,
    /// Recipients whose message the service accepted.
    pub sent: u64,
    /// Recipients whose message the service rejected.
    pub rejected: u64,
    /// Recipients that may or may not have the message.
    pub in_doubt: u64,
    /// Recipients whose message was given up before it was sent.
    pub not_sent: u64,
    /// Recipients that broadcasts of this run skipped.
    pub skipped: u64,
    /// Throttled answers. Each such call is retried.
    pub throttled: u64,
    /// Recipients whose message is in flight.
    pub in_flight: u64,
    /// Broadcasts whose audience had no recipients.
    pub without_recipients: u64,
    /// Calls of `im.request` that may or may not have been made.
    pub requests_in_doubt: u64,
    /// Broadcasts and single sends that sent nothing, because they were sent before.
    pub sent_before: u64,
    /// Of the recipients without the message, those of broadcasts that were sent before.
    pub lacking_before: u64,
}

impl SendCounts {
    /// The noun for one of the recipients.
    pub fn noun(&self) -> &'static str {
        self.recipient.unwrap_or(Call::Group.recipient())
    }

    /// Whether every message was delivered and no audience was empty.
    pub const fn all_delivered(&self) -> bool {
        self.rejected == 0
            && self.in_doubt == 0
            && self.not_sent == 0
            && self.without_recipients == 0
            && self.requests_in_doubt == 0
    }

    /// Whether the run sent nothing, because everything that it requested had been sent before.
    pub const fn all_sent_before(&self) -> bool {
        self.sent_before > 0
            && self.sent == 0
            && self.rejected + self.in_doubt + self.not_sent == self.lacking_before
            && self.without_recipients == 0
            && self.requests_in_doubt == 0
    }
}

impl SendCounters {
    /// Copies the counts of this moment.
    pub fn counts(&self) -> SendCounts {
        SendCounts {
            recipient: self.recipient.get(),
            sent: self.sent.get(),
            rejected: self.rejected.get(),
            in_doubt: self.in_doubt.get(),
            not_sent: self.not_sent.get(),
            skipped: self.skipped.get(),
            throttled: self.refused.get(),
            in_flight: self.in_flight.get(),
            without_recipients: self.without_recipients.get(),
            requests_in_doubt: self.requests_in_doubt.get(),
            sent_before: self.sent_before.get(),
            lacking_before: self.lacking_before.get(),
        }
    }

    /// Counts the result of a broadcast: `sent_now` recipients that got the message in this run, and all its recipients that do
    /// not have the message.
    pub fn broadcast(&self, call: Call, report: &BroadcastSummary, sent_now: u64) {
        self.settled(call, report, sent_now);
        self.skipped.set(self.skipped.get() + report.skipped);
    }

    fn settled(&self, call: Call, report: &BroadcastSummary, sent_now: u64) {
        self.sends(call);
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

    /// Counts a broadcast that ended before, of which nothing is sent now.
    pub fn broadcast_before(&self, call: Call, report: &BroadcastSummary) {
        let lacking = |counts: &SendCounts| counts.rejected + counts.in_doubt + counts.not_sent;
        let before = lacking(&self.counts());
        self.settled(call, report, 0);
        let more = lacking(&self.counts()) - before;
        self.lacking_before.set(self.lacking_before.get() + more);
        add(&self.sent_before, 1);
    }

    /// Counts a single send whose message was sent before.
    pub(super) fn send_before(&self) {
        add(&self.sent_before, 1);
    }

    /// Notes that the run sends with this call.
    pub(super) fn sends(&self, call: Call) {
        let noun = match self.recipient.get() {
            Some(known) if known != call.recipient() => "recipient",
            _ => call.recipient(),
        };
        self.recipient.set(Some(noun));
    }

    /// Counts a broadcast whose audience had no recipients.
    pub fn no_recipients(&self) {
        add(&self.without_recipients, 1);
    }

    /// Counts everything in flight as in doubt, because its answers are not waited for.
    pub fn give_up(&self) {
        self.in_doubt.set(self.in_doubt.get() + self.in_flight.get());
    }

    pub(super) fn sent(&self, recipients: usize) {
        add(&self.sent, recipients);
    }

    pub(super) fn rejected(&self, recipients: usize) {
        add(&self.rejected, recipients);
    }

    pub(super) fn in_doubt(&self, recipients: usize) {
        add(&self.in_doubt, recipients);
    }

    pub(super) fn not_sent(&self, recipients: usize) {
        add(&self.not_sent, recipients);
    }

    pub(super) fn request_in_doubt(&self) {
        add(&self.requests_in_doubt, 1);
    }

    pub(super) fn throttled(&self) {
        add(&self.refused, 1);
    }

    /// Counts these recipients as in flight for as long as the guard lives.
    pub(super) fn in_flight(&self, recipients: usize) -> InFlightGuard<'_> {
        add(&self.in_flight, recipients);
        InFlightGuard { tally: self, recipients }
    }
}

fn add(count: &Cell<u64>, more: usize) {
    count.set(count.get() + more as u64);
}

/// The guard of [`SendCounters::in_flight`].
#[derive(Debug)]
pub(super) struct InFlightGuard<'a> {
    tally: &'a SendCounters,
    recipients: usize,
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        let count = &self.tally.in_flight;
        count.set(count.get() - self.recipients as u64);
    }
}
