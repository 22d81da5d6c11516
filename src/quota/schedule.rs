//! Even spacing by scheduled instants.
//!
//! A timer wakes up to a millisecond late, and a busy machine later still. So each permit has its scheduled instant,
//! one spacing after that of the permit before, and a late waker hands out at once all that were due. What an idle
//! quota has missed is not caught up.

use std::time::Duration;

use crate::clock::Instant;

/// How far the schedule may be behind while permits are wanted all the time.
const BUSY_LAG: Duration = Duration::from_millis(20);
/// How far it may be behind otherwise.
const IDLE_LAG: Duration = Duration::from_millis(3);
/// A quota whose last permit is older than this was idle, unless somebody waited.
const IDLE_AFTER: Duration = Duration::from_millis(5);

/// When the next permit is due.
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

    /// Somebody begins to wait where nobody did.
    pub(super) fn queue_begins(&mut self, now: Instant) {
        self.next = self.next.max(now.saturating_sub(self.lag(now)));
    }

    fn lag(&self, now: Instant) -> Duration {
        if now.saturating_since(self.last) < IDLE_AFTER { BUSY_LAG } else { IDLE_LAG }
    }

    /// A permit that takes `spacing` is given at `now`, to one of those who `waited` or to a newcomer.
    pub(super) fn take(&mut self, now: Instant, spacing: Duration, waited: bool) {
        // At a low rate the guard frees places unevenly, by a spacing or two.
        let lag = if waited { BUSY_LAG.max(spacing * 2) } else { self.lag(now) };
        self.next = self.next.max(now.saturating_sub(lag)) + spacing;
        self.last = now;
    }

    /// A permit came back unused.
    pub(super) fn give_back(&mut self, spacing: Duration) {
        self.next = self.next.saturating_sub(spacing);
    }
}
