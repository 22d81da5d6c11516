//! Keeps changes to files in memory, for rehearsals and tests: later reads see them, the disk stays as it is.
//!
//! The same checks apply as for changes on disk; only the last step differs.

use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;

use crate::protocol::{FailureKind, RequestFailure};

use super::access::Access;
use super::disk::Disk;
use super::sentence::invalid;
use super::{FileInfo, FileStore, MAX_READ, OpenedFile};

/// One change to a file or folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// `write`, `make folder` or `remove`.
    pub change: &'static str,
    /// The path that changes, relative to the project if it is inside.
    pub path: String,
    /// The size that a written file would have, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What the overlay holds for a path.
#[derive(Debug)]
enum OverlayEntry {
    File(Vec<u8>),
    Folder,
    Nothing,
}

impl OverlayEntry {
    /// Returns the memory that the entry takes under this path, in bytes, including the report's copies of the path.
    fn size(&self, path: &Path) -> u64 {
        let content = if let Self::File(content) = self { content.len() } else { 0 };
        ENTRY + (COPIES * path.as_os_str().len() + content) as u64
    }
}

/// The memory of a change besides its path and content, in bytes.
const ENTRY: u64 = 128;

/// Copies of a path: here, in the list of changes, and twice in the text of the report.
const COPIES: usize = 4;

/// The changes, by real path.
#[derive(Debug, Default)]
struct OverlayChanges {
    by_path: BTreeMap<PathBuf, OverlayEntry>,
    /// The memory that they take, in bytes.
    bytes: u64,
}

impl OverlayChanges {
    fn get(&self, path: &Path) -> Option<&OverlayEntry> {
        self.by_path.get(path)
    }

    /// Adds a change, which replaces an earlier one for the same path. Returns `None` and changes nothing if all
    /// changes would take more than `limit` bytes.
    fn put(&mut self, path: PathBuf, laid: OverlayEntry, limit: u64) -> Option<()> {
        let old = self.get(&path).map_or(0, |old| old.size(&path));
        let bytes = (self.bytes + laid.size(&path)).saturating_sub(old);
        if bytes > limit {
            return None;
        }
        self.bytes = bytes;
        self.by_path.insert(path, laid);
        Some(())
    }

    /// Appends content to a file that is among the changes. Returns `None` as [`OverlayChanges::put`] does.
    fn append(&mut self, path: &Path, content: &[u8], limit: u64) -> Option<()> {
        let bytes = self.bytes + content.len() as u64;
        match self.by_path.get_mut(path) {
            Some(OverlayEntry::File(old)) if bytes <= limit => old.extend_from_slice(content),
            _ => return None,
        }
        self.bytes = bytes;
        Some(())
    }

    fn forget(&mut self, path: &Path) {
        if let Some(old) = self.by_path.remove(path) {
            self.bytes = self.bytes.saturating_sub(old.size(path));
        }
    }
}

/// The changes to files, in memory.
#[derive(Debug)]
pub(super) struct FileOverlay {
    disk: Arc<Disk>,
    changes: Mutex<OverlayChanges>,
    /// The modification time that scripts see for its files, in seconds since 1970.
    modified_unix: u64,
    /// The most memory of all changes, in bytes.
    limit: u64,
}

impl FileOverlay {
    pub(super) fn new(disk: Arc<Disk>, modified_unix: u64, limit: u64) -> Self {
        Self { disk, changes: Mutex::default(), modified_unix, limit }
    }

    fn laid(&self) -> MutexGuard<'_, OverlayChanges> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the failure of a change that would take too much memory.
    fn full(&self, text: &str) -> RequestFailure {
        let most = bytesize::ByteSize(self.limit);
        invalid(
            text,
            &format!(
                "would make the changed files larger than {most} in all, which stay in memory; \
                 write less in a rehearsal or a test, or set `[scripts] host_memory` higher"
            ),
        )
    }
}

impl FileStore for FileOverlay {
    fn changes(&self) -> Vec<FileChange> {
        let root = self.disk.root();
        let change = |(path, laid): (&PathBuf, &OverlayEntry)| {
            let (change, bytes) = match laid {
                OverlayEntry::File(content) => ("write", Some(content.len() as u64)),
                OverlayEntry::Folder => ("make folder", None),
                OverlayEntry::Nothing => ("remove", None),
            };
            FileChange { change, path: path.strip_prefix(root).unwrap_or(path).display().to_string(), bytes }
        };
        self.laid().by_path.iter().map(change).collect()
    }

    fn read(&self, text: &str) -> Result<Bytes, RequestFailure> {
        match self.laid().get(&self.disk.resolve(text, Access::Read)?) {
            Some(OverlayEntry::File(content)) => Ok(Bytes::copy_from_slice(content)),
            Some(OverlayEntry::Folder) => Err(invalid(text, "is a folder")),
            Some(OverlayEntry::Nothing) => Err(invalid(text, "is not there")),
            None => self.disk.read(text),
        }
    }

