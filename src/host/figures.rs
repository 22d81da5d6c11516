//! What workers have used, counted when they end.

use std::time::Duration;

use metrics::{describe_histogram, histogram};

/// What a worker has used, as far as that is known.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WorkerUsage {
    /// CPU, in the kernel too.
    pub(super) cpu: Option<Duration>,
    /// The most memory that it had at once, in bytes.
    pub(super) memory: Option<u64>,
}

impl WorkerUsage {
    /// Counts a worker that has ended.
    pub(super) fn count(self) {
        describe_histogram!(
            "mooncast_worker_cpu_seconds",
            "CPU that a script's process has used, from its start to its end."
        );
        describe_histogram!(
            "mooncast_worker_peak_memory_bytes",
            "The most memory that a script's process had at once, as it was last seen."
        );
        if let Some(cpu) = self.cpu {
            histogram!("mooncast_worker_cpu_seconds").record(cpu);
        }
        if let Some(memory) = self.memory {
            histogram!("mooncast_worker_peak_memory_bytes").record(memory as f64);
        }
    }
}
