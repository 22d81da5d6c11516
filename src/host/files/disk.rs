//! The blocking work on files: each call finds the place, asks whether it is protected, then does one thing.

use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cap_std::fs::{Dir, File, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{OFlags, PROC_SUPER_MAGIC, fstatfs};

use crate::config::{Permissions, Project};
use crate::protocol::Failure;

use super::grants::{Access, Grants, Located, joined};
use super::protected::{HOSTS_OWN, Protected};
use super::sentence::{denied, invalid, of_system, outside};
use super::{FileInfo, MAX_READ, OpenedFile};

/// The most names of one folder that are listed: they travel in one frame.
const MAX_NAMES: usize = 50_000;

/// Neither waits for the other end of a pipe, nor follows a link put there meanwhile, nor takes over a terminal.
const CAREFUL: OFlags = OFlags::NONBLOCK.union(OFlags::NOFOLLOW).union(OFlags::NOCTTY);

#[derive(Debug)]
pub(super) struct Disk {
    grants: Grants,
    protected: Protected,
}

/// A place that may be reached: a path in an open folder, free of links.
struct Place<'a> {
    dir: &'a Dir,
    path: PathBuf,
    /// What is there now.
    found: Option<Metadata>,
}

impl Disk {
    pub(super) fn open(
        project: &Project,
        permissions: &Permissions,
        secret_files: &[PathBuf],
    ) -> io::Result<Self> {
        Ok(Self {
            grants: Grants::open(project, permissions)?,
            protected: Protected::new(&project.root, secret_files),
        })
    }

    pub(super) fn read(&self, text: &str) -> Result<Bytes, Failure> {
        let (file, size) = self.open_regular(text)?;
        let too_large = || {
            invalid(text, &format!("is larger than {MAX_READ} bytes, which is the most that is read at once"))
        };
        if size > MAX_READ {
            return Err(too_large());
        }
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        file.take(MAX_READ + 1)
            .read_to_end(&mut content)
            .map_err(|error| of_system(text, &error, Access::Read))?;
        // It may have grown meanwhile.
        if content.len() as u64 > MAX_READ {
            return Err(too_large());
        }
        Ok(content.into())
    }

    pub(super) fn open_upload(&self, text: &str) -> Result<OpenedFile, Failure> {
        let (file, len) = self.open_regular(text)?;
        let name = Path::new(text).file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(OpenedFile { file: file.into_std(), name: name.unwrap_or_else(|| "file".to_owned()), len })
    }

    pub(super) fn replace(&self, text: &str, content: &[u8]) -> Result<(), Failure> {
        let place = self.to_write(text)?;
        put(&place, content).map_err(|error| of_system(text, &error, Access::Write))
    }

    pub(super) fn append(&self, text: &str, content: &[u8]) -> Result<(), Failure> {
        let place = self.to_write(text)?;
        let failed = |error: io::Error| of_system(text, &error, Access::Write);
        let mut options = careful();
        options.append(true).create(true);
        let mut file = place.dir.open_with(&place.path, &options).map_err(failed)?;
        self.check_open(text, &file, Access::Write)?;
        file.write_all(content).map_err(failed)
    }

