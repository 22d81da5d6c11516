//! Broadcasts that are killed, resumed, inspected and settled, with the binary.

use std::collections::BTreeMap;
use std::io::Read;

use crate::support::service::{Service, accept, json};
use crate::support::{Project, Ran, side_by_side, store};

const SCRIPT: &str = r#"
local groups = {}
for i = 1, 60 do groups[i] = 1000 + i end
local report = im.broadcast { name = "news", to = groups, message = { type = "txt", body = { msg = "once" } } }
print(report.total, report.sent, report.in_doubt, report.already)
"#;

const SETTINGS: &str = "[app.limits]\ngroup_per_second = 10000\n";

fn project() -> Project {
    Project::with_script(SCRIPT).file("mooncast.toml", SETTINGS)
}

/// Returns the number of messages of each group, by the service's own count.
fn received(service: &Service) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in service.messages() {
        *counts.entry(message["to"][0].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn killed_anywhere_and_started_again_every_group_has_it_once_or_is_reported() {
    let points = ["before-intent", "after-intent", "after-request", "before-outcome"];
    side_by_side(points.into_iter().flat_map(|point| [(point, 1), (point, 25)]), |(point, count)| {
        let (service, project) = (Service::accepting(), project());
        let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
        let killed =
            Ran::of(&command.env("MOONCAST_FAIL_POINT", format!("{point}:{count}")).output().unwrap());
        assert_eq!(killed.status, None, "{point}:{count}: {killed:#?}");
        let ran = project.run_against(&service);
        let got = received(&service);
        assert!(got.values().all(|count| *count == 1), "{point}:{count}: sent twice: {got:?}");
        let line =
            ran.stdout.lines().next().unwrap_or_else(|| panic!("{point}:{count}: {ran:#?}")).to_owned();
        let numbers: Vec<usize> = line.split('\t').take(3).map(|number| number.parse().unwrap()).collect();
        assert_eq!(numbers[0], 60);
        assert_eq!(numbers[1] + numbers[2], 60, "{point}:{count}: lost: {ran:#?}");
        assert!(got.len() >= numbers[1], "{point}:{count}: {} got it, {ran:#?}", got.len());
    });
}

#[test]
fn a_project_that_sends_to_the_simulator_has_its_broadcasts_there() {
    let project = Project::with_script(SCRIPT);
    project.simulate(SETTINGS);
    assert_eq!(project.mooncast(&["run", "scripts/main.lua"]).status, Some(0));
    let listed = project.mooncast(&["runs", "list"]);
    assert!(listed.stdout.contains("news"), "{listed:#?}");
}

#[test]
fn a_broadcast_is_listed_shown_exported_and_settled() {
    let (service, project) = (Service::accepting(), project());
    let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
    command.env("MOONCAST_FAIL_POINT", "after-request:5");
    assert_eq!(command.output().unwrap().status.code(), None);

    let runs = |args: &[&str]| {
        let mut all = vec!["runs"];
        all.extend(args);
        Ran::of(&project.command_against(&service, &all).output().unwrap())
    };
    runs(&["list"]).exits(0).prints("news/1");
    runs(&["show", "nothing"]).exits(2).says("no broadcast `nothing`");
    // Resuming needs no script.
    runs(&["resume", "news"])
        .exits(3)
        .prints("in_doubt")
        .prints("next: mooncast runs settle news --run 1 --as-sent");
    let export = runs(&["export", "news", "--run", "1", "--state", "in_doubt"]).exits(0).stdout;
    let doubts = export.lines().count() - 1;
    assert!(doubts >= 1);
    // The attempt without an answer counts as one.
    assert!(export.lines().skip(1).all(|row| row.contains(",in_doubt,,1,")), "{export}");
    runs(&["settle", "news/1", "--again"]).exits(0).prints("pending again");
    runs(&["resume", "1"]).exits(0).prints("sent       60");
    runs(&["resume", "1"]).exits(0).prints("nothing is left to send");
    let got = received(&service);
    assert_eq!(got.len(), 60);
    assert!(got.values().sum::<usize>() <= 60 + doubts);
    let rows = runs(&["export", "1", "--format", "jsonl"]).exits(0);
    assert_eq!(rows.stdout.lines().count(), 60);
    assert!(rows.stdout.lines().all(|row| row.contains("\"state\":\"sent\"")));
}

#[test]
fn looking_makes_no_ledger() {
    let project = project();
    // A server has a schema already, and a reading command makes the tables.
    if store::server().is_some() {
        project.mooncast(&["runs", "list"]).exits(0).prints("no broadcasts");
        return;
    }
    project.mooncast(&["runs", "list"]).exits(2).says("nothing was sent");
    assert!(!project.path(".mooncast").exists());
}

const REFUSED: &str = r#"{"error":"illegal_argument","error_description":"no such group"}"#;

/// Refuses the messages to group 1007 and accepts the others.
fn refusing() -> Service {
    Service::answering(|count, request| {
        if String::from_utf8_lossy(&request.body).contains("\"1007\"") {
            return json(400, REFUSED);
        }
        accept(count, request)
    })
}

#[test]
fn the_end_says_what_to_type_next_and_that_can_be_typed() {
    let (service, project) = (refusing(), project());
    let ran = project.run_against(&service).exits(3).says("news/1: 59 of 60 sent, 1 rejected");
    let next = ran.stderr.lines().find_map(|line| line.trim().strip_prefix("next: mooncast ")).unwrap();
    assert_eq!(next, "runs retry news --run 1");
    let typed: Vec<&str> = next.split(' ').collect();
    Ran::of(&project.command_against(&service, &typed).output().unwrap())
        .exits(0)
        .prints("1 is pending again; `mooncast runs resume news --run 1` sends it");
}

#[test]
fn a_run_names_a_broadcast_whatever_its_name() {
    let script = SCRIPT.replace("name = \"news\"", "name = \"2026\", run = \"a/b\"");
    let project = Project::with_script(script).file("mooncast.toml", SETTINGS);
    project.run_simulated().exits(0);
    let show = |args: &[&str]| project.mooncast(&[&["runs", "--simulator", "show"], args].concat());
    show(&["2026", "--run", "a/b"]).exits(0).prints("2026/a/b (number 1) is finished");
    show(&["2026", "--run", "c"]).exits(2).says("no broadcast `2026` with the run `c`");
    show(&["2026"]).exits(2);
}

#[test]
fn a_log_for_programs_holds_nothing_else() {
    let (service, project) = (refusing(), project());
    let mut command = project.command_against(&service, &["--log-format", "json", "run", "scripts/main.lua"]);
    let ran = Ran::of(&command.output().unwrap()).exits(3);
    let lines: Vec<serde_json::Value> = ran
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let with = |field: &str| lines.iter().find(|line| line.get(field).is_some()).cloned();
    assert_eq!(with("next").unwrap()["next"], "mooncast runs retry news --run 1", "{lines:?}");
    assert_eq!(with("rejected").unwrap()["sent"], 59);
}

/// Runs a command on a terminal until `seen` is true for its output, and interrupts it.
fn on_terminal(mut command: std::process::Command, seen: impl Fn(&str) -> bool) -> String {
    let size = nix::pty::Winsize { ws_row: 24, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = nix::pty::openpty(&size, None).unwrap();
    command.stdout(std::process::Stdio::null()).stderr(terminal.slave).env("TERM", "xterm");
    let mut child = command.spawn().unwrap();
    // The command holds the other end.
    drop(command);
    let (mut shown, mut told) = (String::new(), false);
    let mut reader = std::fs::File::from(terminal.master);
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        shown += &String::from_utf8_lossy(&buffer[..count]);
        if !told && seen(&shown) {
            told = true;
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(130), "{shown}");
    shown
}

#[test]
fn a_terminal_shows_how_a_broadcast_stands_in_a_run_and_in_a_resume() {
    let script = SCRIPT.replace("60", "2000");
    let (service, project) = (Service::accepting(), Project::with_script(script));
    let seen = |shown: &str| {
        ["/2000 sent, ", "/s, 1 min ", "waits for its quota"].iter().all(|text| shown.contains(text))
    };
    let run = project.command_against(&service, &["run", "scripts/main.lua"]);
    let shown = on_terminal(run, seen);
    assert!(shown.contains("news/1 ["), "{shown}");
    assert!(shown.contains("next: mooncast runs resume news --run 1"), "{shown}");
    on_terminal(project.command_against(&service, &["runs", "resume", "news"]), seen);
}

#[test]
fn an_export_whose_reader_has_gone_ends_quietly() {
    let project = Project::with_script(SCRIPT.replace("60", "3000")).file("mooncast.toml", SETTINGS);
    project.run_simulated().exits(0);
    for format in ["csv", "jsonl"] {
        let mut command = project.command(&["runs", "export", "--simulator", "news", "--format", format]);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
        let ran = Ran::of(&output).exits(0);
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn pruning_says_what_it_would_forget_and_keeps_what_is_young_or_unfinished() {
    let project = project();
    project.run_simulated().exits(0);
    let prune = |args: &[&str]| project.mooncast(&[&["runs", "--simulator", "prune"], args].concat());
    prune(&["--dry-run"])
        .exits(0)
        .prints("would delete what ended before ")
        .prints(": 0 broadcasts, 0 single");
    prune(&[]).exits(0).prints("deleted what ended before ").prints(": 0 broadcasts");
    prune(&["--older-than", "0"]).exits(2).says("write 1 or more days");
    project.mooncast(&["runs", "--simulator", "show", "news"]).exits(0);
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let project = Project::with_script(
        "for i = 1, 40 do im.broadcast { name = 'b' .. i, to = { 1 }, message = { type = 'txt', body = { msg = 'x' } } } end",
    );
    project.run_simulated().exits(0);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = project.command(&["runs", "--simulator", "list"]);
    let output =
        command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output();
    assert_eq!(String::from_utf8_lossy(&output.unwrap().stderr), "");
}
