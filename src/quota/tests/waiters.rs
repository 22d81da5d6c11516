//! The waiting calls one by one, each with its expected wait.

use std::time::Duration;

use crate::core::Priority;
use crate::quota::Quota;

/// A call that waits for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiter {
    pub(super) priority: Priority,
    pub(super) cost: u32,
    /// How long the call has waited.
    pub(super) waited: Duration,
    /// The expected further wait.
    pub(super) expected: Duration,
}

impl Quota {
    /// The expected wait of a call of `cost` that arrives now.
    pub(super) fn expected_wait(&self, cost: u32, priority: Priority) -> Duration {
        let (mut engine, now) = (self.shared().lock(), self.shared().now());
        let ahead = engine.queue.cost(priority);
        let forecast = engine.forecast(cost, now);
        forecast.wait(engine.queue.before(priority, ahead))
    }

    /// All waiting calls, by priority and then in their order.
    pub(super) fn waiters(&self) -> Vec<Waiter> {
        let (mut engine, now) = (self.shared().lock(), self.shared().now());
        let next = engine.queue.next_cost().unwrap_or(1);
        let forecast = engine.forecast(next, now);
        let mut waiters = Vec::new();
        for priority in Priority::ALL {
            let mut ahead = 0;
            for (_, entry) in engine.queue.waiting(priority) {
                let expected = forecast.wait(engine.queue.before(priority, ahead));
                let waited = now.saturating_since(entry.since);
                waiters.push(Waiter { priority, cost: entry.cost, waited, expected });
                ahead += u64::from(entry.cost);
            }
        }
        waiters
    }
}
