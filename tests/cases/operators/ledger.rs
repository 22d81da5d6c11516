//! Row "doctor", and times on the command line.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::service::Service;
use crate::support::{Project, Ran, store, wrapped};

use super::{FAST, news, runs};

fn sent(service: &Service) -> Project {
    let project = Project::with_script(news(3)).file("mooncast.toml", FAST);
    project.run_against(service).exits(0);
    project
}

fn doctor(project: &Project, service: &Service) -> Ran {
    Ran::of(&project.command_against(service, &["doctor"]).output().unwrap())
}

#[test]
fn doctor_says_of_a_ledger_full_of_noise_what_store_check_says() {
    if store::server().is_some() {
        return;
    }
    let service = Service::accepting();
    let project = sent(&service);
    for side in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(project.path(format!(".mooncast/ledger.db{side}")));
    }
    project.write(".mooncast/ledger.db", vec![0xa5; 32_768]);
    let checked = project.mooncast(&["store", "check"]);
    let bad = checked.stdout.lines().find(|line| line.starts_with("BAD")).unwrap().to_owned();
    doctor(&project, &service).exits(1).prints(&bad);
}

#[test]
fn doctor_says_that_a_ledger_is_newer_and_that_it_cannot_be_written() {
    if store::server().is_some() {
        return;
    }
    let service = Service::accepting();
    let project = sent(&service);
    doctor(&project, &service).prints("store: ").prints("readable and writable");
    project.run_in_store("PRAGMA user_version = 9999");
    doctor(&project, &service).exits(1).prints("use the newer mooncast");
    let project = sent(&service);
    let file = project.path(".mooncast/ledger.db");
    for side in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(project.path(format!(".mooncast/ledger.db{side}")));
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads and writes whatever the mode is.
    if std::fs::File::open(&file).is_err() {
        doctor(&project, &service).exits(1).prints("BAD  store");
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Mounts a disk of this many kilobytes for the state and fills it with a file.
const FULL: &str = "mkdir -p .mooncast; mount -t tmpfs -o size=64k none .mooncast; \
    dd if=/dev/zero of=.mooncast/other 2>/dev/null || true; exec \"$@\"";

#[test]
fn doctor_says_that_the_disk_is_full() {
    if store::server().is_some() {
        return;
    }
    let (service, project) = (Service::accepting(), Project::new());
    let mount = ["sh", "-c", "mount -t tmpfs none /mnt"];
    let may = |way: &&&[&str]| {
        let words = [&["unshare"], **way, &mount].concat();
        std::process::Command::new(words[0])
            .args(&words[1..])
            .output()
            .is_ok_and(|tried| tried.status.success())
    };
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    // Without the right to mount a disk, the test cannot fill one.
    let Some(way) = ways.iter().find(may) else { return };
    let command = project.command_against(&service, &["doctor"]);
    let words = [&["unshare"], *way, &["sh", "-ec", FULL, "sh"]].concat();
    let ran = Ran::of(&wrapped(&words, &command).output().unwrap());
    ran.exits(1).prints("BAD  state folder").prints("the disk is full; free some space");
}

#[test]
fn a_rehearsal_shows_local_times_with_their_zone() {
    let project = Project::with_script(news(3)).file("mooncast.toml", FAST);
    let mut command = project.command(&["rehearse", "--simulator", "scripts/main.lua"]);
    let said = Ran::of(&command.env("TZ", "Asia/Shanghai").output().unwrap()).exits(0).stdout;
    let line = said.lines().find(|line| line.contains(" to ") && line.contains("3 calls")).unwrap();
    assert_eq!(line.matches(" +08:00").count(), 2, "{line}");
}

#[test]
fn times_on_the_command_line_are_local_with_their_zone() {
    let service = Service::accepting();
    let project = sent(&service);
    let row = |stdout: &str| stdout.lines().find(|line| line.contains("news/1")).unwrap().to_owned();
    let shanghai = runs(&project, &service, &["list"]).exits(0).stdout;
    assert!(row(&shanghai).ends_with("+08:00"), "{shanghai}");
    runs(&project, &service, &["show", "news"]).exits(0).prints("+08:00");
    let command = |zone: &str| {
        let mut command = project.command_against(&service, &["runs", "list"]);
        Ran::of(&command.env("TZ", zone).output().unwrap()).exits(0).stdout
    };
    assert!(row(&command("America/New_York")).contains(" -0"), "{}", command("America/New_York"));
    assert!(row(&command("UTC")).ends_with("+00:00"));
    // Programs read the same format as before.
    let lines = runs(&project, &service, &["export", "news", "--format", "jsonl"]).exits(0).stdout;
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(first["updated_at"].as_str().unwrap().ends_with('Z'), "{first}");
}
