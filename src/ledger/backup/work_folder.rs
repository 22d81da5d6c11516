//! Where files of a backup or a restore are written before they get their name: a folder for their owner alone, on the file
//! system of the name, used by one process at a time. What a killed process has left in it, the next one removes.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::ledger::open::private;

use super::BackupError;

/// The file that is locked by the process that uses the folder.
const LOCK: &str = "lock";

/// Such a folder; it is removed in the end.
pub(super) struct WorkFolder {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl WorkFolder {
    /// Makes the folder, or takes over what a dead process has left.
    pub(super) fn open(path: PathBuf) -> Result<Self, BackupError> {
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // All in it will be removed: a link to another folder, or another user's, is left alone.
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
        let place = Self { path, _lock: lock };
        place.clear()?;
        Ok(place)
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

    /// The path of a file or folder in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // The next one would clear it.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Makes a file of its own for its owner alone.
pub(super) fn make(path: &Path) -> Result<File, BackupError> {
    private().create_new(true).open(path).map_err(BackupError::of_file(path))
}

/// Has the disk keep what was written to a file.
pub(super) fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(BackupError::of_file(path))
}

/// Gives a complete file its name, and has the disk keep that. A file of that name is replaced only where that is wanted.
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
            // A file system without hard links.
            Err(_) if !name.exists() => fs::rename(file, name).map_err(BackupError::of_file(name))?,
            Err(error) => return Err(BackupError::of_file(name)(error)),
        }
    }
    sync(folder_of(name))
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
