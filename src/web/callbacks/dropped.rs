//! Counts and logs events that were dropped, because too many events of their job wait.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::counter;

use crate::clock::{Clock, Instant};

/// The minimum time between two log lines about one job.
const LOG_EVERY: Duration = Duration::from_mins(1);

pub(super) struct DroppedEvents {
    clock: Clock,
    /// For each job: how many were dropped since the last line, and when that line was written.
    jobs: BTreeMap<String, (u64, Option<Instant>)>,
}

impl DroppedEvents {
    pub(super) const fn new(clock: Clock) -> Self {
        Self { clock, jobs: BTreeMap::new() }
    }

    /// Counts dropped events by job, and logs them at a limited rate.
    pub(super) fn log(&mut self, dropped: BTreeMap<String, u64>) {
        let now = self.clock.now();
        for (job, count) in dropped {
            counter!("mooncast_events_dropped_total", "job" => job.clone()).increment(count);
            let (waiting, last_logged) = self.jobs.entry(job.clone()).or_default();
            *waiting += count;
            if last_logged.is_none_or(|last_logged| now.saturating_since(last_logged) >= LOG_EVERY) {
                *last_logged = Some(now);
                let dropped = std::mem::take(waiting);
                tracing::warn!(
                    job,
                    dropped,
                    "the oldest events of this job were dropped, because too many of its events wait for their runs"
                );
            }
        }
    }
}
