//! Fuzzing: readers of what comes from outside get changed inputs. No input may make one panic, take more than a second
//! or make the process grow by more than 64 MB.
//!
//! A target ([`FuzzTarget`]) is a reader with a few valid inputs. [`Mutator`] changes them, and an input that is read in a
//! new way is kept and changed further. The cases run in a process of their own, because an overflow of the stack and a
//! refused allocation end a process. The input of a fault is made smaller and printed.
//!
//! - `cargo test --lib -- fuzz::` runs a fixed number of cases of each target, always the same.
//! - `MOONCAST_SOAK=1` runs each for `MOONCAST_FUZZ_MINUTES` (60 without it), with new cases each time.
//! - `MOONCAST_SEED` repeats a run.

mod child;
mod minimise;
mod mutate;
mod usage;

mod answers;
mod audiences;
mod calendars;
mod callbacks;
mod frames;
mod histories;
mod media;
mod messages;
mod settings;
mod sheets;
mod templates;
mod times;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use child::{CaseFault, Task};

/// The variable with the folder through which a test and the process of its cases talk.
const FOLDER: &str = "MOONCAST_FUZZ_FOLDER";

/// A reader of input from outside, and what it is given.
struct FuzzTarget {
    /// The name of the module; its test is called `no_input_breaks_it`.
    name: &'static str,
    /// Inputs that are read without a problem.
    seeds: fn() -> Vec<Vec<u8>>,
    /// Words of the format.
    words: &'static [&'static str],
    /// Cases without `MOONCAST_SOAK`.
    cases: u64,
    /// Reads an input. Returns how that ended: a text that begins with `ok` if all of it was understood.
    read: fn(&[u8]) -> String,
}

/// Only one target runs at a time: they are judged by the processor time that they take.
static TURN: Mutex<()> = Mutex::new(());

/// Runs the cases of a target.
fn fuzz(target: &FuzzTarget) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        child::work(target, Path::new(&folder));
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let is_soak = std::env::var_os("MOONCAST_SOAK").is_some();
    let seed = number("MOONCAST_SEED").unwrap_or_else(|| if is_soak { rand::random() } else { 1 });
    let task = if is_soak {
        let minutes = number("MOONCAST_FUZZ_MINUTES").unwrap_or(60);
        Task::Minutes { seed, minutes }
    } else {
        Task::Cases { seed, cases: target.cases }
    };
    let process = FuzzProcess::new(target);
    match process.run(&task) {
        Ok(report) => println!("fuzz {}: {report}, seed {seed}", target.name),
        Err(fault) => {
            let input = process.input();
            let least = minimise::minimise(&input, |smaller| {
                process.fault_of(smaller).is_some_and(|other| other.is_like(&fault))
            });
            let repeats = process.fault_of(&least).is_some();
            panic!(
                "fuzz {}: {fault}\nseed {seed}, input of {} bytes{}:\n{}",
                target.name,
                least.len(),
                if repeats { "" } else { " (alone it does not show the fault)" },
                least.escape_ascii()
            );
        }
    }
}

/// Runs cases of a target in processes.
struct FuzzProcess<'target> {
    target: &'target FuzzTarget,
    folder: tempfile::TempDir,
}

impl<'target> FuzzProcess<'target> {
    fn new(target: &'target FuzzTarget) -> Self {
        Self { target, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the input of the last case that was begun.
    fn input(&self) -> Vec<u8> {
        std::fs::read(self.path(child::INPUT)).unwrap_or_default()
    }

    /// Returns the fault of one input.
    fn fault_of(&self, input: &[u8]) -> Option<CaseFault> {
        std::fs::write(self.path(child::INPUT), input).unwrap();
        self.run(&Task::Alone).err()
    }

    /// Runs a process and returns its report, or the fault that it found or died of.
    fn run(&self, task: &Task) -> Result<String, CaseFault> {
        task.write(self.folder.path());
        let _ = std::fs::remove_file(self.path(child::END));
        let test = format!("fuzz::{}::no_input_breaks_it", self.target.name);
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &test, "--nocapture", "--test-threads=1"])
            .env(FOLDER, self.folder.path())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if let Ok(end) = std::fs::read_to_string(self.path(child::END)) {
            return child::read_end(&end);
        }
        let said = String::from_utf8_lossy(&ended.stderr);
        let said: Vec<&str> = said.lines().rev().take(3).collect();
        Err(CaseFault::new("death", format!("{}: {}", ended.status, said.join(" / "))))
    }
}
