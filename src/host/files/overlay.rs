//! Changes to files that stay in memory, as a rehearsal makes them: later reads see them, the disk does not.
//!
//! What is allowed is decided as for the disk itself; only the last step differs.

use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;

use crate::protocol::{Failure, Kind};

use super::disk::Disk;
use super::grants::Access;
use super::sentence::invalid;
use super::{FileInfo, MAX_READ, OpenedFile};

/// One change to a file or folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// `write`, `make folder` or `remove`.
    pub change: &'static str,
    /// What it is done to, relative to the project where it is inside.
    pub path: String,
    /// Bytes that a file would have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What lies over a place.
#[derive(Debug)]
enum Laid {
    File(Vec<u8>),
    Folder,
    Nothing,
}

/// The changes, by what their paths really lead to.
#[derive(Debug)]
pub(super) struct Overlay {
    laid: Mutex<BTreeMap<PathBuf, Laid>>,
    /// When its files were changed, as far as scripts are told: seconds since 1970.
    modified_unix: u64,
}

impl Overlay {
    pub(super) fn new(modified_unix: u64) -> Self {
        Self { laid: Mutex::default(), modified_unix }
    }

    fn laid(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Laid>> {
        self.laid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All changes, by path.
    pub(super) fn changes(&self, root: &Path) -> Vec<FileChange> {
        let change = |(path, laid): (&PathBuf, &Laid)| {
            let (change, bytes) = match laid {
                Laid::File(content) => ("write", Some(content.len() as u64)),
                Laid::Folder => ("make folder", None),
                Laid::Nothing => ("remove", None),
            };
            FileChange { change, path: path.strip_prefix(root).unwrap_or(path).display().to_string(), bytes }
        };
        self.laid().iter().map(change).collect()
    }

    pub(super) fn read(&self, disk: &Disk, text: &str) -> Result<Bytes, Failure> {
        match self.laid().get(&disk.resolve(text, Access::Read)?) {
            Some(Laid::File(content)) => Ok(Bytes::copy_from_slice(content)),
            Some(Laid::Folder) => Err(invalid(text, "is a folder")),
            Some(Laid::Nothing) => Err(invalid(text, "is not there")),
            None => disk.read(text),
        }
    }

    pub(super) fn open_upload(&self, disk: &Disk, text: &str) -> Result<OpenedFile, Failure> {
        let laid = self.laid();
        let content = match laid.get(&disk.resolve(text, Access::Read)?) {
            Some(Laid::File(content)) => content,
            Some(Laid::Folder) => return Err(invalid(text, "is a folder")),
            Some(Laid::Nothing) => return Err(invalid(text, "is not there")),
            None => return disk.open_upload(text),
        };
        // One that has no name, and is gone when it is closed.
        let file = tempfile::tempfile().and_then(|mut file| {
            file.write_all(content)?;
            file.rewind()?;
            Ok(file)
        });
        let file = file.map_err(|error| Failure::new(Kind::Rejected, format!("`{text}`: {error}")))?;
        let name = Path::new(text).file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(OpenedFile { file, name: name.unwrap_or_else(|| "file".to_owned()), len: content.len() as u64 })
    }

    pub(super) fn write(&self, disk: &Disk, text: &str, content: &[u8], append: bool) -> Result<(), Failure> {
        let place = disk.resolve(text, Access::Write)?;
        let mut laid = self.laid();
        match place.parent().and_then(|parent| laid.get(parent)) {
            Some(Laid::Folder) => {}
            Some(_) => {
                return Err(invalid(text, "lies in a folder that is not there; make it with fs.mkdir"));
            }
            None => {
                if let Some(made) = disk.check_write(text)? {
                    laid.insert(made, Laid::Folder);
                }
            }
        }
        let old = match laid.get_mut(&place) {
            Some(Laid::Folder) => return Err(invalid(text, "is a folder")),
            Some(Laid::File(old)) if append => {
                old.extend_from_slice(content);
                return Ok(());
            }
            None if append && disk.info(text)?.is_some() => disk.read(text)?,
            _ => Bytes::new(),
        };
        if (old.len() + content.len()) as u64 > MAX_READ {
            return Err(invalid(
                text,
                &format!("would be larger than {MAX_READ} bytes, the most in a rehearsal"),
            ));
        }
        laid.insert(place, Laid::File([&old, content].concat()));
        Ok(())
    }

    pub(super) fn list(&self, disk: &Disk, text: &str) -> Result<Vec<String>, Failure> {
        let place = disk.resolve(text, Access::Read)?;
        let laid = self.laid();
        let mut names = match laid.get(&place) {
            Some(Laid::Folder) => Vec::new(),
            Some(Laid::File(_)) => return Err(invalid(text, "is no folder")),
            Some(Laid::Nothing) => return Err(invalid(text, "is not there")),
            None => disk.list(text)?,
        };
        for (path, over) in laid.iter().filter(|(path, _)| path.parent() == Some(&place)) {
            let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
                continue;
            };
            names.retain(|known| *known != name);
            if !matches!(over, Laid::Nothing) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn info(&self, disk: &Disk, text: &str) -> Result<Option<FileInfo>, Failure> {
        let modified_unix = self.modified_unix;
        Ok(match self.laid().get(&disk.resolve(text, Access::Read)?) {
            Some(Laid::File(content)) => {
                Some(FileInfo { kind: "file", size: content.len() as u64, modified_unix })
            }
            Some(Laid::Folder) => Some(FileInfo { kind: "folder", size: 0, modified_unix }),
            Some(Laid::Nothing) => None,
            None => disk.info(text)?,
        })
    }

    pub(super) fn make_folder(&self, disk: &Disk, text: &str) -> Result<(), Failure> {
        let place = disk.resolve(text, Access::Write)?;
        let mut laid = self.laid();
        for folder in place.ancestors() {
            match laid.get(folder) {
                Some(Laid::Folder) => return Ok(()),
                Some(Laid::File(_)) => {
                    return Err(invalid(text, "leads through something that is no folder"));
                }
                Some(Laid::Nothing) => {}
                // What may not be looked at is above what is granted, and so is there.
                None => match disk.folder_at(folder).unwrap_or(Some(true)) {
                    Some(true) => return Ok(()),
                    Some(false) => return Err(invalid(text, "is there already")),
                    None => {}
                },
            }
            laid.insert(folder.to_owned(), Laid::Folder);
        }
        Ok(())
    }

    pub(super) fn remove(&self, disk: &Disk, text: &str) -> Result<(), Failure> {
        let place = disk.resolve(text, Access::Write)?;
        let found = self.info(disk, text)?.ok_or_else(|| invalid(text, "is not there"))?;
        if found.kind == "folder" && !self.list(disk, text)?.is_empty() {
            return Err(invalid(text, "is a folder that is not empty"));
        }
        let mut laid = self.laid();
        if disk.info(text)?.is_some() {
            laid.insert(place, Laid::Nothing);
        } else {
            laid.remove(&place);
        }
        Ok(())
    }
}
