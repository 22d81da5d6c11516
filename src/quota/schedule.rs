//! Spaces permits evenly by scheduled instants.
//!
//! A timer fires up to a millisecond late, and later on a busy machine. So each permit has a scheduled instant, one
//! spacing after that of the permit before, and a late driver gives at once all permits that are due. An idle quota
//! does not catch up the permits that it missed.

use std::time::Duration;

use crate::clock::Instant;

/// How far the schedule may be behind while permits are requested continuously.
const BUSY_LAG: Duration = Duration::from_millis(20);
/// How far the schedule may be behind otherwise.
const IDLE_LAG: Duration = Duration::from_millis(3);
/// A quota whose last permit is older than this was idle, unless calls waited.
const IDLE_AFTER: Duration = Duration::from_millis(5);

/// Computes when the next permit is due.
#[derive(Debug, Default)]
pub(super) struct PermitSchedule {
    next: Instant,
    last: Instant,
}

impl PermitSchedule {
    /// The instant at which the next permit is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Records that a call begins to wait in an empty queue.
    pub(super) fn queue_begins(&mut self, now: Instant) {
        self.next = self.next.max(now.saturating_sub(self.lag(now)));
    }

    fn lag(&self, now: Instant) -> Duration {
        if now.saturating_since(self.last) < IDLE_AFTER { BUSY_LAG } else { IDLE_LAG }
    }

    /// Records a permit at `now` that takes `spacing`. `waited` says whether its call was queued.
    pub(super) fn take(&mut self, now: Instant, spacing: Duration, waited: bool) {
        // At a low rate the guard frees slots unevenly, by a spacing or two.
        let lag = if waited { BUSY_LAG.max(spacing * 2) } else { self.lag(now) };
        self.next = self.next.max(now.saturating_sub(lag)) + spacing;
        self.last = now;
    }

    /// Takes back an unused permit.
    pub(super) fn give_back(&mut self, spacing: Duration) {
        self.next = self.next.saturating_sub(spacing);
    }
}
