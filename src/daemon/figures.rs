//! Metrics of jobs and scripts.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::ledger::JobState;

#[derive(Debug)]
pub(super) struct RunMetrics {
    delays: Histogram,
    /// The number of active runs.
    pub(super) running: Gauge,
}

impl Default for RunMetrics {
    fn default() -> Self {
        describe_counter!("mooncast_job_runs_total", "Finished runs of jobs, by outcome.");
        describe_gauge!("mooncast_job_runs_running", "Active runs of jobs.");
        describe_histogram!(
            "mooncast_job_start_delay_seconds",
            "Time from the scheduled time of a run to its first start."
        );
        Self {
            delays: histogram!("mooncast_job_start_delay_seconds"),
            running: gauge!("mooncast_job_runs_running"),
        }
    }
}

impl RunMetrics {
    /// Records how long after its scheduled time a run began. A repeated run is late for another reason and is not
    /// counted.
    pub(super) fn begins(&self, attempt: u32, late: Duration) {
        if attempt == 1 {
            self.delays.record(late);
        }
    }
}

/// Counts a finished run of a job.
pub(super) fn run_ended(job: &str, state: JobState) {
    counter!("mooncast_job_runs_total", "job_name" => job.to_owned(), "outcome" => state.name()).increment(1);
}

#[derive(Debug)]
pub(super) struct LoadMetrics {
    /// Loads whose version became active.
    pub(super) taken: Counter,
    pub(super) refused: Counter,
}

impl Default for LoadMetrics {
    fn default() -> Self {
        describe_counter!(
            "mooncast_script_loads_total",
            "Loads of scripts, at the start and at each change of a file, by result."
        );
        let loads = |result: &'static str| counter!("mooncast_script_loads_total", "result" => result);
        Self { taken: loads("taken"), refused: loads("refused") }
    }
}
