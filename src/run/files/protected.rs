//! The files that no grant opens: credentials and settings for any access, and scripts for writing.
//!
//! A file is identified by its device and inode if it exists, and by its name in every spelling that a file system
//! may consider equal. Each call looks up the protected files again, so a file that is created later is protected
//! too.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, Stat, fstat, openat};

use crate::config::{FILE_NAME, STATE_FOLDER, is_env_file};

use super::access::Access;
use super::code::{CodeFiles, holds};
use super::grants::PathGrant;
use super::inode::InodeId;
use super::names::{self, CODE, DOTENV, REPOSITORY};
use super::walk::ResolvedPath;

/// The most files that are searched for the other names of a file with several hard links.
const MAX_TWINS: usize = 10_000;

/// Why access to one of the host's own files is refused.
pub(super) const HOSTS_OWN: &str = "leads to a file of Mooncast itself; no permission lets scripts use it";
const SECRET: &str = "leads to a file with credentials; no permission lets scripts use it";
const OTHER_NAME: &str = "is another name of a file that no permission lets scripts use";
const SCRIPTS: &str = "leads to the project's scripts, which scripts cannot change";
const RUN: &str = "leads to a file that is run as a script or a module, which scripts cannot change";
const LUA: &str =
    "has the name of a script or a module, which scripts cannot change; choose another file extension";
const HIDDEN: &str = "has a name that begins with a dot in the project's folder; tools run the content of \
 such files, so a script can write it only if the permission lists its exact name";
const TWICE: &str = "has another name (a hard link), and this change would change that file too; write the whole file with fs.write";
const TOO_MANY: &str =
    "cannot be written: the project has too many scripts to check whether this file is one of them";

/// The protected files of one project.
#[derive(Debug)]
pub(super) struct ProtectedFiles {
    root: PathBuf,
    /// The project's folder as it was at the start.
    root_id: Option<InodeId>,
    script: Option<PathBuf>,
    secret_files: Vec<PathBuf>,
    /// The host's own files as they were at the start. They stay open, so that the system does not reuse their inode
    /// numbers.
    first: Vec<(InodeId, OwnedFd)>,
}

/// The protected files at the moment of one call.
#[derive(Debug)]
pub(super) struct PathGuard<'a> {
    protected: &'a ProtectedFiles,
    access: Access,
    /// The folders above the granted one.
    above: &'a [InodeId],
    /// Whether names that begin with a dot may be written.
    hidden: bool,
    root: Option<InodeId>,
    /// The host's own folders and files.
    own: Vec<InodeId>,
    secrets: Vec<InodeId>,
    /// The places of files with credentials, even of missing ones: the folder, and the name in it.
    secret_entries: Vec<(InodeId, String)>,
    code: CodeFiles,
}

impl ProtectedFiles {
    /// Prepares the protection of a project. `script` is the script that runs.
    pub(super) fn new(root: &Path, script: Option<&Path>, secret_files: &[PathBuf]) -> Self {
        let absolute = |path: &PathBuf| std::path::absolute(path).ok();
        let secret_files: Vec<PathBuf> = secret_files.iter().filter_map(absolute).collect();
        let own = own_places(root);
        let first = own.iter().chain(&secret_files).filter_map(|path| {
            let fd = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
            Some((InodeId::of(&fstat(&fd).ok()?), fd))
        });
        let first = first.collect();
        Self {
            root: root.to_owned(),
            root_id: InodeId::at(root),
            script: script.map(Path::to_owned),
            secret_files,
            first,
        }
    }

    /// Returns the protection for one call through this grant.
    pub(super) fn guard<'a>(&'a self, grant: &'a PathGrant, access: Access) -> PathGuard<'a> {
        self.guard_of(access, &grant.above, grant.opens_hidden)
    }

    fn guard_of<'a>(&'a self, access: Access, above: &'a [InodeId], hidden: bool) -> PathGuard<'a> {
        let first = self.first.iter().map(|(id, _)| *id);
        let entry = |path: &PathBuf| Some((InodeId::at(path.parent()?)?, names::folded(path.file_name()?)));
        let code = match access {
            Access::Read => CodeFiles::default(),
            Access::Write => CodeFiles::of(&self.root, self.script.as_deref()),
        };
        PathGuard {
            protected: self,
            access,
            above,
            hidden,
            root: self.root_id.or_else(|| InodeId::at(&self.root)),
            own: first.chain(own_places(&self.root).iter().filter_map(|path| InodeId::at(path))).collect(),
            secrets: self.secret_files.iter().filter_map(|path| InodeId::at(path)).collect(),
            secret_entries: self.secret_files.iter().filter_map(entry).collect(),
            code,
        }
    }

    /// Returns why an open file cannot be a script: it is one of the host's own files, or holds credentials. `real`
    /// is its path without links.
    pub(super) fn refuses(&self, file: &Stat, real: &Path) -> Option<&'static str> {
        let guard = self.guard_of(Access::Read, &[], false);
        let hosts = real
            .strip_prefix(&self.root)
            .is_ok_and(|inside| inside.components().any(|part| names::is_hosts(part.as_os_str())));
        let within = || real.ancestors().skip(1).filter_map(InodeId::at).any(|id| guard.own.contains(&id));
        if hosts || within() { Some(HOSTS_OWN) } else { guard.file(file) }
    }

    /// Returns why a write in the project is refused because of the names in its path.
    pub(super) fn by_names(inside: &Path) -> Option<&'static str> {
        let mut parts = inside.components().map(Component::as_os_str).filter(|name| *name != ".").peekable();
        let code = parts.peek().is_some_and(|name| names::is_code(name));
        let lua = inside.file_name().is_some_and(names::is_lua);
        if parts.any(names::is_hosts) {
            return Some(HOSTS_OWN);
        }
        if code { Some(SCRIPTS) } else { lua.then_some(LUA) }
    }
}

