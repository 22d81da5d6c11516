//! Walks along a path once. It looks up each name once, in an open folder, so that the file that was checked is the
//! file that is used.
//!
//! If a folder is replaced by a link while a script reads through it, the walk sees either the folder or the link. It
//! checks what it sees, and goes on from that descriptor.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat, fstat, fstatfs, openat, readlinkat};
use rustix::io::Errno;

use super::inode::InodeId;
use super::protected::{HOSTS_OWN, PathGuard};

/// The most links on one path; the system has the same limit.
const MAX_LINKS: usize = 40;

/// Opens a file, a folder or a link regardless of its mode, and only as a reference.
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum WalkError {
    System(io::Error),
    /// A name, folder or file on the way is protected, for this reason.
    Refused(&'static str),
    /// A link leads out of the granted folder.
    Escapes,
    /// A link leads to a missing file.
    Nowhere,
}

impl From<Errno> for WalkError {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}

/// A walk in progress.
#[derive(Debug)]
pub(super) struct PathWalk<'a> {
    base: BorrowedFd<'a>,
    base_id: InodeId,
    guard: &'a PathGuard<'a>,
    folders: Vec<WalkedFolder>,
    links: usize,
    /// The number of names that were left after the last link was replaced by its target: the names before them
    /// belong to the link.
    after_link: Option<usize>,
}

#[derive(Debug)]
struct WalkedFolder {
    name: OsString,
    fd: OwnedFd,
    id: InodeId,
}

/// The place that a path leads to.
#[derive(Debug)]
pub(super) struct ResolvedPath {
    /// The open folder that contains it; `None` for the granted folder itself.
    pub(super) parent: Option<(OwnedFd, InodeId)>,
    /// The path in the granted folder, without links. Names that do not exist are included.
    pub(super) real: PathBuf,
    /// The file, folder or link at the place, if one exists.
    pub(super) found: Option<(OwnedFd, Stat)>,
    /// The names that are missing below `parent`: none if the place exists, several if a folder is missing.
    pub(super) missing: Vec<OsString>,
    /// The folders that contain the place, the outermost first.
    pub(super) within: Vec<InodeId>,
}

impl ResolvedPath {
    /// Returns the last name.
    pub(super) fn name(&self) -> &OsStr {
        self.real.file_name().unwrap_or_else(|| OsStr::new("."))
    }

    /// Whether a folder is there.
    pub(super) fn is_folder(&self) -> bool {
        self.found.as_ref().is_some_and(|(_, stat)| kind(stat) == FileType::Directory)
    }
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

impl<'a> PathWalk<'a> {
    /// Begins a walk in an open folder.
    pub(super) fn from(base: BorrowedFd<'a>, guard: &'a PathGuard<'a>) -> Result<Self, WalkError> {
        let base_id = InodeId::of(&fstat(base)?);
        if let Some(reason) = guard.folder(base_id) {
            return Err(WalkError::Refused(reason));
        }
        check_system(base)?;
        Ok(Self { base, base_id, guard, folders: Vec::new(), links: 0, after_link: None })
    }

    /// Walks to the end of a path. `follow` is whether a link in the last name is followed.
    pub(super) fn to(mut self, path: &Path, follow: bool) -> Result<ResolvedPath, WalkError> {
        let mut names: VecDeque<OsString> = parts(path);
        while let Some(name) = names.pop_front() {
            if name == ".." {
                if self.folders.pop().is_none() {
                    return Err(WalkError::Escapes);
                }
                continue;
            }
            self.check_name(&name)?;
            let fd = match openat(self.here(), &name, LOOK, Mode::empty()) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => return self.nothing(name, names),
                Err(error) => return Err(error.into()),
            };
            let stat = fstat(&fd)?;
            match kind(&stat) {
                FileType::Symlink if follow || !names.is_empty() => self.follow(&fd, &mut names)?,
                FileType::Directory => self.enter(name, fd, &stat)?,
                _ if names.is_empty() => return self.end(&name, fd, stat),
                _ => return Err(WalkError::System(Errno::NOTDIR.into())),
            }
        }
        self.folder()
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.folders.last().map_or(self.base, |folder| folder.fd.as_fd())
    }

