//! What scripts never reach, whatever is granted: credentials and settings for anyone, scripts for writing.

use std::io;
use std::path::{Component, Path, PathBuf};

use cap_std::fs::{Metadata, MetadataExt};

use crate::config::{FILE_NAME, STATE_FOLDER};

use super::grants::Access;

/// The version control's own folder: its settings can hold credentials, its hooks are programs.
const REPOSITORY: &str = ".git";

/// How the names of files with secrets in them begin.
const DOTENV: &str = ".env";

/// The project's folders with scripts.
const CODE: [&str; 2] = ["scripts", "stdlib"];

/// The most files that are looked at to find the other names of one that has several.
const MAX_TWINS: usize = 10_000;

/// What is refused, and why.
/// Why a place of the host's is refused.
pub(super) const HOSTS_OWN: &str =
    "leads to what is the host's own, which scripts never reach, whatever is granted";

#[derive(Debug)]
pub(super) struct Protected {
    root: PathBuf,
    secret_files: Vec<PathBuf>,
}

impl Protected {
    pub(super) fn new(root: &Path, secret_files: &[PathBuf]) -> Self {
        let real = |path: &PathBuf| path.canonicalize().or_else(|_| std::path::absolute(path));
        Self {
            root: root.to_owned(),
            secret_files: secret_files.iter().filter_map(|path| real(path).ok()).collect(),
        }
    }

    /// Whether this name, inside any granted place, is one that scripts never reach.
    pub(super) fn name(name: &str) -> bool {
        name == STATE_FOLDER || name == FILE_NAME || name == REPOSITORY || name.starts_with(DOTENV)
    }

    /// Why a place is refused. `folder` is the granted folder and `inside` the path in it, links resolved.
    pub(super) fn by_path(&self, folder: &Path, inside: &Path, access: Access) -> Option<&'static str> {
        let named = |part: Component| part.as_os_str().to_str().is_some_and(Self::name);
        let real = super::grants::joined(folder, inside);
        if inside.components().any(named) || self.own().iter().any(|own| real.starts_with(own)) {
            return Some(HOSTS_OWN);
        }
        if self.secret_files.contains(&real) {
            return Some("leads to a file with credentials, which scripts never reach, whatever is granted");
        }
        if access == Access::Write && self.code().iter().any(|code| real.starts_with(code)) {
            return Some("leads to the project's scripts, which scripts cannot change");
        }
        None
    }

    /// Why an open file is refused: it is one of the refused ones under another name.
    pub(super) fn by_identity(&self, file: &Metadata, access: Access) -> Option<&'static str> {
        let same = |path: &Path| is_same(path, file);
        let other_name = "is another name of a file that scripts never reach, whatever is granted";
        if self.secret_files.iter().any(|path| same(path)) || same(&self.root.join(FILE_NAME)) {
            return Some(other_name);
        }
        if file.nlink() < 2 {
            return None;
        }
        let mut left = MAX_TWINS;
        let git = self.root.join(REPOSITORY);
        let hidden = holds(&self.root.join(STATE_FOLDER), true, file, &mut left)
            // Objects of a repository are shared by its clones and hold no credentials: only its own files count.
            || holds(&git, false, file, &mut left)
            || holds(&git.join("hooks"), false, file, &mut left)
            || dotenv_holds(&self.root, file);
        if hidden || left == 0 {
            return Some(other_name);
        }
        let code = access == Access::Write
            && CODE.iter().any(|folder| holds(&self.root.join(folder), true, file, &mut left));
        (code || left == 0).then_some("is another name of a script, which scripts cannot change")
    }

    /// The host's own places in the project, under their names and where those really lead.
    fn own(&self) -> Vec<PathBuf> {
        self.places(&[STATE_FOLDER, FILE_NAME, REPOSITORY])
    }

    fn code(&self) -> Vec<PathBuf> {
        self.places(&CODE)
    }

    fn places(&self, names: &[&str]) -> Vec<PathBuf> {
        let mut places: Vec<PathBuf> = names.iter().map(|name| self.root.join(name)).collect();
        let real: Vec<PathBuf> = places.iter().filter_map(|place| place.canonicalize().ok()).collect();
        places.extend(real);
        places
    }
}

fn is_same(path: &Path, file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).is_ok_and(|other| (other.dev(), other.ino()) == (file.dev(), file.ino()))
}

/// Whether a folder holds the file under some name. Counts `left` down for every entry; at 0 it gives up.
fn holds(folder: &Path, deep: bool, file: &Metadata, left: &mut usize) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    for entry in entries.filter_map(io::Result::ok) {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_dir() {
            if deep && holds(&path, deep, file, left) {
                return true;
            }
        } else if is_same(&path, file) {
            return true;
        }
    }
    false
}

/// Whether one of the project's `.env` files is that file.
fn dotenv_holds(root: &Path, file: &Metadata) -> bool {
    let Ok(entries) = std::fs::read_dir(root) else { return false };
    entries.filter_map(io::Result::ok).any(|entry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with(DOTENV))
            && is_same(&entry.path(), file)
    })
}
