//! The files of scripts, read as a daemon takes them in. What a script may not read is no script either: an error of its
//! syntax would show what is in it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use super::protected::ProtectedFiles;
use super::walk::kind;

/// Reads scripts of a project, but for the files that are the host's own.
#[derive(Debug)]
pub struct ScriptFiles {
    protected: ProtectedFiles,
}

impl ScriptFiles {
    /// For the project in this folder; none of `secret_files` is ever a script.
    #[must_use]
    pub fn new(root: &Path, secret_files: &[PathBuf]) -> Self {
        Self { protected: ProtectedFiles::new(root, None, secret_files) }
    }

    /// The bytes of the file that a path leads to, links followed.
    ///
    /// # Errors
    ///
    /// The system's; a file that is larger than `most` bytes; one that is none of a script, but the host's own or one with
    /// credentials, under whatever name.
    pub fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(CWD, path, flags, Mode::empty())?;
        let stat = fstat(&file)?;
        if kind(&stat) != FileType::RegularFile {
            return Err(io::Error::other("it is no regular file"));
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
