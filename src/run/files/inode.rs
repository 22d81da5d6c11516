//! Which file something is, under whatever name.

use std::path::Path;

use rustix::fs::{Stat, stat};

/// Identifies a file, independently of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InodeId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl InodeId {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }

    /// Returns the id of the file that a path leads to now, through links.
    pub(super) fn at(path: &Path) -> Option<Self> {
        stat(path).ok().map(|stat| Self::of(&stat))
    }
}
