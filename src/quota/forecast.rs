//! Predicts how long calls will wait for their permits.

use std::time::Duration;

use super::engine::QuotaState;
use super::status::QueueStatus;
use crate::clock::Instant;
use crate::core::Priority;

impl QuotaState {
    /// The priorities in which calls wait.
    pub(super) fn waiting(&mut self, now: Instant) -> Vec<QueueStatus> {
        let forecast = self.forecast(self.queue.next_cost().unwrap_or(1), now);
        let waiting = Priority::ALL.into_iter().filter_map(|priority| {
            let mut entries = self.queue.waiting(priority);
            let calls = entries.len();
            let (_, first) = entries.next()?;
            let last = entries.next_back().map_or(first, |(_, last)| last);
            let cost = self.queue.cost(priority);
            Some(QueueStatus {
                priority,
                calls,
                cost,
                longest: now.saturating_since(first.since),
                first: forecast.wait(self.queue.before(priority, 0)),
                last: forecast.wait(self.queue.before(priority, cost - u64::from(last.cost))),
            })
        });
        waiting.collect()
    }

    /// When the next calls are expected to go, as known at `now`. The first of them costs `cost`.
    pub(super) fn forecast(&mut self, cost: u32, now: Instant) -> Forecast {
        self.slots.release(now, &self.trips);
        let mut start = now.max(self.schedule.next()).max(self.not_before);
        if !self.slots.fits(cost, start) {
            start = start.max(self.slots.next_free(now, &self.trips).unwrap_or(start));
        }
        let adapted = self.adapted(now);
        let (flow, until) = self.slots.flow(now);
        Forecast {
            start: start.saturating_since(now),
            rate: adapted.min(flow),
            changes: until.map(|until| until.saturating_since(start)),
            later: adapted.min(until.map_or(flow, |until| self.slots.flow(until).0)),
        }
    }
}

/// The first call goes after `start`. The calls after it go at `rate`, or at the rate `later` once `changes` has
/// passed.
pub(super) struct Forecast {
    start: Duration,
    rate: f64,
    changes: Option<Duration>,
    later: f64,
}

impl Forecast {
    /// The wait of a call that has `ahead` messages before it.
    pub(super) fn wait(&self, ahead: u64) -> Duration {
        let at_rate = ahead as f64 / self.rate;
        let seconds = match self.changes.map(|changes| changes.as_secs_f64()) {
            Some(changes) if at_rate > changes => changes + (at_rate - changes) * self.rate / self.later,
            _ => at_rate,
        };
        self.start.saturating_add(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}
