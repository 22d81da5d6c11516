//! What the process of the cases uses: processor time and memory, and the limits that end it.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// The most address space that a case may take beside what the process has: it ends the process before the machine
/// suffers.
const SPACE: u64 = 4 << 30;

/// Seconds of processor time after which a case that never ends is stopped.
const STOPPED_AFTER: u64 = 10;

/// Seconds after which a case that waits for something is stopped.
const WAITED_FOR: u32 = 300;

/// Returns the processor time of all threads.
pub(super) fn processor_time() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}

/// Returns a figure of `/proc/self/status` in bytes.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// The memory that the process takes more than at a moment.
pub(super) struct Growth {
    before: u64,
}

impl Growth {
    /// Begins to measure. A system without `/proc/self/clear_refs` keeps the highest figure since the process began.
    pub(super) fn begin() -> Self {
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self { before: status("VmRSS") }
    }

    /// Returns by how many bytes it was larger since then, at most.
    pub(super) fn highest(&self) -> u64 {
        status("VmHWM").saturating_sub(self.before)
    }
}

/// Limits the memory of the process, and says that it leaves no core file.
pub(super) fn limit_memory() {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).unwrap();
    setrlimit(Resource::RLIMIT_AS, status("VmSize") + SPACE, nix::sys::resource::RLIM_INFINITY).unwrap();
}

/// Gives the next case its time. A case that exceeds it ends the process.
pub(super) fn limit_time(spent: Duration) {
    let (_, hard) = getrlimit(Resource::RLIMIT_CPU).unwrap();
    setrlimit(Resource::RLIMIT_CPU, spent.as_secs() + STOPPED_AFTER, hard).unwrap();
    nix::unistd::alarm::set(WAITED_FOR);
}
