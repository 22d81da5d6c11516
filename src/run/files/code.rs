//! Finds the code files: the files that scripts and modules resolve to, through any links.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use super::grants::DATA;
use super::inode::InodeId;
use super::names::{self, CODE};

/// The most names that are inspected in the folders of code. With more, no file is written.
const MAX_NAMES: usize = 50_000;

/// The most names that are inspected in the project's other folders for links to code. These may contain anything, so with
/// more, the links among the rest are not found.
const MAX_OTHERS: usize = 10_000;

/// The most links that lead to one file; the system has the same limit.
const MAX_LINKS: usize = 40;

/// The code files at one moment.
#[derive(Debug, Default)]
pub(super) struct CodeFiles {
    /// Folders that contain only code.
    pub(super) folders: Vec<InodeId>,
    /// Folders in which files with a script's name are code.
    pub(super) modules: Vec<InodeId>,
    /// Code files under another name.
    pub(super) files: Vec<InodeId>,
    /// The targets of links, even missing ones: a folder, and a name in it.
    pub(super) entries: Vec<(InodeId, String)>,
    /// Whether the folders of code were inspected to the end.
    pub(super) is_complete: bool,
    /// Names that may still be inspected.
    left: usize,
}

impl CodeFiles {
    /// Finds the code of a project, and the code beside `script`.
    pub(super) fn of(root: &Path, script: Option<&Path>) -> Self {
        let mut code = Self { left: MAX_NAMES, ..Self::default() };
        for name in CODE {
            let folder = root.join(name);
            code.trace(&folder);
            code.folders.extend(InodeId::at(&folder));
            code.scan(&folder, true);
        }
        if let Some(script) = script {
            code.trace(script);
            code.files.extend(InodeId::at(script));
            if let Some(own) = script.parent() {
                code.modules.extend(InodeId::at(own));
                code.scan(own, false);
                code.linked_folder(&own.join("lib"));
            }
        }
        code.is_complete = code.left > 0;
        code.left = MAX_OTHERS;
        code.scan_others(root);
        code
    }

    /// Notes the targets of links in the project's folder, and in those of its folders that may contain scripts.
    fn scan_others(&mut self, root: &Path) {
        let Ok(entries) = fs::read_dir(root) else { return };
        for entry in entries.filter_map(io::Result::ok) {
            let name = entry.file_name();
            if name != DATA && !names::is_hidden(&name) && !names::is_code(&name) {
                self.inspect(&entry, true);
            }
        }
    }

    /// Notes the targets of a folder's links.
    fn scan(&mut self, folder: &Path, deep: bool) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.filter_map(io::Result::ok) {
            if self.left == 0 {
                return;
            }
            self.inspect(&entry, deep);
        }
    }

    fn inspect(&mut self, entry: &DirEntry, deep: bool) {
        self.left = self.left.saturating_sub(1);
        let Ok(kind) = entry.file_type() else { return };
        let path = entry.path();
        if kind.is_dir() {
            if deep {
                self.scan(&path, true);
            }
        } else if kind.is_symlink() {
            let is_folder = fs::metadata(&path).is_ok_and(|found| found.is_dir());
            if is_folder && deep {
                self.linked_folder(&path);
            } else if names::is_lua(&entry.file_name()) && !is_folder {
                self.trace(&path);
                self.files.extend(InodeId::at(&path));
            }
        }
    }

    fn linked_folder(&mut self, link: &Path) {
        self.trace(link);
        if let Some(id) = InodeId::at(link)
            && !self.modules.contains(&id)
            && !self.folders.contains(&id)
        {
            self.modules.push(id);
            self.scan(link, true);
        }
    }

    /// Notes each target in a chain of links.
    fn trace(&mut self, link: &Path) {
        let mut path = link.to_owned();
        for _ in 0..MAX_LINKS {
            let Ok(target) = fs::read_link(&path) else { return };
            let Some(next) = path.parent().map(|folder| folder.join(target)) else { return };
            let (Some(parent), Some(name)) = (next.parent(), next.file_name()) else { return };
            self.entries.extend(InodeId::at(parent).map(|folder| (folder, names::folded(name))));
            path = next;
        }
    }
}

/// Whether a folder contains the file under some name. Counts `left` down for every entry, and gives up at 0.
pub(super) fn holds(folder: &Path, deep: bool, file: InodeId, left: &mut usize) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
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
        } else if InodeId::at(&path) == Some(file) {
            return true;
        }
    }
    false
}
