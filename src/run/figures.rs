//! Metrics of the resources that workers use, recorded when each worker ends.

use std::time::Duration;

use metrics::{describe_histogram, histogram};

/// The resources that one worker used; `None` where the amount is unknown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WorkerUsage {
    /// CPU time, in user and in kernel mode.
    pub(super) cpu: Option<Duration>,
    /// Peak memory, in bytes.
    pub(super) memory: Option<u64>,
}

impl WorkerUsage {
    /// Records the usage of a worker that ended.
    pub(super) fn count(self) {
        describe_histogram!(
            "mooncast_worker_cpu_seconds",
            "CPU time that a script's process used from its start to its end."
        );
        describe_histogram!(
            "mooncast_worker_peak_memory_bytes",
            "Peak memory of a script's process, as last measured."
        );
        if let Some(cpu) = self.cpu {
            histogram!("mooncast_worker_cpu_seconds").record(cpu);
        }
        if let Some(memory) = self.memory {
            histogram!("mooncast_worker_peak_memory_bytes").record(memory as f64);
        }
    }
}
