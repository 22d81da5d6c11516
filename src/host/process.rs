//! A worker's process: how it starts, what it has used, how it is ended.

use std::future::{Future as _, poll_fn};
use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Poll, ready};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::ClockId;
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::protocol::{PROBE, WORKER_COMMAND};

/// What a worker's last words may take.
const LAST_WORDS: u64 = 4096;

/// A running worker.
#[derive(Debug)]
pub(super) struct WorkerProcess {
    child: Child,
    pid: Option<Pid>,
}

/// The ends of its pipes.
#[derive(Debug)]
pub(super) struct WorkerPipes {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
    pub(super) errors: ChildStderr,
}

/// Starts `program`, this very binary, as a worker: with three pipes, and neither environment nor folder.
pub(super) fn start(program: &Path) -> io::Result<(WorkerProcess, WorkerPipes)> {
    let mut child = Command::new(program)
        .arg0("mooncast-worker")
        .arg(WORKER_COMMAND)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at a terminal is for the host: it lets the script end what it has begun.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let (Some(input), Some(output), Some(errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("the worker started without its pipes"));
    };
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
    Ok((WorkerProcess { child, pid }, WorkerPipes { input, output, errors }))
}

/// How workers of `program` are confined, as one of them says it: its user, and the walls that the kernel holds.
///
/// # Errors
///
/// When a worker cannot be started, or cannot confine itself.
pub async fn confinement(program: &Path) -> io::Result<String> {
    let output = Command::new(program)
        .args([WORKER_COMMAND, PROBE])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

impl WorkerProcess {
    /// CPU that it has used so far; none once it is gone.
    pub(super) fn cpu(&self) -> Option<Duration> {
        let clock = ClockId::pid_cpu_clock_id(self.pid?).ok()?;
        Some(clock.now().ok()?.into())
    }

    /// Leaves more of the CPU to others.
    pub(super) fn lower_priority(&self, nice: i32) {
        let pid = self.pid.and_then(|pid| rustix::process::Pid::from_raw(pid.as_raw()));
        if pid.is_some() {
            // One that has just ended takes none.
            let _ = rustix::process::setpriority_process(pid, nice);
        }
    }

    /// Ends it, whatever it is doing.
    pub(super) fn kill(&mut self) {
        // One that has ended already is what was wanted.
        let _ = self.child.start_kill();
    }

    /// The most memory that it has had at once, in bytes; none once it is gone. (What `wait4` tells of that begins with
    /// what the host had when it started the worker.)
    pub(super) fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    }

    /// Waits for its end, and tells what CPU it has used from its beginning to its end.
    pub(super) async fn wait(&mut self) -> (io::Result<ExitStatus>, Option<Duration>) {
        let mut waiting = pin!(self.child.wait());
        poll_fn(|context| {
            // The system tells of all that have ended together: it is this one that ends here in between.
            let before = cpu_of_children();
            let status = ready!(waiting.as_mut().poll(context));
            let used = cpu_of_children().zip(before).map(|(after, before)| after.saturating_sub(before));
            Poll::Ready((status, used))
        })
        .await
    }
}

/// CPU that all workers together have used that have ended.
fn cpu_of_children() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let time = |time: TimeVal| {
        let (seconds, micros) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_usec()));
        Duration::from_secs(seconds.unwrap_or(0)) + Duration::from_micros(micros.unwrap_or(0))
    };
    Some(time(usage.user_time()) + time(usage.system_time()))
}

/// What a worker said before it died.
pub(super) async fn stderr_text(errors: ChildStderr) -> String {
    let mut words = Vec::new();
    // An unreadable end says as little as an empty one.
    let _ = errors.take(LAST_WORDS).read_to_end(&mut words).await;
    String::from_utf8_lossy(&words).trim().to_owned()
}
