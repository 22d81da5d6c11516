//! A quota that several processes share.
//!
//! The processes share slots, not permits. Processes with a and b slots, each with its own window guard, send no more
//! than a + b messages in any second together. The ledger deals the slots out, through `delivery`. It keeps all
//! processes within the quota under every way of counting, provided that a slot changes hands only while it holds no
//! message of the last second.

use crate::core::Priority;
use std::time::Duration;

use super::acquire::{Quota, QuotaInner};
use super::window_slots::LentSlots;

/// The slots that a process needs of a shared quota at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The slots of the quota, including those of other processes.
    pub total: u32,
    /// The slots that hold this process's messages.
    pub used: u32,
    /// The slots that the process could use soon; 0 when it is idle.
    pub need: u32,
    /// The slots that its largest call takes.
    pub least: u32,
    /// How long a slot stays bound after its last use.
    pub cool: Duration,
    /// The part of the quota that is available, by the answers that this process got recently, in thousandths.
    pub pace: u32,
    /// The urgency of the waiting calls: the sum of the parts of the priorities in which calls wait.
    pub weight: u32,
}

impl Quota {
    /// Lends this process slots until an instant. They replace the slots lent before.
    pub fn lend(&self, lent: LentSlots) {
        self.shared().lock().slots.lend(lent);
        self.shared().call_driver();
    }

    /// The slots that this process needs now.
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
        // Half a second's quota on top lets a few claims a second keep up with a process that begins to send.
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

    /// Waits until a call waits for a permit, or has done so since the last wait.
    pub async fn wanted(&self) {
        self.shared().want.notified().await;
    }
}

impl QuotaInner {
    /// Wakes the lender, because a call begins to wait.
    pub(super) fn call_lender(&self) {
        self.want.notify_one();
    }
}
