//! What a worker gives up before it runs a line of a script: descriptors, resources, privileges, system calls.
//!
//! The limits of the kernel that every system has are required. The walls beside them (a user of its own, Landlock,
//! seccomp) are set where the kernel and the rights of the process allow it; [`Confined`] says which are.

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

/// Address space beyond the script's own values: the binary, its libraries, buffers for the largest frames.
const OWN_ADDRESS_SPACE: u64 = 512 * 1024 * 1024;

/// Seconds of CPU on top of the script's limit until the kernel ends a worker that its host does not.
const CPU_MARGIN: u64 = 2;

/// Limits of a worker that only says how it is confined.
const PROBE: WorkerLimits = WorkerLimits { memory: 1 << 24, cpu_ms: 1000, tasks: 1 };

/// Which walls are set, besides the limits that the kernel always holds.
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
                Ok(()) => write!(formatter, "; {name} in force")?,
                Err(why) => write!(formatter, "; no {name}: {why}")?,
            }
        }
        Ok(())
    }
}

/// Sets the limits that the kernel holds (address space, CPU time, no files, no core dump, no life after the host) and
/// then each wall that can be had. `parent` is the host, as it was when this process began.
///
/// # Errors
///
/// When a limit that every kernel has cannot be set, or the host has gone.
pub(super) fn confine(limits: &WorkerLimits, parent: Option<Pid>) -> io::Result<Confinement> {
    // Where memory runs out, the kernel ends a worker before its host. Without such a file the kernel has no preference.
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
    // A change of the user resets the signal, so it is set after that.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != parent {
        return Err(io::Error::other("the host has gone"));
    }
    Ok(Confinement { user, landlock, seccomp: seccomp::filter() })
}

/// Has the kernel end this process once it has used the script's limit, and a margin, beyond `used_ms` of CPU. The worker
/// moves the limit on with its calls: the host of a worker with another user may not.
pub(super) fn move_cpu_limit(used_ms: u64, limit_ms: u64) -> io::Result<()> {
    let seconds = used_ms.saturating_add(limit_ms).div_ceil(1000).saturating_add(CPU_MARGIN);
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: None })?)
}

/// Confines this process as if it were to run a script, and says how.
///
/// # Errors
///
/// As [`confine`].
pub(super) fn probe(parent: Option<Pid>) -> io::Result<Confinement> {
    confine(&PROBE, parent)
}

/// Sets a limit for good. One that is lower already stays.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let value = getrlimit(resource).maximum.map_or(value, |most| most.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}
