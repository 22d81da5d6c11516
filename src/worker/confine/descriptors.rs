//! Descriptors that the host was started with, and that its workers inherit.

use nix::unistd::close;

/// The first descriptor after standard input, output and error.
const FIRST: i32 = 3;

/// Descriptors that are tried one by one where the system does not list those that are open.
const TRIED: i32 = 4096;

/// Closes every descriptor but the three pipes to the host. Nothing of this process may be open yet.
pub(in crate::worker) fn close_inherited() {
    let listed = std::fs::read_dir("/proc/self/fd").map(|entries| {
        let names = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        names.collect::<Vec<i32>>()
    });
    let open = listed.unwrap_or_else(|_| (FIRST..TRIED).collect());
    for descriptor in open.into_iter().filter(|descriptor| *descriptor >= FIRST) {
        // One that is not open, as that of the list itself by now, needs no closing.
        let _ = close(descriptor);
    }
}
