//! The blocking file operations: each walks to its path once, checks the result, and uses exactly that.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, fchmod, fstat, mkdirat, openat, renameat, unlinkat,
};
use rustix::io::Errno;

use crate::config::{Permissions, Project};
use crate::protocol::RequestFailure;

use super::access::Access;
use super::grants::{DATA, LocatedPath, PathGrant, PathGrants, check_text, joined};
use super::names;
use super::protected::{PathGuard, ProtectedFiles};
use super::sentence::{denied, escapes, invalid, nowhere, of_system, outside};
use super::walk::{PathWalk, ResolvedPath, WalkError, kind};
use super::{FileInfo, FileStore, MAX_READ, MountedFile, OpenedFile};

/// The most names of a folder that are listed, because they travel in one frame.
const MAX_NAMES: usize = 50_000;

/// The flags of every open: it never blocks on a pipe, follows no link that replaced the file, and takes over no
/// terminal.
const CAREFUL: OFlags = OFlags::NONBLOCK.union(OFlags::NOFOLLOW).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// The most permissive modes of new files and folders; the process's umask removes bits.
const NEW_FILE: u32 = 0o666;
const NEW_FOLDER: u32 = 0o777;

#[derive(Debug)]
pub(super) struct Disk {
    grants: PathGrants,
    protected: ProtectedFiles,
}

/// A checked destination of a write: a name in an open folder.
struct WriteTarget<'a> {
    guard: PathGuard<'a>,
    folder: OwnedFd,
    spot: ResolvedPath,
}

impl Disk {
    pub(super) fn open(
        project: &Project,
        permissions: &Permissions,
        secret_files: &[PathBuf],
        script: Option<&Path>,
        mounts: &[MountedFile],
    ) -> io::Result<Self> {
        let mut grants = PathGrants::open(project, permissions)?;
        grants.mount(mounts)?;
        Ok(Self { grants, protected: ProtectedFiles::new(&project.root, script, secret_files) })
    }

    pub(super) fn replace(&self, text: &str, content: &[u8]) -> Result<(), RequestFailure> {
        let target = self.to_write(text)?;
        let old = target.spot.found.as_ref().map(|(_, stat)| stat);
        put(&target.folder, target.spot.name(), old, content).map_err(|error| of_system(text, &error))
    }

    pub(super) fn append(&self, text: &str, content: &[u8]) -> Result<(), RequestFailure> {
        let target = self.to_write(text)?;
        let failed = |error: io::Error| of_system(text, &error);
        let flags = CAREFUL | OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
        let file = openat(&target.folder, target.spot.name(), flags, Mode::from_raw_mode(NEW_FILE));
        let file = file.map_err(|error| failed(error.into()))?;
        // The file may have been replaced since the check, so the open file is checked again.
        let stat = fstat(&file).map_err(|error| failed(error.into()))?;
        check_regular(text, &stat)?;
        if let Some(reason) = target.guard.in_place(&stat) {
            return Err(denied(text, reason));
        }
        File::from(file).write_all(content).map_err(failed)
    }

    /// Resolves the absolute path of `text`, following links as far as they exist. Fails unless the permissions allow
    /// `access`.
    pub(super) fn resolve(&self, text: &str, access: Access) -> Result<PathBuf, RequestFailure> {
        let (guard, located) = self.locate(text, access)?;
        let spot = self.walk(text, &guard, &located, true)?;
        Ok(joined(&located.grant.root, spot.real))
    }

    /// Checks whether a file may be written, without writing it. Returns the folder that would be created for it.
    pub(super) fn check_write(&self, text: &str) -> Result<Option<PathBuf>, RequestFailure> {
        let (guard, located) = self.locate(text, Access::Write)?;
        let spot = self.walk(text, &guard, &located, true)?;
        check_place(text, &guard, &located, &spot)?;
        let made = spot.missing.len() > 1;
        Ok(made.then(|| joined(&located.grant.root, spot.real.parent().unwrap_or(Path::new(".")))))
    }

