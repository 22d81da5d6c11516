//! What others can see of this process's memory, which holds credentials.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Has the kernel write no core of this process, and let no process of the same user read its memory.
pub(super) fn keep_to_itself() {
    // Both are always granted. A system that refuses them is no reason to send nothing.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
