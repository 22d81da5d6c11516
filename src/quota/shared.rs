//! A quota that several processes draw on.
//!
//! What is shared are places, not permits: processes with a and b places, each with its own window guard, hold no
//! more than a + b messages in any second together. So whoever deals the places out (the ledger, through `delivery`)
//! keeps all within the quota under every way of counting, as long as a place changes hands only while no message
//! of the last second is in it.

use std::time::Duration;

use super::acquire::{Quota, QuotaInner};
use super::queue::Priority;
use super::window_slots::LentSlots;

/// What a process needs of a shared quota at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The places of the quota, those of other processes included.
    pub total: u32,
    /// The places that its messages are in.
    pub used: u32,
    /// The places that it could use soon; 0 when it is idle.
    pub need: u32,
    /// The places that its largest call takes.
    pub least: u32,
    /// For how long after its last use a place stays bound.
    pub cool: Duration,
    /// Which part of the quota there is by what the service answered this process lately, in thousandths.
    pub pace: u32,
    /// How urgent is what waits here: the parts of the priorities in which somebody does.
    pub weight: u32,
}

impl Quota {
    /// Lends this process places until an instant, in place of those that it was lent before.
    pub fn lend(&self, lent: LentSlots) {
        self.shared().lock().slots.lend(lent);
        self.shared().call_driver();
    }

    /// What this process needs now.
    #[must_use]
    pub fn demand(&self) -> Demand {
        let mut engine = self.shared().lock();
        let now = self.shared().now();
        let engine = &mut *engine;
        engine.slots.release(now, &engine.trips);
        let total = engine.slots.total();
        let used = u32::try_from(engine.slots.in_use(now)).unwrap_or(u32::MAX).min(total);
        let waiting: u64 = Priority::ALL.into_iter().map(|priority| engine.queue.cost(priority)).sum();
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        let least = self.largest_cost().min(total);
        // Half a second's worth on top, so that a claim a few times a second keeps up with whoever begins to send.
        let need = match used.saturating_add(waiting) {
            0 => 0,
            busy => busy.saturating_add(total.div_ceil(2)).max(least).min(total),
        };
        let parts = |priority| if engine.queue.cost(priority) > 0 { priority.parts() } else { 0 };
        let weight = match Priority::ALL.into_iter().map(parts).sum() {
            0 => Priority::default().parts(),
            weight => weight,
        };
        let pace = engine.paced(now);
        Demand { total, used, need, least, cool: engine.slots.longest(self.largest_cost()), pace, weight }
    }

    /// Waits until somebody waits for a permit, or has done since this was last awaited.
    pub async fn wanted(&self) {
        self.shared().want.notified().await;
    }
}

impl QuotaInner {
    /// Somebody begins to wait.
    pub(super) fn call_lender(&self) {
        self.want.notify_one();
    }
}
