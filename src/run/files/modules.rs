//! The folders in which modules are searched. A file that a script may not read is not a module either.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use crate::config::Project;

use super::access::Access;
use super::grants::PathGrant;
use super::protected::ProtectedFiles;
use super::walk::{PathWalk, WalkError, kind};

/// Folders in which modules are searched, in this order.
#[derive(Debug)]
pub(in super::super) struct ModuleFolders {
    root: PathBuf,
    protected: ProtectedFiles,
    folders: Vec<(String, PathGrant)>,
}

impl ModuleFolders {
    /// Opens the folders that exist, each once.
    pub(in super::super) fn open(project: &Project, wanted: Vec<PathBuf>) -> Self {
        let mut seen: Vec<PathBuf> = Vec::new();
        let mut folders = Vec::new();
        for folder in wanted {
            if seen.contains(&folder) {
                continue;
            }
            if let Ok(grant) = PathGrant::readable(&folder) {
                folders.push((project.shown(&folder), grant));
            }
            seen.push(folder);
        }
        let root = project.root.clone();
        Self { protected: ProtectedFiles::new(&root, None, &[]), root, folders }
    }

    /// Returns the same folders, which never read these files as modules.
    pub(in super::super) fn without(self, secret_files: &[PathBuf]) -> Self {
        Self { protected: ProtectedFiles::new(&self.root, None, secret_files), ..self }
    }

    /// Returns the names of the folders for display.
    pub(in super::super) fn names(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the content of a file in the folder at `index`, if the file exists. The error says why it cannot be
    /// read.
    pub(in super::super) fn read(
        &self,
        index: usize,
        path: &str,
        most: u64,
    ) -> Result<Option<Vec<u8>>, String> {
        let Some((_, grant)) = self.folders.get(index) else { return Ok(None) };
        let guard = self.protected.guard(grant, Access::Read);
        let walked =
            PathWalk::from(grant.dir.as_fd(), &guard).and_then(|walk| walk.to(Path::new(path), true));
        let spot = match walked {
            Ok(spot) => spot,
            Err(WalkError::Refused(reason)) => return Err(reason.to_owned()),
            Err(WalkError::System(_) | WalkError::Escapes | WalkError::Nowhere) => return Ok(None),
        };
        let (Some((_, stat)), Some((folder, _))) = (&spot.found, &spot.parent) else { return Ok(None) };
        if kind(stat) != FileType::RegularFile {
            return Ok(None);
        }
        let said = |error: Errno| std::io::Error::from(error).to_string();
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(folder, spot.name(), flags, Mode::empty()).map_err(said)?;
        // The file may have been replaced since the check, so the open file is checked again.
        let stat = fstat(&file).map_err(said)?;
        if kind(&stat) != FileType::RegularFile {
            return Ok(None);
        }
        if let Some(reason) = guard.file(&stat) {
            return Err(reason.to_owned());
        }
        let mut text = Vec::new();
        File::from(file).take(most + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
        if text.len() as u64 > most {
            let size = u64::try_from(stat.st_size).unwrap_or(0).max(most + 1);
            return Err(format!("{size} bytes are over the limit of {most}"));
        }
        Ok(Some(text))
    }
}