    fn open_upload(&self, text: &str) -> Result<OpenedFile, RequestFailure> {
        let laid = self.laid();
        let content = match laid.get(&self.disk.resolve(text, Access::Read)?) {
            Some(OverlayEntry::File(content)) => content,
            Some(OverlayEntry::Folder) => return Err(invalid(text, "is a folder")),
            Some(OverlayEntry::Nothing) => return Err(invalid(text, "is not there")),
            None => return self.disk.open_upload(text),
        };
        // An unnamed file, which the system deletes when it is closed.
        let file = tempfile::tempfile().and_then(|mut file| {
            file.write_all(content)?;
            file.rewind()?;
            Ok(file)
        });
        let file =
            file.map_err(|error| RequestFailure::new(FailureKind::Rejected, format!("`{text}`: {error}")))?;
        let name = Path::new(text).file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(OpenedFile { file, name: name.unwrap_or_else(|| "file".to_owned()), len: content.len() as u64 })
    }

    fn write(&self, text: &str, content: &[u8], append: bool) -> Result<(), RequestFailure> {
        let target = self.disk.resolve(text, Access::Write)?;
        let mut laid = self.laid();
        match target.parent().and_then(|parent| laid.get(parent)) {
            Some(OverlayEntry::Folder) => {}
            Some(_) => {
                return Err(invalid(text, "lies in a folder that is not there; make it with fs.mkdir"));
            }
            None => {
                if let Some(made) = self.disk.check_write(text)? {
                    laid.put(made, OverlayEntry::Folder, self.limit).ok_or_else(|| self.full(text))?;
                }
            }
        }
        let appended = match laid.get(&target) {
            Some(OverlayEntry::Folder) => return Err(invalid(text, "is a folder")),
            Some(OverlayEntry::File(old)) if append => {
                fits(text, old.len() + content.len())?;
                return laid.append(&target, content, self.limit).ok_or_else(|| self.full(text));
            }
            None if append && self.disk.info(text)?.is_some() => self.disk.read(text)?,
            _ => Bytes::new(),
        };
        fits(text, appended.len() + content.len())?;
        let file = OverlayEntry::File([&appended, content].concat());
        laid.put(target, file, self.limit).ok_or_else(|| self.full(text))
    }

    fn list(&self, text: &str) -> Result<Vec<String>, RequestFailure> {
        let target = self.disk.resolve(text, Access::Read)?;
        let laid = self.laid();
        let mut names = match laid.get(&target) {
            Some(OverlayEntry::Folder) => Vec::new(),
            Some(OverlayEntry::File(_)) => return Err(invalid(text, "is not a folder")),
            Some(OverlayEntry::Nothing) => return Err(invalid(text, "is not there")),
            None => self.disk.list(text)?,
        };
        for (path, over) in laid.by_path.iter().filter(|(path, _)| path.parent() == Some(&target)) {
            let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
                continue;
            };
            names.retain(|known| *known != name);
            if !matches!(over, OverlayEntry::Nothing) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn info(&self, text: &str) -> Result<Option<FileInfo>, RequestFailure> {
        let modified_unix = self.modified_unix;
        Ok(match self.laid().get(&self.disk.resolve(text, Access::Read)?) {
            Some(OverlayEntry::File(content)) => {
                Some(FileInfo { kind: "file", size: content.len() as u64, modified_unix })
            }
            Some(OverlayEntry::Folder) => Some(FileInfo { kind: "folder", size: 0, modified_unix }),
            Some(OverlayEntry::Nothing) => None,
            None => self.disk.info(text)?,
        })
    }

    fn make_folder(&self, text: &str) -> Result<(), RequestFailure> {
        let target = self.disk.resolve(text, Access::Write)?;
        let mut laid = self.laid();
        for folder in target.ancestors() {
            match laid.get(folder) {
                Some(OverlayEntry::Folder) => return Ok(()),
                Some(OverlayEntry::File(_)) => {
                    return Err(invalid(text, "leads through something that is not a folder"));
                }
                Some(OverlayEntry::Nothing) => {}
                // A folder that may not be inspected is above the granted one, so it exists.
                None => match self.disk.folder_at(folder).unwrap_or(Some(true)) {
                    Some(true) => return Ok(()),
                    Some(false) => return Err(invalid(text, "is there already")),
                    None => {}
                },
            }
            laid.put(folder.to_owned(), OverlayEntry::Folder, self.limit).ok_or_else(|| self.full(text))?;
        }
        Ok(())
    }

    fn remove(&self, text: &str) -> Result<(), RequestFailure> {
        let target = self.disk.resolve(text, Access::Write)?;
        let found = self.info(text)?.ok_or_else(|| invalid(text, "is not there"))?;
        if found.kind == "folder" && !self.list(text)?.is_empty() {
            return Err(invalid(text, "is a folder that is not empty"));
        }
        let mut laid = self.laid();
        if self.disk.info(text)?.is_some() {
            return laid.put(target, OverlayEntry::Nothing, self.limit).ok_or_else(|| self.full(text));
        }
        laid.forget(&target);
        Ok(())
    }
}

/// Checks whether a file of this size may stay in memory.
fn fits(text: &str, bytes: usize) -> Result<(), RequestFailure> {
    if bytes as u64 <= MAX_READ {
        return Ok(());
    }
    Err(invalid(text, &format!("would be larger than {MAX_READ} bytes, the most in a rehearsal or a test")))
}
