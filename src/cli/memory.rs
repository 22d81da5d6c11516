//! What others can see of this process's memory, which holds credentials; and how many files it may have open.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Open files that are enough for the most runs at once, each with all that it may have open.
const FILES: u64 = 65_536;

/// Has the kernel write no core of this process, and let no process of the same user read its memory.
pub(super) fn keep_to_itself() {
    // Both are always granted. A system that refuses them is no reason to send nothing.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Raises the number of files that this process may have open as far as it may raise it.
pub(super) fn open_many() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES, |most| most.min(FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        // With fewer, calls of scripts fail sooner.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}