    /// Whether a folder is at this absolute path: `None` if nothing is there. Fails if the path may not be reached.
    pub(super) fn folder_at(&self, path: &Path) -> Result<Option<bool>, RequestFailure> {
        Ok(self.info(&path.to_string_lossy())?.map(|info| info.kind == "folder"))
    }

    /// Returns the folder that relative paths start from.
    pub(super) fn root(&self) -> &Path {
        self.grants.start()
    }

    fn open_regular(&self, text: &str) -> Result<(File, u64), RequestFailure> {
        let (guard, located) = self.locate(text, Access::Read)?;
        let spot = self.walk(text, &guard, &located, true)?;
        let failed = |error: Errno| of_system(text, &error.into());
        let Some((_, stat)) = &spot.found else { return Err(invalid(text, "is not there")) };
        check_regular(text, stat)?;
        let Some((folder, _)) = &spot.parent else { return Err(invalid(text, "is a folder")) };
        let file = openat(folder, spot.name(), CAREFUL | OFlags::RDONLY, Mode::empty()).map_err(failed)?;
        // The file may have been replaced since the check, so the open file is checked again.
        let stat = fstat(&file).map_err(failed)?;
        check_regular(text, &stat)?;
        if let Some(reason) = guard.file(&stat) {
            return Err(denied(text, reason));
        }
        Ok((file.into(), u64::try_from(stat.st_size).unwrap_or(0)))
    }

    /// Returns the destination of a write, for a file that may not exist yet. Creates the project's `data` folder if
    /// it is missing.
    fn to_write<'a>(&'a self, text: &str) -> Result<WriteTarget<'a>, RequestFailure> {
        let (guard, located) = self.locate(text, Access::Write)?;
        let mut spot = self.walk(text, &guard, &located, true)?;
        check_place(text, &guard, &located, &spot)?;
        let failed = |stopped| of_walk(text, stopped, Access::Write);
        if spot.missing.len() > 1 {
            make(&guard, &spot, spot.missing.len() - 1).map_err(failed)?;
            spot = self.walk(text, &guard, &located, true)?;
            check_place(text, &guard, &located, &spot)?;
        }
        let Some((folder, _)) = &spot.parent else { return Err(invalid(text, "is a folder")) };
        let folder = folder.try_clone().map_err(|error| of_system(text, &error))?;
        Ok(WriteTarget { guard, folder, spot })
    }

    /// Returns the grant for a path, and the files protected now.
    fn locate<'a>(
        &'a self,
        text: &str,
        access: Access,
    ) -> Result<(PathGuard<'a>, LocatedPath<'a>), RequestFailure> {
        check_text(text)?;
        match self.grants.locate(text, access) {
            Ok(located) => Ok((self.protected.guard(located.grant, access), located)),
            Err(path) => {
                let shown = self.grants.shown(&path);
                // A grant would not open these paths, so the error does not suggest one.
                let reason = (access == Access::Write && shown != path)
                    .then(|| ProtectedFiles::by_names(shown))
                    .flatten();
                Err(reason.map_or_else(|| outside(text, shown, access), |reason| denied(text, reason)))
            }
        }
    }

    fn walk(
        &self,
        text: &str,
        guard: &PathGuard,
        located: &LocatedPath,
        follow: bool,
    ) -> Result<ResolvedPath, RequestFailure> {
        let access = guard.access();
        let walk = PathWalk::from(located.grant.dir.as_fd(), guard);
        let spot = walk
            .and_then(|walk| walk.to(&located.path, follow))
            .map_err(|stopped| of_walk(text, stopped, access))?;
        self.check_spot(text, guard, located, &spot)?;
        Ok(spot)
    }

    fn check_spot(
        &self,
        text: &str,
        guard: &PathGuard,
        located: &LocatedPath,
        spot: &ResolvedPath,
    ) -> Result<(), RequestFailure> {
        let PathGrant { root, .. } = located.grant;
        if !located.grant.covers(&spot.real) {
            let real = joined(root, &spot.real);
            return Err(outside(text, self.grants.shown(&real), guard.access()));
        }
        guard.spot(spot).map_or(Ok(()), |reason| Err(denied(text, reason)))
    }
}

