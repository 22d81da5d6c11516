//! Rehearses scripts in processes of their own: `mooncast rehearse` of this binary. The daemon's thread, which sends, only
//! waits for them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::config::Project;
use crate::control::REHEARSAL_LIMIT;
use crate::core::sha256_hex;
use crate::protocol::LuaSource;
use crate::run::MountedFile;
use crate::run::rehearsal::{GuardParts, RehearsalPlan};

/// The most rehearsals at once.
const AT_ONCE: usize = 2;

/// The most rehearsals that wait for their turn.
const WAITING: usize = 8;

/// The most bytes of a report.
const MAX_REPORT: u64 = 4 * 1024 * 1024;

/// The most bytes of an error text.
const MAX_ERROR: u64 = 16 * 1024;

/// The scheduling priority of a rehearsal: below that of the daemon.
const NICE: i32 = 10;

/// The exit status of a command that could not begin.
const USAGE: i32 = 2;

/// Starts rehearsals.
#[derive(Debug)]
pub struct Rehearser {
    program: PathBuf,
    /// The flags that choose the environment, the app and the permissions.
    flags: Vec<String>,
    permits: Semaphore,
    /// Those that run and those that wait.
    turns: Semaphore,
}

/// A script to rehearse.
#[derive(Debug, Clone)]
pub struct RehearsalOrder<'a> {
    pub project: &'a Project,
    pub path: &'a Path,
    pub script: &'a LuaSource,
    pub args: &'a [String],
    pub mounts: &'a [MountedFile],
}

impl Rehearser {
    /// `program` is this binary; `flags` choose the environment, the app and the permissions as those of the daemon.
    pub const fn new(program: PathBuf, flags: Vec<String>) -> Self {
        let turns = Semaphore::const_new(AT_ONCE + WAITING);
        Self { program, flags, permits: Semaphore::const_new(AT_ONCE), turns }
    }

    /// Rehearses a script. Returns its report.
    ///
    /// # Errors
    ///
    /// Why there is no report: the script's file has changed since it was loaded, it took too long, or too many others wait.
    pub async fn rehearse(&self, order: &RehearsalOrder<'_>) -> Result<Value, String> {
        let output = self.run(order, &[]).await?;
        let report: Value =
            serde_json::from_slice(&output).map_err(|error| format!("the report cannot be read: {error}"))?;
        let hash = sha256_hex(&order.script.text);
        if report["script_sha256"].as_str() != Some(&hash) {
            return Err(format!(
                "{}: the file has changed since it was loaded; rehearse it again once it is loaded",
                order.script.name
            ));
        }
        Ok(report)
    }

    /// Rehearses a script as a plan says. Returns what holds a run to the plan.
    ///
    /// # Errors
    ///
    /// Why nothing may be sent: the script would send something else now.
    pub async fn guard(
        &self,
        order: &RehearsalOrder<'_>,
        plan: &RehearsalPlan,
    ) -> Result<GuardParts, String> {
        let plan = plan.to_string();
        let output = self.run(order, &["--like", &plan]).await?;
        serde_json::from_slice(&output).map_err(|error| format!("the rehearsed plan cannot be read: {error}"))
    }

    async fn run(&self, order: &RehearsalOrder<'_>, more: &[&str]) -> Result<Vec<u8>, String> {
        let _turn = self
            .turns
            .try_acquire()
            .map_err(|_| format!("{WAITING} other rehearsals wait; rehearse again later"))?;
        // The semaphore is never closed, so a permit comes in the end.
        let permit = self.permits.acquire().await;
        let mut child = self
            .command(order, more)
            .spawn()
            .map_err(|error| format!("the rehearsal cannot be started: {error}"))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        // This fails for a process that has just ended.
        let _ = rustix::process::setpriority_process(pid, NICE);
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (output, errors) = tokio::join!(read(output, MAX_REPORT), read(errors, MAX_ERROR));
            (output, errors, child.wait().await)
        };
        // Workers take real time, so their limits do too.
        let done = Clock::real().timeout(REHEARSAL_LIMIT, work).await;
        drop(permit);
        let Ok((output, errors, status)) = done else {
            return Err(format!("the rehearsal took more than {} minutes", minutes(REHEARSAL_LIMIT)));
        };
        let status = status.map_err(|error| format!("the rehearsal was lost: {error}"))?;
        let output = output.map_err(|error| format!("the report was lost: {error}"))?;
        if output.len() as u64 >= MAX_REPORT {
            return Err(format!("the report has more than {MAX_REPORT} bytes"));
        }
        let errors = String::from_utf8_lossy(&errors.unwrap_or_default()).trim().to_owned();
        match status.code() {
            Some(USAGE) | None => Err(out_of_memory(&errors).unwrap_or_else(|| cause(&errors))),
            Some(_) if output.is_empty() => Err(cause(&errors)),
            Some(_) => Ok(output),
        }
    }

    fn command(&self, order: &RehearsalOrder<'_>, more: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg0("mooncast")
            .args(["rehearse", "--json", "--log", "error", "--log-format", "text", "--bounded", "--project"])
            .arg(&order.project.root)
            .args(&self.flags)
            .args(more);
        for MountedFile { name, path } in order.mounts {
            command.arg("--mount").arg(format!("{name}={}", path.display()));
        }
        command
            .arg("--")
            .arg(order.path)
            .args(order.args)
            .current_dir(&order.project.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

/// Reads at most this many bytes, and drops the rest.
async fn read(from: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Vec<u8>> {
    let Some(mut from) = from else { return Ok(Vec::new()) };
    let mut content = Vec::new();
    (&mut from).take(most).read_to_end(&mut content).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(content)
}

/// The reason in the error output of a command: its last line with the command's name, or else its last line.
fn cause(errors: &str) -> String {
    let named = errors.rfind("mooncast: ").and_then(|at| errors.get(at + "mooncast: ".len()..));
    let text = named.or_else(|| errors.lines().last()).unwrap_or_default().trim();
    if text.is_empty() { "the rehearsal ended without a report".to_owned() } else { text.to_owned() }
}

/// The refusal of a rehearsal that wanted more memory than it may have; `None` if that is not why it ended.
fn out_of_memory(errors: &str) -> Option<String> {
    // The first is what an allocation says before it aborts the process; the second is the store's error.
    let wanted_more = errors.contains("memory allocation of ") || errors.contains("out of memory");
    wanted_more.then(|| {
        "the rehearsal needs more memory than a run may use, so it was ended; nothing was sent. Have the script send or store less at a time, for example with several broadcasts of a part of the audience, or raise `[scripts] memory` in mooncast.toml".to_owned()
    })
}

const fn minutes(duration: Duration) -> u64 {
    duration.as_secs() / 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_the_commands_own_line() {
        assert_eq!(cause("a log line\nmooncast: nothing was sent: x\n  y"), "nothing was sent: x\n  y");
        assert_eq!(cause("one\ntwo"), "two");
        assert_eq!(cause(""), "the rehearsal ended without a report");
        let refused = out_of_memory("a log line\nmemory allocation of 327680 bytes failed\n").unwrap();
        assert!(refused.contains("raise `[scripts] memory`"), "{refused}");
        assert_eq!(out_of_memory("mooncast: nothing was sent: x"), None);
    }
}
