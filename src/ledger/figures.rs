//! Metrics of the ledger's writes.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, describe_counter, describe_histogram, histogram};

/// Metrics of the ledger's writes.
#[derive(Debug)]
pub(super) struct CommitMetrics {
    commits: Counter,
    failures: Counter,
    times: Histogram,
}

impl CommitMetrics {
    pub(super) fn new() -> Self {
        describe_counter!("mooncast_ledger_commits_total", "Writes of the ledger that are on the disk.");
        describe_counter!(
            "mooncast_ledger_failed_writes_total",
            "Writes of the ledger that failed or were given up half-way."
        );
        describe_histogram!(
            "mooncast_ledger_commit_duration_seconds",
            "Time from the beginning of a write until it was on the disk."
        );
        Self {
            commits: counter!("mooncast_ledger_commits_total"),
            failures: counter!("mooncast_ledger_failed_writes_total"),
            times: histogram!("mooncast_ledger_commit_duration_seconds"),
        }
    }

    pub(super) fn committed(&self, took: Duration) {
        self.commits.increment(1);
        self.times.record(took);
    }

    pub(super) fn failed(&self) {
        self.failures.increment(1);
    }
}
