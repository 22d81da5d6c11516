//! Which open folder a path belongs to.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::config::{Permissions, Project};
use crate::protocol::Failure;

use super::sentence;

/// The longest path that the system takes (`PATH_MAX`).
const MAX_PATH: usize = 4096;

/// What a script wants to do with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// One place that scripts may reach, and everything below it.
#[derive(Debug)]
pub(super) struct Grant {
    /// The place as it was named, made absolute.
    named: PathBuf,
    /// The folder that is open: the place itself, or the nearest one above it.
    pub(super) dir: Dir,
    /// Where that folder really is.
    pub(super) root: PathBuf,
    /// What of the folder is granted; empty for all.
    below: PathBuf,
    writable: bool,
}

impl Grant {
    fn open(named: PathBuf, writable: bool) -> io::Result<Self> {
        let (mut folder, mut below) = nearest(&named)?;
        if !folder.is_dir()
            && let (Some(parent), Some(name)) = (folder.parent(), folder.file_name())
        {
            below = joined(name, &below);
            folder = parent.to_owned();
        }
        let dir = Dir::open_ambient_dir(&folder, ambient_authority())
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
        Ok(Self { named, dir, root: folder, below, writable })
    }

    /// The path inside the open folder, for one that lies in this place by its names.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let real = joined(&self.root, &self.below);
        let rest = path.strip_prefix(&self.named).or_else(|_| path.strip_prefix(&real)).ok()?;
        Some(joined(&self.below, rest))
    }

    /// Whether a path in the open folder, free of links, is granted.
    pub(super) fn covers(&self, real: &Path) -> bool {
        real.starts_with(&self.below)
    }
}

/// All places, and the folder that relative paths start from.
#[derive(Debug)]
pub(super) struct Grants {
    start: PathBuf,
    grants: Vec<Grant>,
}

/// Where a path was found.
#[derive(Debug)]
pub(super) struct Located<'a> {
    pub(super) grant: &'a Grant,
    /// The path inside the grant's folder by its names; `.` for the folder itself.
    pub(super) path: PathBuf,
}

impl Grants {
    pub(super) fn open(project: &Project, permissions: &Permissions) -> io::Result<Self> {
        let start = project.root.clone();
        let mut grants = vec![Grant::open(start.clone(), true)?];
        for (paths, writable) in [(&permissions.read, false), (&permissions.write, true)] {
            for path in paths {
                grants.push(Grant::open(plain(&start.join(path)), writable)?);
            }
        }
        Ok(Self { start, grants })
    }

    pub(super) fn start(&self) -> &Path {
        &self.start
    }

    /// Finds the narrowest place that allows this. A `..` takes away the name before it.
    pub(super) fn locate(&self, text: &str, access: Access) -> Result<Located<'_>, Failure> {
        if text.is_empty() {
            return Err(sentence::invalid(text, "is no path; it is empty"));
        }
        if text.contains('\0') {
            return Err(sentence::invalid(&text.replace('\0', "\\0"), "is no path; it holds a NUL"));
        }
        if text.len() > MAX_PATH {
            return Err(sentence::invalid(text, "is longer than any path can be"));
        }
        let path = plain(&self.start.join(text));
        self.grants
            .iter()
            .filter(|grant| access == Access::Read || grant.writable)
            .filter_map(|grant| Some((grant, grant.inside(&path)?)))
            .max_by_key(|(grant, _)| grant.named.components().count())
            .map(|(grant, path)| Located { grant, path: joined(".", &path) })
            .ok_or_else(|| sentence::outside(text, &path, access))
    }
}

impl Located<'_> {
    /// Where the path really leads inside the grant's folder.
    pub(super) fn real(&self) -> io::Result<PathBuf> {
        self.grant.dir.canonicalize(&self.path)
    }

    /// The folder that holds the path, links resolved, and its last name as it stands.
    pub(super) fn entry(&self) -> io::Result<Option<PathBuf>> {
        let mut names = self.path.components().filter(|name| matches!(name, Component::Normal(_)));
        let Some(last) = names.next_back() else { return Ok(None) };
        let parent = self.path.parent().unwrap_or(Path::new("."));
        Ok(Some(joined(self.grant.dir.canonicalize(joined(".", parent))?, last)))
    }
}

/// Joins without leaving a slash at the end or a `.` at the start.
pub(super) fn joined(left: impl AsRef<Path>, right: impl AsRef<Path>) -> PathBuf {
    let parts = left.as_ref().components().chain(right.as_ref().components());
    let path: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }
}

/// An absolute path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// The nearest place on a path that is there, links resolved, and the names that are missing below it.
fn nearest(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let mut missing: Vec<OsString> = Vec::new();
    for place in path.ancestors() {
        match place.canonicalize() {
            Ok(found) => return Ok((found, missing.iter().rev().collect())),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                missing.extend(place.file_name().map(OsString::from));
            }
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }
    Err(io::Error::new(ErrorKind::NotFound, path.display().to_string()))
}