    fn here_id(&self) -> InodeId {
        self.folders.last().map_or(self.base_id, |folder| folder.id)
    }

    fn check_name(&self, name: &OsStr) -> Result<(), WalkError> {
        let reason = self.guard.name(&self.within(), name);
        reason.map_or(Ok(()), |reason| Err(WalkError::Refused(reason)))
    }

    fn follow(&mut self, link: &OwnedFd, names: &mut VecDeque<OsString>) -> Result<(), WalkError> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(WalkError::System(Errno::LOOP.into()));
        }
        let target = PathBuf::from(OsString::from_vec(readlinkat(link, "", Vec::new())?.into_bytes()));
        if target.is_absolute() {
            return Err(WalkError::Escapes);
        }
        self.after_link = Some(names.len());
        for part in parts(&target).into_iter().rev() {
            names.push_front(part);
        }
        Ok(())
    }

    fn enter(&mut self, name: OsString, fd: OwnedFd, stat: &Stat) -> Result<(), WalkError> {
        let id = InodeId::of(stat);
        if id.device != self.here_id().device {
            check_system(fd.as_fd())?;
        }
        if let Some(reason) = self.guard.folder(id) {
            return Err(WalkError::Refused(reason));
        }
        self.folders.push(WalkedFolder { name, fd, id });
        Ok(())
    }

    fn within(&self) -> Vec<InodeId> {
        std::iter::once(self.base_id).chain(self.folders.iter().map(|folder| folder.id)).collect()
    }

    fn real(&self, last: Option<&OsStr>) -> PathBuf {
        self.folders.iter().map(|folder| folder.name.as_os_str()).chain(last).collect()
    }

    fn parent(self) -> Result<(OwnedFd, InodeId), WalkError> {
        let id = self.here_id();
        Ok((self.here().try_clone_to_owned().map_err(WalkError::System)?, id))
    }

    fn end(self, name: &OsStr, fd: OwnedFd, stat: Stat) -> Result<ResolvedPath, WalkError> {
        let (real, within) = (self.real(Some(name)), self.within());
        Ok(ResolvedPath {
            parent: Some(self.parent()?),
            real,
            found: Some((fd, stat)),
            missing: Vec::new(),
            within,
        })
    }

    fn nothing(self, name: OsString, rest: VecDeque<OsString>) -> Result<ResolvedPath, WalkError> {
        if self.after_link.is_some_and(|after| rest.len() >= after) {
            return Err(WalkError::Nowhere);
        }
        let mut missing = vec![name];
        let within = self.within();
        for name in rest {
            if let Some(reason) = self.guard.name(&within, &name) {
                return Err(WalkError::Refused(reason));
            }
            missing.push(name);
        }
        let real = self.real(None).join(missing.iter().collect::<PathBuf>());
        Ok(ResolvedPath { parent: Some(self.parent()?), real, found: None, missing, within })
    }

    fn folder(mut self) -> Result<ResolvedPath, WalkError> {
        let (real, within) = (self.real(None), self.within());
        let Some(last) = self.folders.pop() else {
            let fd = self.base.try_clone_to_owned().map_err(WalkError::System)?;
            let stat = fstat(&fd)?;
            return Ok(ResolvedPath {
                parent: None,
                real,
                found: Some((fd, stat)),
                missing: Vec::new(),
                within,
            });
        };
        let stat = fstat(&last.fd)?;
        let found = Some((last.fd, stat));
        Ok(ResolvedPath { parent: Some(self.parent()?), real, found, missing: Vec::new(), within })
    }
}

/// Refuses `/proc`, whose files include the environment and the memory of this process.
fn check_system(fd: BorrowedFd<'_>) -> Result<(), WalkError> {
    if fstatfs(fd)?.f_type == PROC_SUPER_MAGIC { Err(WalkError::Refused(HOSTS_OWN)) } else { Ok(()) }
}

/// Returns the names of a path, including `..`.
fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect()
}
