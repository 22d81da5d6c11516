//! The folder where files of a backup or a restore are written before they get their final name. Only its owner can
//! read it, it is on the same file system as the final name, and one process at a time uses it. The next process
//! removes the files that a killed process left in it.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::ledger::sqlite::private;

use super::BackupError;

/// The file that the process which uses the folder keeps locked.
const LOCK: &str = "lock";

/// A work folder; it is removed when it is dropped.
pub(super) struct WorkFolder {
    path: PathBuf,
    /// Locked while it is open.
    _lock: File,
}

impl WorkFolder {
    /// Creates the folder, or takes over the folder of a dead process.
    pub(super) fn open(path: PathBuf) -> Result<Self, BackupError> {
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // Everything in the folder will be removed, so a link to another folder, or another user's folder, is
                // left alone.
                let found = fs::symlink_metadata(&path).map_err(BackupError::of_file(&path))?;
                if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
                    return Err(BackupError::Exists(path));
                }
            }
            Err(error) => return Err(BackupError::of_file(&path)(error)),
        }
        let lock_path = path.join(LOCK);
        let lock = private().create(true).truncate(false).open(&lock_path);
        let lock = lock.map_err(BackupError::of_file(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(path)),
            Err(TryLockError::Error(error)) => return Err(BackupError::of_file(&lock_path)(error)),
        }
        let folder = Self { path, _lock: lock };
        folder.clear()?;
        Ok(folder)
    }

    fn clear(&self) -> Result<(), BackupError> {
        for entry in fs::read_dir(&self.path).map_err(BackupError::of_file(&self.path))? {
            let entry = entry.map_err(BackupError::of_file(&self.path))?;
            let (path, kind) = (entry.path(), entry.file_type());
            if entry.file_name() == LOCK {
                continue;
            }
            let removed = match kind {
                Ok(kind) if kind.is_dir() => fs::remove_dir_all(&path),
                _ => fs::remove_file(&path),
            };
            removed.map_err(BackupError::of_file(&path))?;
        }
        Ok(())
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // A failure does not matter: the next process clears the folder.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Creates a new file that only its owner can read and write.
pub(super) fn make(path: &Path) -> Result<File, BackupError> {
    private().create_new(true).open(path).map_err(BackupError::of_file(path))
}

/// Flushes a file to disk.
pub(super) fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(BackupError::of_file(path))
}

/// Gives a complete file its final name, and flushes that to disk. An existing file is replaced only with `overwrite`.
pub(super) fn publish(file: &Path, name: &Path, overwrite: bool) -> Result<(), BackupError> {
    sync(file)?;
    if overwrite {
        fs::rename(file, name).map_err(BackupError::of_file(name))?;
    } else {
        match fs::hard_link(file, name) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists(name.to_owned()));
            }
            // The file system has no hard links.
            Err(_) if !name.exists() => fs::rename(file, name).map_err(BackupError::of_file(name))?,
            Err(error) => return Err(BackupError::of_file(name)(error)),
        }
    }
    sync(folder_of(name))
}

/// Returns the folder that contains a file.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
