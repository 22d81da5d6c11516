//! The files that scripts reach: the project's own, and what the permissions grant besides.
//!
//! Scripts read the project's folder and write to its folder `data`; `[permissions]` grants more. A path is walked once,
//! name by name, from a folder that was opened before: what was checked is what is used. What holds credentials or
//! scripts is refused whatever is granted. All work is blocking and runs on threads of its own. May import: `config`,
//! `protocol`.

mod code;
mod disk;
mod grants;
mod modules;
mod names;
mod overlay;
mod protected;
mod scripts;
mod sentence;
#[cfg(test)]
mod tests;
mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::config::{Permissions, Project};
use crate::protocol::{FailureKind, RequestFailure};

use disk::Disk;
use overlay::FileOverlay;

pub(super) use modules::ModuleFolders;
pub use overlay::FileChange;
pub use scripts::ScriptFiles;

/// The most bytes of a file that a script may take in at once: what one frame of the protocol holds.
pub(super) const MAX_READ: u64 = 16 * 1024 * 1024;

/// Works on files that one run has under way at once: each takes a thread of the host.
const AT_ONCE: usize = 8;

/// The files that the scripts of one project may reach.
#[derive(Debug, Clone)]
pub struct ProjectFiles {
    disk: Arc<Disk>,
    /// Where changes go in a rehearsal.
    overlay: Option<Arc<FileOverlay>>,
    places: Arc<Semaphore>,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileInfo {
    /// `file`, `folder` or `other`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970-01-01T00:00:00Z.
    #[serde(rename = "modified")]
    pub modified_unix: u64,
}

/// A file opened for reading, to be sent elsewhere.
#[derive(Debug)]
pub struct OpenedFile {
    /// The open file.
    pub file: std::fs::File,
    /// Its name as the script gave it, without folders.
    pub name: String,
    /// Bytes.
    pub len: u64,
}

impl ProjectFiles {
    /// Opens the project's folder and the places that are granted. `secret_files` are refused whatever is granted; so is
    /// writing to what is run, `script` among it.
    ///
    /// # Errors
    ///
    /// When the project's folder, or a granted place that is there, cannot be opened.
    pub fn new(
        project: &Project,
        permissions: &Permissions,
        secret_files: &[PathBuf],
        script: Option<&Path>,
    ) -> io::Result<Self> {
        Disk::open(project, permissions, secret_files, script).map(|disk| Self {
            disk: Arc::new(disk),
            overlay: None,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Why a script may not write here, where that is so.
    #[must_use]
    pub fn write_refused(&self, path: &str) -> Option<RequestFailure> {
        self.disk.check_write(path).err().filter(|failure| failure.kind == FailureKind::Denied)
    }

    /// The same files with all changes kept in memory from now on, where later reads see them. `now` is in seconds since
    /// 1970; all changes together take at most `limit` bytes.
    #[must_use]
    pub fn overlaid(self, now: u64, limit: u64) -> Self {
        Self { overlay: Some(Arc::new(FileOverlay::new(now, limit))), ..self }
    }

    /// The changes that were kept in memory.
    #[must_use]
    pub fn changes(&self) -> Vec<FileChange> {
        self.overlay.as_ref().map(|overlay| overlay.changes(self.disk.root())).unwrap_or_default()
    }

    /// The content of a regular file of at most 16 `MiB`. Never blocks on a pipe or a device.
    ///
    /// # Errors
    ///
    /// `denied` where the permissions say no; `invalid` for what is not there, no file, or too large.
    pub async fn read(&self, path: &str) -> Result<Bytes, RequestFailure> {
        self.blocking(path, Disk::read, FileOverlay::read).await
    }

    /// Puts a file's content: all of it at once (a reader sees the old one or the new one), or at its end.
    ///
    /// # Errors
    ///
    /// As [`Files::read`]; besides, scripts and their library are never written.
    pub async fn write(&self, path: &str, content: Bytes, append: bool) -> Result<(), RequestFailure> {
        let laid = content.clone();
        self.blocking(
            path,
            move |disk, path| {
                if append { disk.append(path, &content) } else { disk.replace(path, &content) }
            },
            move |overlay, disk, path| overlay.write(disk, path, &laid, append),
        )
        .await
    }

    /// The names in a folder, sorted, without those that scripts never reach.
    ///
    /// # Errors
    ///
    /// As [`Files::read`].
    pub async fn list(&self, path: &str) -> Result<Vec<String>, RequestFailure> {
        self.blocking(path, Disk::list, FileOverlay::list).await
    }

    /// What a path leads to, or `None` when nothing is there.
    ///
    /// # Errors
    ///
    /// `denied` where the permissions say no.
    pub async fn info(&self, path: &str) -> Result<Option<FileInfo>, RequestFailure> {
        self.blocking(path, Disk::info, FileOverlay::info).await
    }

    /// Makes a folder and those above it; one that is there is left as it is.
    ///
    /// # Errors
    ///
    /// As [`Files::write`].
    pub async fn make_folder(&self, path: &str) -> Result<(), RequestFailure> {
        self.blocking(path, Disk::make_folder, FileOverlay::make_folder).await
    }

    /// Removes a file, a link or an empty folder.
    ///
    /// # Errors
    ///
    /// As [`Files::write`].
    pub async fn remove(&self, path: &str) -> Result<(), RequestFailure> {
        self.blocking(path, Disk::remove, FileOverlay::remove).await
    }

    /// Opens a regular file of any size to be uploaded.
    ///
    /// # Errors
    ///
    /// As [`Files::read`].
    pub async fn open_upload(&self, path: &str) -> Result<OpenedFile, RequestFailure> {
        self.blocking(path, Disk::open_upload, FileOverlay::open_upload).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(&Disk, &str) -> Result<T, RequestFailure> + Send + 'static,
        in_memory: impl FnOnce(&FileOverlay, &Disk, &str) -> Result<T, RequestFailure> + Send + 'static,
    ) -> Result<T, RequestFailure> {
        // They are never closed, so there is a place in the end.
        let _place = self.places.acquire().await;
        let (disk, overlay, path) = (Arc::clone(&self.disk), self.overlay.clone(), path.to_owned());
        tokio::task::spawn_blocking(move || match overlay {
            Some(overlay) => in_memory(&overlay, &disk, &path),
            None => work(&disk, &path),
        })
        .await
        .unwrap_or_else(|_| Err(RequestFailure::new(FailureKind::Cancelled, "the host is shutting down")))
    }
}
