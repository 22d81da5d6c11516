//! The harness: a project in a folder of its own, the binary run in it, and what came of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use store::Schema;

pub mod service;
pub mod store;

/// A project in a temporary folder.
pub struct Project {
    folder: TempDir,
    schema: Arc<Schema>,
}

impl Project {
    /// An empty one.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), schema: Arc::default() }
    }

    /// One of another host, with the same store on a server.
    pub fn beside(&self) -> Self {
        Self { schema: Arc::clone(&self.schema), ..Self::new() }
    }

    /// Its store on a server.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// One with a single script, `scripts/main.lua`.
    pub fn with_script(source: impl AsRef<[u8]>) -> Self {
        Self::new().file("scripts/main.lua", source)
    }

    /// Puts a file into it.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(path, content);
        self
    }

    /// Puts a file into it.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A path in it.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The command, in the project's folder and without any variable of this program but that of its store.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mooncast"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MOONCAST_") {
                command.env_remove(name);
            }
        }
        if let Some(address) = self.schema.address() {
            command.env("MOONCAST_STORE", address);
        }
        command
    }

    /// Runs the command to its end.
    pub fn mooncast(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    /// Runs `scripts/main.lua` on the simulator.
    pub fn run_simulated(&self) -> Ran {
        self.mooncast(&["run", "--simulator", "scripts/main.lua"])
    }

    /// Runs `scripts/main.lua` against a service.
    pub fn run_against(&self, service: &service::Service) -> Ran {
        Ran::of(&self.command_against(service, &["run", "scripts/main.lua"]).output().unwrap())
    }

    /// The command with the variables that lead it to a service.
    pub fn command_against(&self, service: &service::Service, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command
            .env("MOONCAST_BASE_URL", service.url())
            .env("MOONCAST_ORG", "org")
            .env("MOONCAST_APP", "app")
            .env("MOONCAST_TOKEN", "a-fixed-token");
        command
    }

    /// Starts the command and leaves it running.
    pub fn start(mut command: Command) -> Child {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:#?}");
        self
    }

    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no {text:?} in {self:#?}");
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in {self:#?}");
        self
    }

    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text) && !self.stdout.contains(text), "{text:?} is in {self:#?}");
        self
    }
}
