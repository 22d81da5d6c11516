//! The daemon: in simulated time within this process, and as a binary that is killed repeatedly.

mod calendars;
mod isolation;
mod kills;
mod year;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Project, Ran};

/// The longest wait. A healthy machine never needs it, however loaded it is.
const GUARD: Duration = Duration::from_mins(2);

/// The output of a process so far.
#[derive(Default)]
struct Said {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Said {
    fn listen(reader: impl Read + Send + 'static) -> (Arc<Self>, std::thread::JoinHandle<()>) {
        let said = Arc::new(Self::default());
        let hears = Arc::clone(&said);
        let listening = std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                hears.lines.lock().unwrap().push(line);
                hears.more.notify_all();
            }
        });
        (said, listening)
    }

    #[track_caller]
    fn wait(&self, what: &str, enough: impl Fn(&[String]) -> bool) {
        let lines = self.lines.lock().unwrap();
        let (lines, waited) = self.more.wait_timeout_while(lines, GUARD, |lines| !enough(lines)).unwrap();
        assert!(!waited.timed_out(), "never said {what}: {lines:#?}");
    }
}

/// A running `mooncast serve`. It is killed when this is dropped.
pub struct Serving {
    child: Child,
    out: Arc<Said>,
    err: Arc<Said>,
    listening: Vec<std::thread::JoinHandle<()>>,
}

impl Serving {
    /// Starts the daemon and waits until it serves.
    #[track_caller]
    pub fn start(command: Command) -> Self {
        let serving = Self::launch(command);
        serving.says(" serving", 1);
        serving
    }

    /// Starts the daemon.
    pub fn launch(command: Command) -> Self {
        let mut child = Project::start(command);
        let (out, out_listening) = Said::listen(child.stdout.take().unwrap());
        let (err, err_listening) = Said::listen(child.stderr.take().unwrap());
        Self { child, out, err, listening: vec![out_listening, err_listening] }
    }

    /// Waits until the daemon has logged this many lines with this text.
    #[track_caller]
    pub fn says(&self, text: &str, times: usize) {
        let count = |lines: &[String]| lines.iter().filter(|line| line.contains(text)).count();
        self.err.wait(&format!("{text:?} {times} times"), |lines| count(lines) >= times);
    }

    /// Waits until its scripts have printed this many lines with this text.
    #[track_caller]
    pub fn prints(&self, text: &str, times: usize) {
        let count = |lines: &[String]| lines.iter().filter(|line| line.contains(text)).count();
        self.out.wait(&format!("{text:?} {times} times"), |lines| count(lines) >= times);
    }

    /// Returns what its scripts have printed so far.
    pub fn printed(&self) -> Vec<String> {
        self.out.lines.lock().unwrap().clone()
    }

    /// Returns what it has logged so far.
    pub fn logged(&self) -> Vec<String> {
        self.err.lines.lock().unwrap().clone()
    }

    pub fn child(&self) -> &Child {
        &self.child
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Returns the processes of its workers.
    pub fn workers(&self) -> Vec<Pid> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let children = |task: std::fs::DirEntry| {
            std::fs::read_to_string(task.path().join("children")).unwrap_or_default()
        };
        tasks
            .flatten()
            .flat_map(|task| children(task).split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|pid| Pid::from_raw(pid.parse().unwrap()))
            .collect()
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Ran {
        let status = self.child.wait().unwrap().code();
        for listening in self.listening.drain(..) {
            listening.join().unwrap();
        }
        Ran { status, stdout: self.printed().join("\n"), stderr: self.logged().join("\n") }
    }

    /// Ends it with SIGTERM.
    #[track_caller]
    pub fn stop(self) -> Ran {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Ends it with SIGKILL.
    pub fn kill(self) -> Ran {
        self.signal(Signal::KILL);
        self.ended()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
