//! The process of a worker: start, resource usage, and end.

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

/// The most bytes of a worker's standard error that are read.
const LAST_WORDS: u64 = 4096;

/// A running worker process.
#[derive(Debug)]
pub(super) struct WorkerProcess {
    child: Child,
    pid: Option<Pid>,
}

/// The host's ends of the worker's pipes.
#[derive(Debug)]
pub(super) struct WorkerPipes {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
    pub(super) errors: ChildStderr,
}

/// Starts `program`, which is this binary, as a worker with three pipes, an empty environment and `/` as its folder.
pub(super) fn start(program: &Path) -> io::Result<(WorkerProcess, WorkerPipes)> {
    let mut child = Command::new(program)
        .arg0("mooncast-worker")
        .arg(WORKER_COMMAND)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C at the terminal must reach only the host, which then lets the script finish what it has begun.
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

/// Starts a worker of `program` as a probe, and returns its description of how it is confined: its user, and the
/// kernel mechanisms that are active.
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
    /// Returns the CPU time used so far; `None` once the process is gone.
    pub(super) fn cpu(&self) -> Option<Duration> {
        let clock = ClockId::pid_cpu_clock_id(self.pid?).ok()?;
        Some(clock.now().ok()?.into())
    }

    /// Lowers the scheduling priority to this `nice` value.
    pub(super) fn lower_priority(&self, nice: i32) {
        let pid = self.pid.and_then(|pid| rustix::process::Pid::from_raw(pid.as_raw()));
        if pid.is_some() {
            // This fails for a process that has just ended.
            let _ = rustix::process::setpriority_process(pid, nice);
        }
    }

    pub(super) fn kill(&mut self) {
        // This fails if the process has ended already.
        let _ = self.child.start_kill();
    }

    /// Returns the peak memory in bytes; `None` once the process is gone. (The figure of `wait4` is no use: it starts
    /// from the memory of the host at the time of the fork.)
    pub(super) fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    }

    /// Waits until the process ends. Returns its status and the CPU time that it used in all.
    pub(super) async fn wait(&mut self) -> (io::Result<ExitStatus>, Option<Duration>) {
        let mut waiting = pin!(self.child.wait());
        poll_fn(|context| {
            // The kernel counts all ended children together. Between these two readings only this child is reaped.
            let before = cpu_of_children();
            let status = ready!(waiting.as_mut().poll(context));
            let used = cpu_of_children().zip(before).map(|(after, before)| after.saturating_sub(before));
            Poll::Ready((status, used))
        })
        .await
    }
}

/// Returns the CPU time of all workers that have ended.
fn cpu_of_children() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let time = |time: TimeVal| {
        let (seconds, micros) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_usec()));
        Duration::from_secs(seconds.unwrap_or(0)) + Duration::from_micros(micros.unwrap_or(0))
    };
    Some(time(usage.user_time()) + time(usage.system_time()))
}

/// Returns what a worker wrote to standard error before it ended.
pub(super) async fn stderr_text(errors: ChildStderr) -> String {
    let mut words = Vec::new();
    // A read error is treated as the end of the text.
    let _ = errors.take(LAST_WORDS).read_to_end(&mut words).await;
    String::from_utf8_lossy(&words).trim().to_owned()
}
