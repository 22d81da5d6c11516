//! The files that scripts can reach: the project's own, and those that the permissions grant.
//!
//! Scripts read the project's folder and write to its folder `data`; `[permissions]` grants more. Each path is walked
//! once, name by name, from a folder opened earlier, so that the file that was checked is the file that is used.
//! Files with credentials and scripts are refused even if they are granted. All operations block, and run on threads
//! of their own.

mod access;
mod code;
mod disk;
mod grants;
mod inode;
mod modules;
mod names;
mod overlay;
mod protected;
mod scripts;
mod sentence;
#[cfg(test)]
mod tests;
mod walk;

use std::fmt::Debug;
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

/// The most bytes of a file that a script may read at once: the content of one protocol frame.
pub(super) const MAX_READ: u64 = 16 * 1024 * 1024;

/// The most file operations of one run at once: each takes a thread of the host.
const AT_ONCE: usize = 8;

/// The files that the scripts of one project may reach.
#[derive(Debug, Clone)]
pub struct ProjectFiles {
    disk: Arc<Disk>,
    store: Arc<dyn FileStore>,
    permits: Arc<Semaphore>,
}

/// The file operations. Each blocks.
pub(super) trait FileStore: Debug + Send + Sync {
    fn read(&self, path: &str) -> Result<Bytes, RequestFailure>;
    fn write(&self, path: &str, content: &[u8], append: bool) -> Result<(), RequestFailure>;
    fn list(&self, path: &str) -> Result<Vec<String>, RequestFailure>;
    fn info(&self, path: &str) -> Result<Option<FileInfo>, RequestFailure>;
    fn make_folder(&self, path: &str) -> Result<(), RequestFailure>;
    fn remove(&self, path: &str) -> Result<(), RequestFailure>;
    fn open_upload(&self, path: &str) -> Result<OpenedFile, RequestFailure>;

    /// Returns the changes that are kept in memory, ordered by path.
    fn changes(&self) -> Vec<FileChange> {
        Vec::new()
    }
}

/// A file of the host that a script may read under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedFile {
    /// The script's path for it, relative to the project's folder.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileInfo {
    /// `file`, `folder` or `other`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The size in bytes.
    pub size: u64,
    /// Seconds since 1970-01-01T00:00:00Z.
    #[serde(rename = "modified")]
    pub modified_unix: u64,
}

/// A file opened for reading, to be sent elsewhere.
#[derive(Debug)]
pub struct OpenedFile {
    /// The open file, at its beginning.
    pub file: std::fs::File,
    /// Its name as the script gave it, without folders.
    pub name: String,
    /// The size in bytes.
    pub len: u64,
}

impl ProjectFiles {
    /// Opens the project's folder and the granted paths. Access to `secret_files` is refused even if it is granted,
    /// and so is writing to code, including `script`.
    pub fn new(
        project: &Project,
        permissions: &Permissions,
        secret_files: &[PathBuf],
        script: Option<&Path>,
    ) -> io::Result<Self> {
        Self::mounting(project, permissions, secret_files, script, &[])
    }

    /// The same, with files that can be read under other names.
    pub fn mounting(
        project: &Project,
        permissions: &Permissions,
        secret_files: &[PathBuf],
        script: Option<&Path>,
        mounts: &[MountedFile],
    ) -> io::Result<Self> {
        let disk = Arc::new(Disk::open(project, permissions, secret_files, script, mounts)?);
        let store = Arc::clone(&disk) as _;
        Ok(Self { disk, store, permits: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    /// Returns why a script may not write to this path; `None` if it may.
    pub fn write_refused(&self, path: &str) -> Option<RequestFailure> {
        self.disk.check_write(path).err().filter(|failure| failure.kind == FailureKind::Denied)
    }

    /// Returns the same files with all changes kept in memory from now on, where later reads see them. `now` is in
    /// seconds since 1970; all changes together take at most `limit` bytes.
    pub fn overlaid(self, now: u64, limit: u64) -> Self {
        Self { store: Arc::new(FileOverlay::new(Arc::clone(&self.disk), now, limit)), ..self }
    }

    /// Returns the changes that were kept in memory.
    pub fn changes(&self) -> Vec<FileChange> {
        self.store.changes()
    }

    /// Returns the content of a regular file of at most 16 `MiB`. Never blocks on a pipe or a device.
    ///
    /// # Errors
    ///
    /// `denied` if the permissions do not allow it; `invalid` if the path does not exist, is not a regular file, or
    /// is too large.
    pub async fn read(&self, path: &str) -> Result<Bytes, RequestFailure> {
        self.blocking(path, |store, path| store.read(path)).await
    }

    /// Writes a file. Without `append` it replaces the whole content at once (readers see either the old or the new
    /// content); with `append` it adds to the end.
    pub async fn write(&self, path: &str, content: Bytes, append: bool) -> Result<(), RequestFailure> {
        self.blocking(path, move |store, path| store.write(path, &content, append)).await
    }

    /// Returns the names in a folder, sorted, without those that scripts can never reach.
    pub async fn list(&self, path: &str) -> Result<Vec<String>, RequestFailure> {
        self.blocking(path, |store, path| store.list(path)).await
    }

    /// Returns what a path leads to, or `None` if nothing is there.
    ///
    /// # Errors
    ///
    /// `denied` if the permissions do not allow it.
    pub async fn info(&self, path: &str) -> Result<Option<FileInfo>, RequestFailure> {
        self.blocking(path, |store, path| store.info(path)).await
    }

    /// Creates a folder and its missing ancestors. An existing folder stays as it is.
    pub async fn make_folder(&self, path: &str) -> Result<(), RequestFailure> {
        self.blocking(path, |store, path| store.make_folder(path)).await
    }

    /// Removes a file, a link or an empty folder.
    pub async fn remove(&self, path: &str) -> Result<(), RequestFailure> {
        self.blocking(path, |store, path| store.remove(path)).await
    }

    /// Opens a regular file of any size for an upload.
    pub async fn open_upload(&self, path: &str) -> Result<OpenedFile, RequestFailure> {
        self.blocking(path, |store, path| store.open_upload(path)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(&dyn FileStore, &str) -> Result<T, RequestFailure> + Send + 'static,
    ) -> Result<T, RequestFailure> {
        // The semaphore is never closed, so a permit comes in the end.
        let _permit = self.permits.acquire().await;
        let (store, path) = (Arc::clone(&self.store), path.to_owned());
        tokio::task::spawn_blocking(move || work(&*store, &path))
            .await
            .unwrap_or_else(|_| Err(RequestFailure::new(FailureKind::Cancelled, "the host is shutting down")))
    }
}
