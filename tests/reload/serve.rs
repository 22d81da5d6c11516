//! Reloads with the binary: a run in flight, the view of other processes, and the notifications to the service
//! manager.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{GUARD, script};
use crate::support::{Project, Ran};

/// A running `mooncast serve`.
struct Served {
    child: Child,
    lines: Receiver<String>,
}

impl Served {
    fn start(command: Command) -> Self {
        let mut child = Project::start(command);
        let (sender, lines) = channel();
        let printed = BufReader::new(child.stdout.take().unwrap());
        let logged = BufReader::new(child.stderr.take().unwrap());
        let tell = sender.clone();
        std::thread::spawn(move || printed.lines().map_while(Result::ok).all(|line| tell.send(line).is_ok()));
        std::thread::spawn(move || {
            logged.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { child, lines }
    }

    /// Returns the next line that contains this.
    #[track_caller]
    fn says(&self, text: &str) -> String {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(GUARD) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => before.push(line),
                Err(error) => panic!("no {text:?} ({error}) in {before:#?}"),
            }
        }
    }

    fn tell(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    fn stop(mut self) {
        self.tell(Signal::TERM);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // In a successful test the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A job that prints its version once the file `go` exists. A library prints its version too.
fn waiting(number: usize) -> String {
    format!(
        r#"local fs, task, texts = require("fs"), require("task"), require("texts")
require("schedule").every("24h", {{ name = "digest" }}, function()
  print("begun {number}")
  while not fs.exists("go") do task.sleep(0.02) end
  print("version {number} of library " .. texts.number .. " and " .. require("texts").number)
end)"#
    )
}

#[test]
fn a_run_in_flight_ends_on_the_version_that_it_began_with() {
    let project = Project::new()
        .file("scripts/digest.lua", waiting(1))
        .file("scripts/lib/texts.lua", "return { number = 1 }");
    let served = Served::start(project.command(&["serve", "--simulator"]));
    served.says("serving");
    let trigger = || project.mooncast(&["jobs", "--simulator", "trigger", "digest"]).exits(0);
    trigger();
    served.says("begun 1");
    std::fs::write(project.path("scripts/lib/texts.lua"), "return { number = 2 }").unwrap();
    served.says("script loaded in a new version");
    std::fs::write(project.path("scripts/digest.lua"), waiting(2)).unwrap();
    served.says("script loaded in a new version");
    std::fs::write(project.path("go"), "").unwrap();
    served.says("version 1 of library 1 and 1");
    trigger();
    served.says("version 2 of library 2 and 2");
    // A script that is removed while its job runs finishes the run, and then has no jobs.
    std::fs::remove_file(project.path("go")).unwrap();
    trigger();
    served.says("begun 2");
    std::fs::remove_file(project.path("scripts/digest.lua")).unwrap();
    served.says("script removed");
    std::fs::write(project.path("go"), "").unwrap();
    served.says("version 2 of library 2 and 2");
    // Other processes see it once it is in the ledger.
    crate::support::until("the job is gone", || {
        project.mooncast(&["jobs", "--simulator"]).exits(0).stdout.contains("no jobs")
    });
    project
        .mooncast(&["jobs", "--simulator", "trigger", "digest"])
        .exits(2)
        .says("no script has declared `digest` since");
    served.stop();
}

#[test]
fn other_processes_see_which_version_is_in_force_and_why_the_file_is_not() {
    let project = Project::new().file("scripts/digest.lua", script("digest", 1));
    let served = Served::start(project.command(&["serve", "--simulator"]));
    served.says("serving");
    std::fs::write(project.path("scripts/digest.lua"), "local x = = 1").unwrap();
    let told = served.says("its last version stays active");
    assert!(told.contains("scripts/digest.lua:1:") && told.contains("WARN"), "{told}");
    let jobs = until(&project, "scripts/digest.lua has failed to load");
    jobs.prints("scripts/digest.lua:1:").prints("digest ");
    // Nothing changed, but a person requests a reload.
    served.tell(Signal::HUP);
    served.says("scanning all scripts and the settings again");
    std::fs::write(project.path("scripts/digest.lua"), script("digest", 2)).unwrap();
    served.says("script loaded in a new version");
    served.stop();
}

/// Lists the jobs until this is in the list.
fn until(project: &Project, text: &str) -> Ran {
    let start = std::time::Instant::now();
    loop {
        let ran = project.mooncast(&["jobs", "--simulator"]).exits(0);
        if ran.stdout.contains(text) || start.elapsed() > GUARD {
            return ran.prints(text);
        }
    }
}

#[test]
fn the_service_manager_is_told_when_it_is_ready_alive_and_stopping() {
    let project = Project::new().file("scripts/digest.lua", script("digest", 1));
    let path = project.path("notify.socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(GUARD)).unwrap();
    let mut command = project.command(&["serve", "--simulator"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let served = Served::start(command);
    let start = std::time::Instant::now();
    // The heartbeats also come before the service is ready.
    let mut heard = Vec::new();
    let signs = |heard: &Vec<String>| heard.iter().filter(|line| *line == "WATCHDOG=1").count();
    while signs(&heard) < 5 || !heard.contains(&"READY=1".to_owned()) {
        heard.extend(hear(&socket));
    }
    assert!(start.elapsed() >= Duration::from_millis(790), "{heard:?}");
    assert_eq!(heard.iter().filter(|line| *line == "READY=1").count(), 1, "{heard:?}");
    served.tell(Signal::TERM);
    while !heard.contains(&"STOPPING=1".to_owned()) {
        heard.extend(hear(&socket));
    }
    served.stop();
}

fn hear(socket: &UnixDatagram) -> Vec<String> {
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..length]).lines().map(str::to_owned).collect()
}

#[test]
fn the_unit_starts_what_there_is() {
    let unit =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/mooncast.service")).unwrap();
    let setting = |name: &str| {
        unit.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_else(|| panic!("no {name}"))
    };
    assert_eq!(setting("Type"), "notify");
    assert!(setting("WatchdogSec").parse::<u32>().unwrap() > 0);
    for hardening in
        ["NoNewPrivileges", "ProtectHome", "PrivateTmp", "RestrictSUIDSGID", "MemoryDenyWriteExecute"]
    {
        assert_eq!(setting(hardening), "yes");
    }
    // The binary accepts the unit's command line, and the unit gives it enough time to stop.
    let mut words = setting("ExecStart").split_whitespace();
    assert_eq!(words.next(), Some("mooncast"));
    let args: Vec<&str> = words.chain(["--help"]).collect();
    Project::new().mooncast(&args).exits(0).prints("Usage: mooncast serve");
    let stop: u64 = setting("TimeoutStopSec").parse().unwrap();
    assert!(Duration::from_secs(stop) > mooncast::ServeSettings::default().stop_within);
}
