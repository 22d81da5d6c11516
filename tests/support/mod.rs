//! The test harness: a project in its own folder, the binary run in it, and the results.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mooncast::LedgerLocation;
use tempfile::TempDir;

use simulated::Simulated;
use store::Schema;

pub mod service;
mod simulated;
pub mod store;

/// The longest wait. An event that takes longer never comes.
pub const GUARD: Duration = Duration::from_mins(2);

/// How long the heartbeat of a process on a server is absent before the process counts as dead, and a little more.
const DEATH: Duration = Duration::from_secs(12);

/// Polls until a condition holds.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < GUARD, "never: {what}");
        std::thread::yield_now();
    }
}

/// Returns the command with other words before it, in the same folder and with the same variables.
pub fn wrapped(words: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(words[0]);
    wrapped.args(&words[1..]).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

/// A project in a temporary folder.
pub struct Project {
    folder: TempDir,
    schema: Arc<Schema>,
    simulated: Arc<OnceLock<Simulated>>,
}

impl Project {
    /// Makes an empty project.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), schema: Arc::default(), simulated: Arc::default() }
    }

    /// Makes a project of another host, with the same store on a server.
    pub fn beside(&self) -> Self {
        Self { schema: Arc::clone(&self.schema), simulated: Arc::clone(&self.simulated), ..Self::new() }
    }

    /// Returns its store on a server.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Returns the location of its ledger.
    pub fn place(&self) -> LedgerLocation {
        self.schema.place(&self.path(".mooncast"))
    }

    /// From now on, its messages go to the simulator, with these settings. Returns the location of its ledger.
    pub fn simulate(&self, settings: &str) -> LedgerLocation {
        let place = self.schema.place(&self.path(".mooncast/simulator"));
        match place {
            LedgerLocation::Folder(_) => self.write("mooncast.toml", format!("simulator = true\n{settings}")),
            LedgerLocation::Server(_) => {
                self.simulated.get_or_init(Simulated::start);
                self.write("mooncast.toml", settings);
            }
        }
        place
    }

    /// Runs statements in its ledger, from outside of the program.
    pub fn run_in_store(&self, statements: &str) {
        match self.place() {
            LedgerLocation::Folder(folder) => store::run_in_file(&folder.join("ledger.db"), statements),
            LedgerLocation::Server(_) => self.schema.run(statements),
        }
    }

    /// Returns a number from its ledger, queried from outside of the program.
    pub fn in_store(&self, question: &str) -> i64 {
        match self.place() {
            LedgerLocation::Folder(folder) => store::number_in_file(&folder.join("ledger.db"), question),
            LedgerLocation::Server(_) => self.schema.number(question),
        }
    }

    /// Makes a project with a single script, `scripts/main.lua`.
    pub fn with_script(source: impl AsRef<[u8]>) -> Self {
        Self::new().file("scripts/main.lua", source)
    }

    /// Adds a file to it.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(path, content);
        self
    }

    /// Writes a file in it.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Returns a path in it.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Returns the command in the project's folder, without any variable of this program except that of its store. If
    /// the store is on a server, `--simulator` uses a separate simulator, so that sent messages are recorded in that
    /// store.
    pub fn command(&self, args: &[&str]) -> Command {
        if let Some(address) = self.schema.address() {
            let others: Vec<_> = args.iter().copied().filter(|arg| *arg != "--simulator").collect();
            let mut command = self.within(&others);
            command.env("MOONCAST_STORE", address);
            if others.len() < args.len() {
                self.simulated.get_or_init(Simulated::start);
            }
            if let Some(simulated) = self.simulated.get() {
                simulated.lead(&mut command);
            }
            return command;
        }
        self.within(args)
    }

    /// Returns the command unchanged, with the store in its settings. `MOONCAST_TEST_BINARY` names another binary to
    /// test, for example one of an earlier version.
    pub fn within(&self, args: &[&str]) -> Command {
        let built = || env!("CARGO_BIN_EXE_mooncast").into();
        let mut command = Command::new(std::env::var_os("MOONCAST_TEST_BINARY").unwrap_or_else(built));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MOONCAST_") {
                command.env_remove(name);
            }
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

    /// Returns the command with the variables that direct it to a service.
    pub fn command_against(&self, service: &service::Service, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command
            .env("MOONCAST_BASE_URL", service.url())
            .env("MOONCAST_ORG", "org")
            .env("MOONCAST_APP", "app")
            .env("MOONCAST_TOKEN", "a-fixed-token");
        command
    }

    /// Whether its stored data contains this text: the files of its state, or a copy of its ledger on a server.
    #[track_caller]
    pub fn keeps(&self, text: &str) -> bool {
        let copy = self.path(".mooncast/copy");
        if self.schema.address().is_some() {
            let args = ["store", "copy", "env:MOONCAST_STORE", copy.to_str().unwrap()];
            self.mooncast(&args).exits(0);
        }
        let found = holds(&self.path(".mooncast"), text.as_bytes());
        let _ = std::fs::remove_dir_all(copy);
        found
    }

    /// Waits until other processes know that a killed process of this project is dead. With a file this is immediate.
    pub fn wait_for_death(&self) {
        if self.schema.address().is_none() {
            return;
        }
        let died = Instant::now();
        until("its death is known", || {
            self.mooncast(&["store", "check"]);
            died.elapsed() > DEATH
        });
    }

    /// Starts the command without waiting for it.
    pub fn start(mut command: Command) -> Child {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Runs all of these at the same time: on a server each waits until the others count as dead.
pub fn side_by_side<T: Send>(cases: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        let test = &test;
        let running: Vec<_> = cases.into_iter().map(|case| scope.spawn(move || test(case))).collect();
        for one in running {
            if let Err(panic) = one.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// Whether a file in a folder contains these bytes.
fn holds(folder: &Path, text: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            holds(&path, text)
        } else {
            std::fs::read(&path).unwrap().windows(text.len()).any(|part| part == text)
        }
    })
}

/// The result of a command.
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
