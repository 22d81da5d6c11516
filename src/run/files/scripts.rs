//! Reads the files of scripts for a daemon. A file that a script may not read is not loaded as a script either: a
//! syntax error would reveal parts of its content.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use super::protected::ProtectedFiles;
use super::walk::kind;

/// Reads the scripts of a project, except the host's own files.
#[derive(Debug)]
pub struct ScriptFiles {
    protected: ProtectedFiles,
}

impl ScriptFiles {
    /// Creates a reader for the project in the folder `root`. It never reads `secret_files`.
    pub fn new(root: &Path, secret_files: &[PathBuf]) -> Self {
        Self { protected: ProtectedFiles::new(root, None, secret_files) }
    }

    /// Returns the content of the file that a path leads to, through links.
    pub fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(CWD, path, flags, Mode::empty())?;
        let stat = fstat(&file)?;
        if kind(&stat) != FileType::RegularFile {
            return Err(io::Error::other("it is not a regular file"));
        }
        if let Some(reason) = self.protected.refuses(&stat, &path.canonicalize()?) {
            return Err(io::Error::other(reason));
        }
        let mut bytes = Vec::new();
        File::from(file).take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::Error::other(format!("over the limit of {most} bytes for a script")));
        }
        Ok(bytes)
    }
}