impl FileStore for Disk {
    fn read(&self, text: &str) -> Result<Bytes, RequestFailure> {
        let (file, size) = self.open_regular(text)?;
        let too_large =
            || invalid(text, &format!("is larger than {MAX_READ} bytes, the most that one call reads"));
        if size > MAX_READ {
            return Err(too_large());
        }
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        file.take(MAX_READ + 1).read_to_end(&mut content).map_err(|error| of_system(text, &error))?;
        // The file may have grown since its size was read.
        if content.len() as u64 > MAX_READ {
            return Err(too_large());
        }
        Ok(content.into())
    }

    fn open_upload(&self, text: &str) -> Result<OpenedFile, RequestFailure> {
        let (file, len) = self.open_regular(text)?;
        let name = Path::new(text).file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(OpenedFile { file, name: name.unwrap_or_else(|| "file".to_owned()), len })
    }

    fn write(&self, text: &str, content: &[u8], append: bool) -> Result<(), RequestFailure> {
        if append { self.append(text, content) } else { self.replace(text, content) }
    }

    fn list(&self, text: &str) -> Result<Vec<String>, RequestFailure> {
        let (guard, located) = self.locate(text, Access::Read)?;
        let spot = self.walk(text, &guard, &located, true)?;
        let failed = |error: Errno| of_system(text, &error.into());
        let (found, stat) = spot.found.as_ref().ok_or_else(|| invalid(text, "is not there"))?;
        if kind(stat) != FileType::Directory {
            return Err(invalid(text, "is not a folder"));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(found, ".", flags, Mode::empty()).map_err(failed)?;
        let mut names = Vec::new();
        for entry in Dir::new(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "." || name == ".." || names::is_hosts(OsStr::new(&name)) {
                continue;
            }
            if names.len() == MAX_NAMES {
                return Err(invalid(text, &format!("holds more than {MAX_NAMES} names")));
            }
            names.push(name);
        }
        names.sort();
        Ok(names)
    }

    fn info(&self, text: &str) -> Result<Option<FileInfo>, RequestFailure> {
        let (guard, located) = self.locate(text, Access::Read)?;
        let spot = match PathWalk::from(located.grant.dir.as_fd(), &guard)
            .and_then(|walk| walk.to(&located.path, true))
        {
            Ok(spot) => spot,
            Err(WalkError::Nowhere) => return Ok(None),
            Err(WalkError::System(error)) if error.raw_os_error() == Some(Errno::NOTDIR.raw_os_error()) => {
                return Ok(None);
            }
            Err(stopped) => return Err(of_walk(text, stopped, Access::Read)),
        };
        self.check_spot(text, &guard, &located, &spot)?;
        Ok(spot.found.map(|(_, stat)| FileInfo {
            kind: match kind(&stat) {
                FileType::RegularFile => "file",
                FileType::Directory => "folder",
                _ => "other",
            },
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified_unix: u64::try_from(stat.st_mtime).unwrap_or(0),
        }))
    }

    fn make_folder(&self, text: &str) -> Result<(), RequestFailure> {
        let (guard, located) = self.locate(text, Access::Write)?;
        let spot = self.walk(text, &guard, &located, true)?;
        if spot.found.is_some() {
            return if spot.is_folder() { Ok(()) } else { Err(invalid(text, "is there already")) };
        }
        make(&guard, &spot, spot.missing.len())
            .map(drop)
            .map_err(|stopped| of_walk(text, stopped, Access::Write))
    }

    fn remove(&self, text: &str) -> Result<(), RequestFailure> {
        let (guard, located) = self.locate(text, Access::Write)?;
        let spot = self.walk(text, &guard, &located, false)?;
        let failed = |error: Errno| of_system(text, &error.into());
        let Some((folder, _)) = &spot.parent else {
            return Err(invalid(text, "is the granted folder itself, which stays"));
        };
        if located.grant.made && spot.real == Path::new(DATA) {
            return Err(invalid(text, "is the granted folder itself, which stays"));
        }
        let Some((_, stat)) = &spot.found else { return Err(invalid(text, "is not there")) };
        let flags = if kind(stat) == FileType::Directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        unlinkat(folder, spot.name(), flags).map_err(failed)
    }
}

fn check_regular(text: &str, stat: &Stat) -> Result<(), RequestFailure> {
    match kind(stat) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(invalid(text, "is a folder")),
        _ => Err(invalid(text, "is not a regular file")),
    }
}

