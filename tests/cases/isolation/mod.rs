//! What a script can do to its host: memory, descriptors, privileges, deaths.
//!
//! Store: file

mod confinement;
mod deaths;
mod memory;
mod siege;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::support::{Project, Ran, until};

/// A daemon and its output so far.
struct Daemon {
    child: Child,
    said: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Daemon {
    fn start(project: &Project, args: &[&str]) -> Self {
        let mut all = vec!["serve", "--simulator", "--listen", "nowhere"];
        all.extend(args);
        let mut command = project.command(&all);
        Self::of(&mut command)
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::<Mutex<String>>::default();
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        let readers = streams.map(|stream| {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let mut said = said.lock().unwrap();
                    said.push_str(&line);
                    said.push('\n');
                }
            })
        });
        Self { child, said, readers: readers.into() }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    #[track_caller]
    fn says(&self, text: &str) {
        until(text, || self.said().contains(text) || !alive(self.pid()));
        assert!(self.said().contains(text), "no {text:?} in {}", self.said());
    }

    fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.ended()
    }

    fn stop(mut self) -> String {
        signal("TERM", self.pid());
        self.ended()
    }

    fn ended(&mut self) -> String {
        self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.said()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Whether a process exists and has not ended.
fn alive(pid: u32) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// Returns a line of the kernel's status of a process.
fn status(pid: u32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Returns the kilobytes in such a line.
fn kilobytes(pid: u32, name: &str) -> Option<u64> {
    status(pid, name)?.split_whitespace().next()?.parse().ok()
}

/// Returns the worker processes of a host.
fn workers(host: u32) -> Vec<u32> {
    let children = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).ok();
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{host}/task")) else { return Vec::new() };
    let listed: String = tasks.flatten().filter_map(children).collect();
    let is_worker = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"mooncast-worker"))
    };
    listed.split_whitespace().filter_map(|pid| pid.parse().ok()).filter(is_worker).collect()
}

/// Runs a command to its end. Returns the result and the peak memory of its process in megabytes.
fn measured(mut command: Command) -> (Ran, u64) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let watching = std::thread::spawn(move || {
        let mut peak = 0;
        while alive(pid) {
            peak = kilobytes(pid, "VmHWM").unwrap_or(0).max(peak);
            std::thread::yield_now();
        }
        peak
    });
    let output = child.wait_with_output().unwrap();
    (Ran::of(&output), watching.join().unwrap() / 1024)
}
