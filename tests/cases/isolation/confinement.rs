//! What a script's process can reach of its host, and what other processes can see of the host.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::{Daemon, status, until, workers};
use crate::support::Project;

const WAITS: &str = "print('waits', require('datetime').now('Asia/Shanghai'))\nrequire('task').sleep('10m')";

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Starts a host whose script waits. Returns the host and the script's process.
fn waiting(command: &mut Command) -> (Daemon, u32) {
    let daemon = Daemon::of(command);
    daemon.says("waits");
    let mut worker = None;
    until("a worker", || {
        worker = workers(daemon.pid()).pop();
        worker.is_some()
    });
    (daemon, worker.unwrap())
}

#[test]
fn a_script_s_process_has_no_descriptor_that_the_host_was_started_with() {
    let project = Project::with_script(WAITS);
    let host = project.command(&["run", "--simulator", "scripts/main.lua"]);
    let mut command = Command::new("sh");
    command.args(["-c", "exec 7</etc/passwd 9>>secret.txt; exec \"$0\" \"$@\""]);
    command.arg(host.get_program()).args(host.get_args()).current_dir(project.path(""));
    let (daemon, worker) = waiting(&mut command);
    let links = std::fs::read_dir(format!("/proc/{worker}/fd")).unwrap().flatten();
    let open: Vec<_> = links.map(|entry| std::fs::read_link(entry.path()).unwrap()).collect();
    assert!(open.iter().all(|path| path.to_string_lossy().starts_with("pipe:")), "{open:?}");
    drop(daemon);
}

#[test]
fn a_script_s_process_is_walled_in() {
    let project = Project::with_script(WAITS);
    let (_daemon, worker) = waiting(&mut project.command(&["run", "--simulator", "scripts/main.lua"]));
    let is = |name: &str| status(worker, name).unwrap();
    assert_eq!(is("NoNewPrivs"), "1");
    assert_eq!(is("Seccomp"), "2", "a filter");
    assert_eq!(is("CapEff"), "0000000000000000");
    assert_eq!(is("CapPrm"), "0000000000000000");
    if is_root() {
        assert!(is("Uid").split_whitespace().all(|user| user == "65534"), "{}", is("Uid"));
        assert!(is("Gid").split_whitespace().all(|group| group == "65534"), "{}", is("Gid"));
        assert_eq!(is("Groups"), "");
    }
}

#[test]
fn doctor_says_how_scripts_are_walled_in() {
    let ran = Project::new().mooncast(&["doctor", "--simulator"]).exits(0);
    let line =
        ran.stdout.lines().find(|line| line.contains("scripts:")).unwrap_or_else(|| panic!("{ran:#?}"));
    assert!(line.contains("seccomp active") && line.contains("a worker runs as"), "{line}");
    assert!(line.contains("Landlock"), "{line}");
}

#[test]
fn a_script_s_process_dies_with_its_host() {
    let project = Project::with_script(WAITS);
    let (daemon, worker) = waiting(&mut project.command(&["run", "--simulator", "scripts/main.lua"]));
    daemon.kill();
    until("the worker is gone", || !super::alive(worker));
}

#[test]
fn a_host_writes_no_core_and_its_memory_is_its_own() {
    let project = Project::with_script(WAITS);
    let mut command = project.command(&["run", "--simulator", "scripts/main.lua"]);
    if is_root() {
        // The kernel assigns the files of a non-dumpable process to root. This is visible only to another user.
        let binary = project.path("mooncast");
        std::fs::copy(command.get_program(), &binary).unwrap();
        std::fs::set_permissions(project.path(""), std::fs::Permissions::from_mode(0o777)).unwrap();
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = Command::new(&binary);
        command.args(args).current_dir(project.path("")).uid(12_345).gid(12_345);
    }
    let (daemon, worker) = waiting(&mut command);
    for pid in [daemon.pid(), worker] {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert!(core.split_whitespace().filter(|word| *word == "0").count() == 2, "{core}");
        assert_eq!(std::fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid(), 0);
    }
}
