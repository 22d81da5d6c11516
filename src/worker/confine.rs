//! What a worker gives up before it runs a line of a script.

use std::io;

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use crate::protocol::WorkerLimits;

/// Address space beyond the script's own values: the binary, its libraries, buffers for the largest frames.
const OWN_ADDRESS_SPACE: u64 = 512 * 1024 * 1024;

/// Seconds of CPU on top of the script's limit until the kernel ends a worker whose host does not move the limit on.
const CPU_MARGIN: u64 = 2;

/// Sets the limits that the kernel holds: address space, CPU time, no files, no core dump, no life after the host.
pub(super) fn confine(limits: &WorkerLimits) -> io::Result<()> {
    // Where memory runs out, it is a worker that ends, and not its host. Where there is no such file, no one is asked.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    limit(Resource::As, limits.memory.saturating_add(OWN_ADDRESS_SPACE))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nofile, 16)?;
    // Only the soft limit: the host moves it on as long as the script calls home.
    let seconds = limits.cpu_ms.div_ceil(1000).saturating_add(CPU_MARGIN);
    setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: None })?;
    rustix::thread::set_no_new_privs(true)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}

fn limit(resource: Resource, value: u64) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}
