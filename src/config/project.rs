//! A project's folder and its files.

use std::io;
use std::path::{Path, PathBuf};

use super::{ConfigError, EnvName, named_env};

/// The name of the settings file, which marks a project's folder.
pub const FILE_NAME: &str = "mooncast.toml";

/// The folder for the host's own files.
pub const STATE_FOLDER: &str = ".mooncast";

/// The folder that scripts may write to without a grant. All environments share it: it holds files of the project.
pub const DATA_FOLDER: &str = "data";

/// The folder in [`STATE_FOLDER`] with the folders of the environments.
const ENVS: &str = "env";

/// A folder with scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The project's folder: an absolute path without links.
    pub root: PathBuf,
    /// The environment whose settings are laid over those of `mooncast.toml`.
    pub env: Option<EnvName>,
}

impl Project {
    /// Returns the project in the folder `root`.
    pub fn at(root: &Path) -> io::Result<Self> {
        Ok(Self { root: root.canonicalize()?, env: None })
    }

    /// Returns the project that a script or folder belongs to. The project is the nearest folder above `path` with a
    /// `mooncast.toml`, or else the nearest one above the current folder if `path` is under it. If there is none, it is
    /// the current folder for a script under it, and otherwise the script's folder. A script's folder that is called
    /// `scripts` stands for its parent.
    pub fn of(path: Option<&Path>) -> io::Result<Self> {
        let current = std::env::current_dir()?.canonicalize()?;
        let Some(path) = path else {
            return Ok(Self { root: marked_above(&current).unwrap_or(current), env: None });
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
        Ok(Self { root, env: None })
    }

    /// Returns the project in the environment of this name.
    ///
    /// # Errors
    ///
    /// The project has no settings file of this environment.
    pub fn in_env(self, name: &str) -> Result<Self, ConfigError> {
        let env = named_env::find(name, &self.root)?;
        Ok(Self { env: Some(env), ..self })
    }

    pub fn settings_file(&self) -> PathBuf {
        self.root.join(FILE_NAME)
    }

    /// Returns the path of the settings file of the project's environment.
    pub fn env_file(&self) -> Option<PathBuf> {
        self.env.as_ref().map(|env| self.root.join(env.file_name()))
    }

    /// Returns the path of the folder for the host's own files. Each environment has its own.
    pub fn state_folder(&self) -> PathBuf {
        let folder = self.root.join(STATE_FOLDER);
        match &self.env {
            None => folder,
            Some(env) => folder.join(ENVS).join(env.as_str()),
        }
    }

    /// Returns the name of the project's folder.
    pub fn name(&self) -> String {
        self.root.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Returns the name of the project's folder and its environment, for display.
    pub fn title(&self) -> String {
        match &self.env {
            None => self.name(),
            Some(env) => format!("{} [{env}]", self.name()),
        }
    }

    /// Whether a script of this project contains tests. Its name ends in `_test.lua`, or it is in `scripts/tests` or
    /// `tests`, except in a folder called `lib` there. Only `mooncast test` runs such a script.
    pub fn is_test(&self, script: &Path) -> bool {
        let path = script.strip_prefix(&self.root).unwrap_or(script);
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let below = path.strip_prefix("scripts").unwrap_or(path).strip_prefix("tests");
        let among_tests = below.is_ok_and(|below| !below.components().any(|part| part.as_os_str() == "lib"));
        name.ends_with("_test.lua") || (among_tests && name.ends_with(".lua"))
    }

    /// Returns a path for display: relative to the project if it is inside.
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
        let project = Project { root: "/p/tests/project".into(), env: None };
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
