//! Finds the granted folder that a path belongs to.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::config::{DATA_FOLDER, Permissions, Project};
use crate::protocol::RequestFailure;

use super::MountedFile;
use super::access::Access;
use super::inode::InodeId;
use super::names;
use super::sentence;

/// The folder that scripts may write to without a grant. It is created by the first write.
pub(super) const DATA: &str = DATA_FOLDER;

/// The longest path that the system accepts (`PATH_MAX`).
const MAX_PATH: usize = 4096;

/// A granted path, and everything below it.
#[derive(Debug)]
pub(super) struct PathGrant {
    /// The absolute path as the permissions name it.
    named: PathBuf,
    /// The open folder: the granted path itself, or its nearest existing ancestor.
    pub(super) dir: OwnedFd,
    /// The real path of the open folder.
    pub(super) root: PathBuf,
    /// The granted path relative to the open folder; empty if the grant covers all of it.
    below: PathBuf,
    /// Whether it grants reading, and whether it grants writing.
    access: [bool; 2],
    /// The folders above the open one.
    pub(super) above: Vec<InodeId>,
    /// Whether names that begin with a dot may be written in it.
    pub(super) opens_hidden: bool,
    /// Whether the granted folder is created by the first write to it.
    pub(super) made: bool,
}

impl PathGrant {
    fn open(named: PathBuf, access: [bool; 2], project: &Path) -> io::Result<Self> {
        let (mut folder, mut below) = nearest(&named)?;
        if !folder.is_dir()
            && let Some(name) = folder.file_name()
        {
            below = joined(name, &below);
            folder.pop();
        }
        let opens_hidden = match joined(&folder, &below).strip_prefix(project) {
            Ok(inside) => inside.components().any(|part| names::is_hidden(part.as_os_str())),
            Err(_) => !project.starts_with(&folder),
        };
        Self::at(named, folder, below, access, opens_hidden)
    }

    /// Grants reading of an existing folder, and everything below it.
    pub(super) fn readable(folder: &Path) -> io::Result<Self> {
        Self::at(folder.to_owned(), folder.to_owned(), PathBuf::new(), [true, false], false)
    }

    /// Grants reading of one file of the host under another name, which is relative to the project's folder.
    fn mounted(mount: &MountedFile, project: &Path) -> io::Result<Self> {
        let nowhere = || io::Error::new(ErrorKind::NotFound, mount.path.display().to_string());
        let folder = mount.path.parent().ok_or_else(nowhere)?.to_owned();
        let name = mount.path.file_name().ok_or_else(nowhere)?;
        let grant = Self::at(project.join(&mount.name), folder, name.into(), [true, false], false)?;
        // The host keeps the file in a folder of its own, of which only this file is granted.
        Ok(Self { above: Vec::new(), ..grant })
    }

    /// Grants writing to the project's `data` folder: a name in the project folder, which may be a link.
    fn data(project: &Path) -> io::Result<Self> {
        let grant = Self::at(project.join(DATA), project.to_owned(), DATA.into(), [false, true], true)?;
        Ok(Self { made: true, ..grant })
    }

    fn at(
        named: PathBuf,
        root: PathBuf,
        below: PathBuf,
        access: [bool; 2],
        opens_hidden: bool,
    ) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = openat(CWD, &root, flags, Mode::empty()).map_err(|error| {
            let error = io::Error::from(error);
            io::Error::new(error.kind(), format!("{}: {error}", root.display()))
        })?;
        let above = root.ancestors().skip(1).filter_map(InodeId::at).collect();
        Ok(Self { named, dir, root, below, access, above, opens_hidden, made: false })
    }

    const fn allows(&self, access: Access) -> bool {
        match access {
            Access::Read => self.access[0],
            Access::Write => self.access[1],
        }
    }

    /// Returns the path relative to the open folder, if the path's names lie within the granted path.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let real = joined(&self.root, &self.below);
        let rest = path.strip_prefix(&self.named).or_else(|_| path.strip_prefix(&real)).ok()?;
        Some(joined(&self.below, rest))
    }

    /// Whether a path in the open folder, without links, is granted.
    pub(super) fn covers(&self, real: &Path) -> bool {
        real.starts_with(&self.below)
    }
}

/// All grants, and the folder that relative paths start from.
#[derive(Debug)]
pub(super) struct PathGrants {
    start: PathBuf,
    grants: Vec<PathGrant>,
}

#[derive(Debug)]
pub(super) struct LocatedPath<'a> {
    pub(super) grant: &'a PathGrant,
    /// The path relative to the grant's folder, by names; `.` is the folder itself.
    pub(super) path: PathBuf,
}

impl PathGrants {
    pub(super) fn open(project: &Project, permissions: &Permissions) -> io::Result<Self> {
        let start = project.root.clone();
        let mut grants =
            vec![PathGrant::open(start.clone(), [true, false], &start)?, PathGrant::data(&start)?];
        for (paths, access) in [(&permissions.read, [true, false]), (&permissions.write, [true, true])] {
            for path in paths {
                grants.push(PathGrant::open(plain(&start.join(path)), access, &start)?);
            }
        }
        Ok(Self { start, grants })
    }

    /// Grants reading of files under other names.
    pub(super) fn mount(&mut self, mounts: &[MountedFile]) -> io::Result<()> {
        for mount in mounts {
            self.grants.push(PathGrant::mounted(mount, &self.start)?);
        }
        Ok(())
    }

    pub(super) fn start(&self) -> &Path {
        &self.start
    }

    /// Finds the narrowest grant that allows this access. A `..` removes the name before it. If no grant allows it,
    /// the error is the absolute path.
    pub(super) fn locate(&self, text: &str, access: Access) -> Result<LocatedPath<'_>, PathBuf> {
        let path = plain(&self.start.join(text));
        self.grants
            .iter()
            .filter(|grant| grant.allows(access))
            .filter_map(|grant| Some((grant, grant.inside(&path)?)))
            .max_by_key(|(grant, _)| grant.named.components().count())
            .map(|(grant, path)| LocatedPath { grant, path: joined(".", &path) })
            .ok_or(path)
    }

    /// Shortens a path in the project, as errors show it and as grants name it.
    pub(super) fn shown<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.start).unwrap_or(path)
    }
}

/// Checks whether a text can be a path at all.
pub(super) fn check_text(text: &str) -> Result<(), RequestFailure> {
    if text.is_empty() {
        return Err(sentence::invalid(text, "is not a path; it is empty"));
    }
    if text.contains('\0') {
        return Err(sentence::invalid(&text.replace('\0', "\\0"), "is not a path; it holds a NUL"));
    }
    if text.len() > MAX_PATH {
        return Err(sentence::invalid(text, "is longer than any path can be"));
    }
    Ok(())
}

/// Joins two paths, without a slash at the end or a `.` at the start.
pub(super) fn joined(left: impl AsRef<Path>, right: impl AsRef<Path>) -> PathBuf {
    let parts = left.as_ref().components().chain(right.as_ref().components());
    let path: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }
}

/// Removes `.` and `..` from an absolute path.
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

/// Returns the real path of the nearest existing ancestor, and the names missing below it.
fn nearest(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let mut missing: Vec<OsString> = Vec::new();
    for ancestor in path.ancestors() {
        match ancestor.canonicalize() {
            Ok(found) => return Ok((found, missing.iter().rev().collect())),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                missing.extend(ancestor.file_name().map(OsString::from));
            }
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }
    Err(io::Error::new(ErrorKind::NotFound, path.display().to_string()))
}
