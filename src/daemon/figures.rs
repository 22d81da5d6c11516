//! What is counted of jobs and scripts.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::ledger::JobState;

/// What is counted of the runs of jobs.
#[derive(Debug)]
pub(super) struct RunMetrics {
    delays: Histogram,
    /// Runs that go on.
    pub(super) running: Gauge,
}

impl Default for RunMetrics {
    fn default() -> Self {
        describe_counter!("mooncast_job_runs_total", "Runs of jobs that are over, by how they ended.");
        describe_gauge!("mooncast_job_runs_running", "Runs of jobs that go on.");
        describe_histogram!(
            "mooncast_job_start_delay_seconds",
            "Time from the instant of a run to its first beginning."
        );
        Self {
            delays: histogram!("mooncast_job_start_delay_seconds"),
            running: gauge!("mooncast_job_runs_running"),
        }
    }
}

impl RunMetrics {
    /// A run begins so long after its instant. One that is entered again is late for another reason.
    pub(super) fn begins(&self, attempt: u32, late: Duration) {
        if attempt == 1 {
            self.delays.record(late);
        }
    }
}

/// A run of a job is over.
pub(super) fn run_ended(job: &str, state: JobState) {
    counter!("mooncast_job_runs_total", "job_name" => job.to_owned(), "outcome" => state.name()).increment(1);
}

/// What is counted of scripts that are loaded.
#[derive(Debug)]
pub(super) struct LoadMetrics {
    /// Loads whose version is in force.
    pub(super) taken: Counter,
    /// Loads that left what was in force.
    pub(super) refused: Counter,
}

impl Default for LoadMetrics {
    fn default() -> Self {
        describe_counter!(
            "mooncast_script_loads_total",
            "Scripts that were loaded, at the start and whenever their files change, by what became of it."
        );
        let loads = |result: &'static str| counter!("mooncast_script_loads_total", "result" => result);
        Self { taken: loads("taken"), refused: loads("refused") }
    }
}