/// Checks whether a file can be written at this place.
fn check_place(
    text: &str,
    guard: &PathGuard,
    located: &LocatedPath,
    spot: &ResolvedPath,
) -> Result<(), RequestFailure> {
    if let Some((_, stat)) = &spot.found {
        check_regular(text, stat)?;
        return guard.file(stat).map_or(Ok(()), |reason| Err(denied(text, reason)));
    }
    let made = located.grant.made && spot.missing.len() == 2 && spot.real.components().count() == 2;
    if spot.missing.len() > 1 && !made {
        return Err(invalid(text, "lies in a folder that is not there; make it with fs.mkdir"));
    }
    if located.grant.made && spot.missing.len() == 1 && spot.real.components().count() == 1 {
        return Err(invalid(text, "is a folder"));
    }
    Ok(())
}

fn of_walk(text: &str, stopped: WalkError, access: Access) -> RequestFailure {
    match stopped {
        WalkError::System(error) => of_system(text, &error),
        WalkError::Refused(reason) => denied(text, reason),
        WalkError::Escapes => escapes(text, access),
        WalkError::Nowhere => nowhere(text),
    }
}

/// Creates the first `count` missing folders of a path, each in the one before it.
fn make(guard: &PathGuard, spot: &ResolvedPath, count: usize) -> Result<(), WalkError> {
    let Some((parent, _)) = &spot.parent else { return Ok(()) };
    let mut folder = parent.try_clone().map_err(WalkError::System)?;
    let mut within = spot.within.clone();
    for name in spot.missing.iter().take(count) {
        if let Some(reason) = guard.name(&within, name).or_else(|| guard.written(&within, name)) {
            return Err(WalkError::Refused(reason));
        }
        match mkdirat(&folder, name, Mode::from_raw_mode(NEW_FOLDER)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let made = PathWalk::from(folder.as_fd(), guard)?.to(Path::new(name), false)?;
        let (fd, stat) = made.found.ok_or(WalkError::Nowhere)?;
        if kind(&stat) != FileType::Directory {
            return Err(WalkError::System(Errno::NOTDIR.into()));
        }
        within.push(super::inode::InodeId::of(&stat));
        folder = fd;
    }
    Ok(())
}

/// Writes a temporary file in the same folder, and renames it over the destination.
fn put(folder: &OwnedFd, name: &OsStr, old: Option<&Stat>, content: &[u8]) -> io::Result<()> {
    let beside = format!(".mooncast-{:016x}.tmp", rand::random::<u64>());
    let flags = CAREFUL | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut file = File::from(openat(folder, &beside, flags, Mode::from_raw_mode(NEW_FILE))?);
    let written = file
        .write_all(content)
        .and_then(|()| match old {
            Some(old) => Ok(fchmod(&file, Mode::from_raw_mode(old.st_mode))?),
            None => Ok(()),
        })
        .and_then(|()| file.sync_data())
        .and_then(|()| Ok(renameat(folder, &beside, folder, name)?));
    if written.is_err() {
        // If this fails too, the first error is the one to report.
        let _ = unlinkat(folder, &beside, AtFlags::empty());
    }
    written
}
