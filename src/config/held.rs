//! A handle to a project's folder that stays valid if the folder is renamed or replaced.

use std::fs::Metadata;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::Project;

/// A project's folder, identified by its device and inode when it was first found. Its descriptor stays open, so that
/// no other folder can get the same inode.
#[derive(Debug)]
pub struct ProjectHandle {
    project: Project,
    /// None if the folder could not be opened. Then it never counts as in place.
    folder: Option<FolderHandle>,
}

#[derive(Debug)]
struct FolderHandle {
    id: FolderId,
    descriptor: OwnedFd,
}

/// A folder's device and inode.
type FolderId = (u64, u64);

impl ProjectHandle {
    /// Opens the folder that is at the project's path now.
    pub fn hold(project: Project) -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = openat(CWD, &project.root, flags, Mode::empty()).ok();
        let folder = descriptor.and_then(|descriptor| {
            let id = rustix::fs::fstat(&descriptor).ok().map(|stat| (stat.st_dev, stat.st_ino))?;
            Some(FolderHandle { id, descriptor })
        });
        Self { project, folder }
    }

    /// Returns the project with its first path.
    pub const fn project(&self) -> &Project {
        &self.project
    }

    /// Checks that the folder is still at its path.
    pub fn in_place(&self) -> io::Result<()> {
        let root = self.project.root.display();
        let elsewhere = match &self.folder {
            Some(_) => self.elsewhere().map_or_else(
                || "that folder was deleted".to_owned(),
                |place| format!("that folder is now {}", place.display()),
            ),
            None => "that folder could not be opened".to_owned(),
        };
        match std::fs::metadata(&self.project.root) {
            Ok(found) if self.is_same_file(&found) => Ok(()),
            Ok(_) => Err(io::Error::other(format!(
                "{root} is not the folder that this daemon was started in ({elsewhere})"
            ))),
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!("the project's folder {root} is gone ({error}; {elsewhere})"),
            )),
        }
    }

    /// Returns the project at the folder's current path: the first one, or the one that it was renamed to.
    pub fn current(&self) -> io::Result<Project> {
        let Err(error) = self.in_place() else { return Ok(self.project.clone()) };
        let env = self.project.env.clone();
        self.elsewhere().map(|root| Project { root, env }).ok_or(error)
    }

    /// Whether the path that [`ProjectHandle::current`] returned still leads to the project's folder.
    pub fn is_at(&self, here: &Project) -> bool {
        std::fs::metadata(&here.root).is_ok_and(|found| self.is_same_file(&found))
    }

    /// Returns a path of the project under the folder's current path.
    pub fn moved(&self, here: &Project, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.project.root) {
            Ok(inside) => here.root.join(inside),
            Err(_) => path.to_owned(),
        }
    }

    fn is_same_file(&self, found: &Metadata) -> bool {
        self.folder.as_ref().is_some_and(|folder| folder.id == (found.dev(), found.ino()))
    }

    /// Returns the path of the open folder, if the path leads to the folder.
    fn elsewhere(&self) -> Option<PathBuf> {
        let descriptor = self.folder.as_ref()?.descriptor.as_raw_fd();
        let path = std::fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?;
        std::fs::metadata(&path).is_ok_and(|found| self.is_same_file(&found)).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_known_wherever_it_is_and_another_one_in_its_place_is_not_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (old, new) = (root.join("project"), root.join("renamed"));
        std::fs::create_dir(&old).unwrap();
        let held = ProjectHandle::hold(Project::at(&old).unwrap());
        assert!(held.in_place().is_ok() && held.is_at(held.project()));
        std::fs::rename(&old, &new).unwrap();
        assert!(held.in_place().unwrap_err().to_string().contains("is gone"));
        std::fs::create_dir(&old).unwrap();
        let error = held.in_place().unwrap_err().to_string();
        assert!(
            error.contains("is not the folder") && error.contains("is now ") && error.contains("renamed"),
            "{error}"
        );
        let here = held.current().unwrap();
        assert_eq!(here.root, new);
        assert!(held.is_at(&here) && !held.is_at(held.project()));
        assert_eq!(held.moved(&here, &old.join("scripts/a.lua")), new.join("scripts/a.lua"));
        assert_eq!(held.moved(&here, Path::new("/elsewhere")), Path::new("/elsewhere"));
        std::fs::remove_dir(&new).unwrap();
        assert!(held.current().unwrap_err().to_string().contains("was deleted"));
    }
}
