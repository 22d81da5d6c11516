//! Closes file descriptors that the host was started with, and that its workers inherit.

use nix::unistd::close;

/// The first descriptor after standard input, output and error.
const FIRST: i32 = 3;

/// The end of the range of descriptors that are closed one by one if the system does not list the open ones.
const TRIED: i32 = 4096;

/// Closes every descriptor except the three pipes to the host. This process must not have opened any descriptor yet.
pub(in crate::worker) fn close_inherited() {
    let listed = std::fs::read_dir("/proc/self/fd").map(|entries| {
        let names = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        names.collect::<Vec<i32>>()
    });
    let open = listed.unwrap_or_else(|_| (FIRST..TRIED).collect());
    for descriptor in open.into_iter().filter(|descriptor| *descriptor >= FIRST) {
        // This fails for a descriptor that is not open, such as that of the listing itself.
        let _ = close(descriptor);
    }
}
