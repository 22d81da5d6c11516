//! No worker of a host that is root is root itself.

use std::fmt;

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

/// The user and the group `nobody`, as the kernel numbers them.
const NOBODY: u32 = 65_534;

/// Whose rights a worker has.
#[derive(Debug)]
pub(super) enum WorkerUser {
    /// The host is not root: a worker has the host's user.
    AsHost(u32),
    /// The host is root, the worker is `nobody`.
    Nobody,
    /// The host is root, and so is the worker, for this reason.
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

/// Becomes `nobody` where this process is root, and gives up all capabilities. Says what came of it.
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
    // A process without capabilities has none to give up.
    let _ = set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
    outcome
}

fn become_nobody(held: CapabilitySet) -> Result<(), String> {
    // A host that lacks KILL could not end its worker any more.
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
    // A worker has one thread, so that what is set for the thread is set for the process.
    set_thread_groups(&[])
        .and_then(|()| set_thread_res_gid(group, group, group))
        .and_then(|()| set_thread_res_uid(user, user, user))
        .map_err(|error| format!("the user cannot be changed: {error}"))
}
