//! Ensures that a worker does not run as root, even if its host does.

use std::fmt;

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

/// The user and group id of `nobody` in the kernel.
const NOBODY: u32 = 65_534;

#[derive(Debug)]
pub(super) enum WorkerUser {
    /// The host is not root, and the worker runs as this user of the host.
    AsHost(u32),
    /// The host is root, and the worker runs as `nobody`.
    Nobody,
    /// The host is root, and the worker too, for this reason.
    Root(String),
}

impl fmt::Display for WorkerUser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsHost(user) => write!(formatter, "a worker runs as the host's user ({user})"),
            Self::Nobody => write!(formatter, "a worker runs as the user nobody ({NOBODY})"),
            Self::Root(why) => write!(formatter, "a worker runs as root without capabilities: {why}"),
        }
    }
}

/// Changes the user to `nobody` if this process is root, and drops all capabilities. Returns the resulting user.
pub(super) fn leave_root() -> WorkerUser {
    let user = geteuid();
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    let outcome = if user.is_root() {
        match become_nobody(held) {
            Ok(()) => WorkerUser::Nobody,
            Err(why) => WorkerUser::Root(why),
        }
    } else {
        WorkerUser::AsHost(user.as_raw())
    };
    let none = CapabilitySet::empty();
    // This fails for a process without capabilities, which has none to drop.
    let _ = set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
    outcome
}

fn become_nobody(held: CapabilitySet) -> Result<(), String> {
    // A host without `CAP_KILL` could no longer end its worker.
    for (needed, name) in [
        (CapabilitySet::SETUID, "CAP_SETUID"),
        (CapabilitySet::SETGID, "CAP_SETGID"),
        (CapabilitySet::KILL, "CAP_KILL"),
    ] {
        if !held.contains(needed) {
            return Err(format!("the host lacks {name}"));
        }
    }
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    // A worker has one thread, so setting the thread's ids sets those of the process.
    set_thread_groups(&[])
        .and_then(|()| set_thread_res_gid(group, group, group))
        .and_then(|()| set_thread_res_uid(user, user, user))
        .map_err(|error| format!("the user cannot be changed: {error}"))
}
