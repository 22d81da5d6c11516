//! Confines a worker before it runs any line of a script: descriptors, resources, privileges, system calls.
//!
//! The resource limits that every kernel has are required. The other mechanisms (a separate user, Landlock, seccomp)
//! are used if the kernel and the rights of the process allow it; [`Confinement`] reports which ones are.

mod descriptors;
mod landlock;
mod seccomp;
mod user;

use std::fmt;
use std::io;

use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};

use crate::protocol::WorkerLimits;

pub(super) use descriptors::close_inherited;

/// Address space beyond the script's own values, in bytes: for the binary, its libraries, and buffers of the largest
/// frames.
const OWN_ADDRESS_SPACE: u64 = 512 * 1024 * 1024;

/// Seconds of CPU beyond the script's limit after which the kernel ends a worker that its host has not ended.
const CPU_MARGIN: u64 = 2;

/// The limits of a worker that only reports how it is confined.
const PROBE: WorkerLimits = WorkerLimits { memory: 1 << 24, cpu_ms: 1000, tasks: 1 };

/// The optional mechanisms that are active, besides the required limits.
#[derive(Debug)]
pub(super) struct Confinement {
    user: user::WorkerUser,
    landlock: Result<(), String>,
    seccomp: Result<(), String>,
}

impl fmt::Display for Confinement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.user)?;
        for (name, wall) in [("Landlock", &self.landlock), ("seccomp", &self.seccomp)] {
            match wall {
                Ok(()) => write!(formatter, "; {name} active")?,
                Err(why) => write!(formatter, "; no {name}: {why}")?,
            }
        }
        Ok(())
    }
}

/// Sets the required limits (address space, CPU time, no files, no core dump, end with the host), and then each
/// optional mechanism that is available. `parent` is the host's process id when this process began.
pub(super) fn confine(limits: &WorkerLimits, parent: Option<Pid>) -> io::Result<Confinement> {
    // If memory runs out, the kernel ends a worker before its host. This fails without `/proc`, and then the kernel
    // has no preference.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    limit(Resource::As, limits.memory.saturating_add(OWN_ADDRESS_SPACE))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nofile, 16)?;
    rustix::thread::set_no_new_privs(true)?;
    let landlock = landlock::restrict();
    move_cpu_limit(0, limits.cpu_ms)?;
    let user = user::leave_root();
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // A change of the user resets this signal, so it is set afterwards.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != parent {
        return Err(io::Error::other("the host process has ended"));
    }
    Ok(Confinement { user, landlock, seccomp: seccomp::filter() })
}

/// Makes the kernel end this process once it has used the script's limit and a margin beyond `used_ms` of CPU. The
/// worker raises the limit itself, because the host may not do so for a worker with another user.
pub(super) fn move_cpu_limit(used_ms: u64, limit_ms: u64) -> io::Result<()> {
    let seconds = used_ms.saturating_add(limit_ms).div_ceil(1000).saturating_add(CPU_MARGIN);
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: None })?)
}

/// Confines this process as if it were about to run a script, and returns how it is confined.
pub(super) fn probe(parent: Option<Pid>) -> io::Result<Confinement> {
    confine(&PROBE, parent)
}

/// Sets a hard limit. A lower existing limit stays.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let value = getrlimit(resource).maximum.map_or(value, |most| most.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}