impl PathGuard<'_> {
    pub(super) const fn access(&self) -> Access {
        self.access
    }

    /// Returns why a name is refused in the innermost of these folders. They are ordered from the outermost.
    pub(super) fn name(&self, within: &[InodeId], name: &OsStr) -> Option<&'static str> {
        if names::is_hosts(name) {
            return Some(HOSTS_OWN);
        }
        let here = within.last();
        if here.is_some_and(|here| has(&self.secret_entries, *here, name)) {
            return Some(SECRET);
        }
        if self.access == Access::Read {
            return None;
        }
        if here.copied() == self.root && names::is_code(name) {
            return Some(SCRIPTS);
        }
        let hidden = !self.hidden && names::is_hidden(name) && self.is_in(self.root.as_slice(), within);
        hidden.then_some(HIDDEN)
    }

    /// Returns why a folder is refused.
    pub(super) fn folder(&self, id: InodeId) -> Option<&'static str> {
        if self.own.contains(&id) || self.own.iter().any(|own| self.above.contains(own)) {
            return Some(HOSTS_OWN);
        }
        let code = &self.code.folders;
        (code.contains(&id) || code.iter().any(|code| self.above.contains(code))).then_some(SCRIPTS)
    }

    /// Returns why nothing may be written, created or removed under this name in these folders.
    pub(super) fn written(&self, within: &[InodeId], name: &OsStr) -> Option<&'static str> {
        if self.access == Access::Read {
            return None;
        }
        if !self.code.is_complete {
            return Some(TOO_MANY);
        }
        if names::is_lua(name)
            && (self.is_in(&self.code.modules, within) || self.is_in(self.root.as_slice(), within))
        {
            return Some(LUA);
        }
        within.last().is_some_and(|here| has(&self.code.entries, *here, name)).then_some(RUN)
    }

    /// Returns why the path that a walk reached is refused.
    pub(super) fn spot(&self, spot: &ResolvedPath) -> Option<&'static str> {
        let within = match &spot.parent {
            Some((_, parent)) => {
                let end = spot.within.iter().rposition(|id| id == parent).map_or(0, |last| last + 1);
                &spot.within[..end]
            }
            None => &spot.within[..],
        };
        let name = spot.missing.last().map_or_else(|| spot.name(), OsString::as_os_str);
        self.written(within, name)
    }

    /// Returns why an open file is refused: it is a protected file under another name.
    pub(super) fn file(&self, file: &Stat) -> Option<&'static str> {
        let id = InodeId::of(file);
        if self.secrets.contains(&id) || self.own.contains(&id) {
            return Some(OTHER_NAME);
        }
        if self.access == Access::Write && self.code.files.contains(&id) {
            return Some(RUN);
        }
        if file.st_nlink < 2 {
            return None;
        }
        let mut left = MAX_TWINS;
        let root = &self.protected.root;
        let git = root.join(REPOSITORY);
        let hidden = holds(&root.join(STATE_FOLDER), true, id, &mut left)
            // Clones share the objects of a repository, which hold no credentials. So only the repository's own files
            // count.
            || holds(&git, false, id, &mut left)
            || holds(&git.join("hooks"), false, id, &mut left)
            || dotenv_holds(root, id);
        if hidden || left == 0 {
            return Some(OTHER_NAME);
        }
        let own = self.protected.script.as_deref().and_then(Path::parent);
        let code = self.access == Access::Write
            && (CODE.iter().any(|folder| holds(&root.join(folder), true, id, &mut left))
                || own.is_some_and(|own| {
                    holds(own, false, id, &mut left) || holds(&own.join("lib"), true, id, &mut left)
                }));
        (code || left == 0).then_some(RUN)
    }

    /// Returns why an open file must not be changed in place.
    pub(super) fn in_place(&self, file: &Stat) -> Option<&'static str> {
        self.file(file).or_else(|| (file.st_nlink > 1).then_some(TWICE))
    }

    fn is_in(&self, folders: &[InodeId], within: &[InodeId]) -> bool {
        folders.iter().any(|folder| within.contains(folder) || self.above.contains(folder))
    }
}

fn has(entries: &[(InodeId, String)], folder: InodeId, name: &OsStr) -> bool {
    entries.iter().any(|(entry, _)| *entry == folder) && {
        let name = names::folded(name);
        entries.iter().any(|(entry, known)| *entry == folder && *known == name)
    }
}

/// Returns the paths of the host's own files in the project.
fn own_places(root: &Path) -> [PathBuf; 3] {
    [STATE_FOLDER, FILE_NAME, REPOSITORY].map(|name| root.join(name))
}

/// Whether one of the project's `.env` files, or a settings file of an environment, is this file.
fn dotenv_holds(root: &Path, file: InodeId) -> bool {
    let Ok(entries) = std::fs::read_dir(root) else { return false };
    entries.filter_map(io::Result::ok).any(|entry| {
        let name = names::folded(&entry.file_name());
        (name.starts_with(DOTENV) || is_env_file(Path::new(&name)))
            && InodeId::at(&entry.path()) == Some(file)
    })
}
