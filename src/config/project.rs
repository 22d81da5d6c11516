//! Where a project is, and what belongs to it.

use std::io;
use std::path::{Path, PathBuf};

/// The settings file, which marks a project's folder.
pub const FILE_NAME: &str = "mooncast.toml";

/// The folder in which the host keeps what is its own.
pub const STATE_FOLDER: &str = ".mooncast";

/// A folder with scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its folder, absolute and without links.
    pub root: PathBuf,
}

impl Project {
    /// The project of the folder that was named.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn at(root: &Path) -> io::Result<Self> {
        Ok(Self { root: root.canonicalize()? })
    }

    /// The project that a script or folder belongs to: the nearest folder above it with a `mooncast.toml`, then the
    /// nearest one above the current folder; else the current folder if the script is under it, else the script's.
    ///
    /// # Errors
    ///
    /// When `path` or the current folder is not there.
    pub fn of(path: Option<&Path>) -> io::Result<Self> {
        let current = std::env::current_dir()?.canonicalize()?;
        let Some(path) = path else {
            return Ok(Self { root: marked_above(&current).unwrap_or(current) });
        };
        let path = path.canonicalize()?;
        let folder = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(&path) };
        let root = marked_above(folder)
            .or_else(|| marked_above(&current).filter(|root| folder.starts_with(root)))
            .or_else(|| folder.starts_with(&current).then(|| current.clone()))
            .unwrap_or_else(|| {
                let in_scripts = folder.file_name().is_some_and(|name| name == "scripts");
                folder.parent().filter(|_| in_scripts).unwrap_or(folder).to_owned()
            });
        Ok(Self { root })
    }

    /// The settings file.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.root.join(FILE_NAME)
    }

    /// The host's own folder.
    #[must_use]
    pub fn state_folder(&self) -> PathBuf {
        self.root.join(STATE_FOLDER)
    }

    /// Whether a script of this project holds tests: its name ends in `_test.lua`, or it is in `scripts/tests` or `tests`,
    /// but for the folders called `lib` there. `mooncast test` runs it, and nothing else does.
    #[must_use]
    pub fn is_test(&self, script: &Path) -> bool {
        let path = script.strip_prefix(&self.root).unwrap_or(script);
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let below = path.strip_prefix("scripts").unwrap_or(path).strip_prefix("tests");
        let among_tests = below.is_ok_and(|below| !below.components().any(|part| part.as_os_str() == "lib"));
        name.ends_with("_test.lua") || (among_tests && name.ends_with(".lua"))
    }

    /// A path as people see it: relative to the project where it is inside.
    #[must_use]
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

fn marked_above(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| folder.join(FILE_NAME).is_file()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_known_by_their_place_or_their_name() {
        let project = Project { root: "/p/tests/project".into() };
        let is_test = |path: &str| project.is_test(&project.root.join(path));
        for path in [
            "scripts/tests/a.lua",
            "scripts/tests/deep/a.lua",
            "scripts/a_test.lua",
            "scripts/lib/a_test.lua",
        ] {
            assert!(is_test(path), "{path}");
        }
        for path in [
            "scripts/a.lua",
            "scripts/tests/lib/a.lua",
            "scripts/tests/a.csv",
            "scripts/test.lua",
            "tests.lua",
        ] {
            assert!(!is_test(path), "{path}");
        }
    }
}
