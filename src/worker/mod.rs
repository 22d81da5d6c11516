//! The Lua side of a run. It has a process of its own, which the host starts with pipes and nothing else: no
//! environment, no secrets, no network. A script asks the host for everything outside its own values.
//!
//! The sandbox in this process makes mistakes readable. The security comes from the process, its limits, and the
//! host, which can kill it. The only place that names mlua.

mod confine;
mod context;
mod convert;
mod fault;
mod modules;
mod pipe;
mod report;
mod require;
mod run;
mod state;
mod tasks;

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::ExitCode;

use rustix::process::getppid;

use crate::protocol::{PROBE, ToHost, ToWorker, VERSION};

#[cfg(test)]
pub use modules::readers;
use pipe::HostPipe;

/// Runs one script for the host, over standard input and output. With [`PROBE`] as its argument it only prints how it
/// is confined.
pub fn main() -> ExitCode {
    confine::close_inherited();
    let host = getppid();
    if std::env::args_os().nth(2).as_deref() == Some(OsStr::new(PROBE)) {
        return probe(confine::probe(host));
    }
    let mut pipe = match HostPipe::open() {
        Ok(pipe) => pipe,
        Err(error) => return complain(&error),
    };
    // Queued, not flushed: it is sent with the first frame that needs an answer, or with the first wait.
    pipe.send(&ToHost::Hello(VERSION));
    let start = match pipe.receive() {
        Ok(Some(ToWorker::Start(start))) if start.version == VERSION => start,
        Ok(Some(ToWorker::Start(start))) => {
            return complain(&format!(
                "the host uses version {} of the pipe's protocol, and this worker version {VERSION}",
                start.version
            ));
        }
        Ok(Some(ToWorker::Answer(..))) => return complain(&"an answer before the start"),
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => return complain(&error),
    };
    if let Err(error) = confine::confine(&start.limits, host) {
        return complain(&error);
    }
    match run::run(&start, pipe) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

fn probe(confined: std::io::Result<confine::Confinement>) -> ExitCode {
    let written = confined.and_then(|confined| writeln!(std::io::stdout(), "{confined}"));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

/// Reports an error on standard error, which the host reads when a worker has died.
#[expect(clippy::print_stderr, reason = "a worker has no other way to say why it cannot begin")]
fn complain(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}
