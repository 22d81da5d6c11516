//! Protects this process's memory, which contains credentials, and raises its limit of open files.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Enough open files for the maximum number of concurrent runs, each with its own maximum.
const FILES: u64 = 65_536;

/// Disables core dumps of this process, and denies other processes of the same user access to its memory.
pub(super) fn disable_core_dumps() {
    // Linux always permits both. A system that refuses is not a reason to stop, so the results are ignored.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Raises the limit of open files as far as permitted.
pub(super) fn open_many() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES, |most| most.min(FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        // With fewer files, calls of scripts fail earlier.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}

/// What the program itself takes, before it does anything for a script.
const OWN: u64 = 64 * 1024 * 1024;

/// Limits the memory of this process to what the program itself takes and `more` bytes. A process that wants more is aborted.
pub(super) fn bound(more: u64) -> std::io::Result<()> {
    let limit = getrlimit(Resource::Data);
    let wanted = OWN.saturating_add(more);
    let current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
    Ok(setrlimit(Resource::Data, Rlimit { current, maximum: limit.maximum })?)
}