    pub(super) fn list(&self, text: &str) -> Result<Vec<String>, Failure> {
        let place = self.existing(text, Access::Read)?;
        if !place.found.as_ref().is_some_and(Metadata::is_dir) {
            return Err(invalid(text, "is no folder"));
        }
        let failed = |error: io::Error| of_system(text, &error, Access::Read);
        let mut names = Vec::new();
        for entry in place.dir.read_dir(&place.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if Protected::name(&name) {
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

    pub(super) fn info(&self, text: &str) -> Result<Option<FileInfo>, Failure> {
        let located = self.locate(text, Access::Read)?;
        let place = match located.real() {
            Ok(_) => self.existing(text, Access::Read)?,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(of_system(text, &error, Access::Read)),
        };
        Ok(place.found.map(|found| FileInfo {
            kind: match (found.is_file(), found.is_dir()) {
                (true, _) => "file",
                (_, true) => "folder",
                _ => "other",
            },
            size: found.len(),
            modified_unix: u64::try_from(found.mtime()).unwrap_or(0),
        }))
    }

    pub(super) fn make_folder(&self, text: &str) -> Result<(), Failure> {
        let located = self.locate(text, Access::Write)?;
        let failed = |error: io::Error| of_system(text, &error, Access::Write);
        let path = deepest(&located).map_err(failed)?;
        self.check_path(text, &located, &path, Access::Write)?;
        let dir = &located.grant.dir;
        dir.create_dir_all(&path).map_err(failed)
    }

    pub(super) fn remove(&self, text: &str) -> Result<(), Failure> {
        let located = self.locate(text, Access::Write)?;
        let failed = |error: io::Error| of_system(text, &error, Access::Write);
        let Some(entry) = located.entry().map_err(failed)? else {
            return Err(invalid(text, "is the granted folder itself, which stays"));
        };
        self.check_path(text, &located, &entry, Access::Write)?;
        let dir = &located.grant.dir;
        if dir.symlink_metadata(&entry).map_err(failed)?.is_dir() {
            dir.remove_dir(&entry).map_err(failed)
        } else {
            dir.remove_file(&entry).map_err(failed)
        }
    }

    /// The absolute path that this leads to, links resolved as far as anything is there, if it may be reached.
    pub(super) fn resolve(&self, text: &str, access: Access) -> Result<PathBuf, Failure> {
        let located = self.locate(text, access)?;
        let path = deepest(&located).map_err(|error| of_system(text, &error, access))?;
        self.check_path(text, &located, &path, access)?;
        Ok(joined(&located.grant.root, path))
    }

    /// Whether a file may be written here, without writing it.
    pub(super) fn check_write(&self, text: &str) -> Result<(), Failure> {
        self.to_write(text).map(drop)
    }

    /// The folder that relative paths start from.
    pub(super) fn root(&self) -> &Path {
        self.grants.start()
    }

    fn open_regular(&self, text: &str) -> Result<(File, u64), Failure> {
        let place = self.existing(text, Access::Read)?;
        self.check_regular(text, place.found.as_ref(), Access::Read)?;
        let mut options = careful();
        options.read(true);
        let file = place
            .dir
            .open_with(&place.path, &options)
            .map_err(|error| of_system(text, &error, Access::Read))?;
        // What was looked at may have been replaced meanwhile: what is open decides.
        let size = self.check_open(text, &file, Access::Read)?;
        Ok((file, size))
    }

    /// A path where something is.
    fn existing<'a>(&'a self, text: &str, access: Access) -> Result<Place<'a>, Failure> {
        let located = self.locate(text, access)?;
        let failed = |error: io::Error| of_system(text, &error, access);
        let path = located.real().map_err(failed)?;
        self.check_path(text, &located, &path, access)?;
        let dir = &located.grant.dir;
        let found = dir.metadata(&path).map_err(failed)?;
        Ok(Place { dir, path, found: Some(found) })
    }

    /// A path for a file, there or not yet there.
    fn to_write<'a>(&'a self, text: &str) -> Result<Place<'a>, Failure> {
        let located = self.locate(text, Access::Write)?;
        match located.real() {
            Ok(_) => {
                let place = self.existing(text, Access::Write)?;
                self.check_regular(text, place.found.as_ref(), Access::Write)?;
                Ok(place)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let entry = located.entry().map_err(|error| match error.kind() {
                    ErrorKind::NotFound => {
                        invalid(text, "lies in a folder that is not there; make it with fs.mkdir")
                    }
                    _ => of_system(text, &error, Access::Write),
                })?;
                let path = entry.ok_or_else(|| invalid(text, "is a folder"))?;
                self.check_path(text, &located, &path, Access::Write)?;
                let dir = &located.grant.dir;
                if dir.symlink_metadata(&path).is_ok() {
                    return Err(invalid(text, "is a link that leads nowhere"));
                }
                Ok(Place { dir, path, found: None })
            }
            Err(error) => Err(of_system(text, &error, Access::Write)),
        }
    }

    /// Where a path is by its names. Those count as well as where they lead, and before it is told whether anything
    /// is there: a protected folder may itself be a link, or not be there yet.
    fn locate<'a>(&'a self, text: &str, access: Access) -> Result<Located<'a>, Failure> {
        let located = self.grants.locate(text, access)?;
        match self.protected.by_path(&located.grant.root, &located.path, access) {
            Some(reason) => Err(denied(text, reason)),
            None => Ok(located),
        }
    }

    fn check_path(&self, text: &str, located: &Located, real: &Path, access: Access) -> Result<(), Failure> {
        let grant = located.grant;
        if !grant.covers(real) {
            return Err(outside(text, &joined(&grant.root, real), access));
        }
        match self.protected.by_path(&grant.root, real, access) {
            Some(reason) => Err(denied(text, reason)),
            None => Ok(()),
        }
    }

    fn check_open(&self, text: &str, file: &File, access: Access) -> Result<u64, Failure> {
        // The environment and the memory of this very process are files there.
        let system = fstatfs(file).map_err(|error| of_system(text, &error.into(), access))?;
        if system.f_type == PROC_SUPER_MAGIC {
            return Err(denied(text, HOSTS_OWN));
        }
        let found = file.metadata().map_err(|error| of_system(text, &error, access))?;
        self.check_regular(text, Some(&found), access)?;
        Ok(found.len())
    }

    fn check_regular(&self, text: &str, found: Option<&Metadata>, access: Access) -> Result<(), Failure> {
        let Some(found) = found else { return Ok(()) };
        if found.is_dir() {
            return Err(invalid(text, "is a folder"));
        }
        if !found.is_file() {
            return Err(invalid(text, "is no regular file"));
        }
        self.protected.by_identity(found, access).map_or(Ok(()), |reason| Err(denied(text, reason)))
    }
}

fn careful() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(CAREFUL.bits().cast_signed());
    options
}

/// Writes beside the place, then takes it over in one step.
fn put(place: &Place, content: &[u8]) -> io::Result<()> {
    let name = format!(".mooncast-{:016x}.tmp", rand::random::<u64>());
    let beside = joined(place.path.parent().unwrap_or(Path::new(".")), name);
    let mut options = careful();
    options.write(true).create_new(true);
    let mut file = place.dir.open_with(&beside, &options)?;
    let written = file
        .write_all(content)
        .and_then(|()| match &place.found {
            Some(old) => file.set_permissions(old.permissions()),
            None => Ok(()),
        })
        .and_then(|()| file.sync_data())
        .and_then(|()| place.dir.rename(&beside, place.dir, &place.path));
    if written.is_err() {
        // The failure that matters is the first one.
        let _ = place.dir.remove_file(&beside);
    }
    written
}

/// A path of which the upper part may be there: that part free of links, the rest as it is named.
fn deepest(located: &Located) -> io::Result<PathBuf> {
    for upper in located.path.ancestors() {
        match located.grant.dir.canonicalize(joined(".", upper)) {
            Ok(real) => {
                let rest = located.path.strip_prefix(upper).unwrap_or(Path::new(""));
                return Ok(joined(real, rest));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(located.path.clone())
}
