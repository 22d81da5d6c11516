//! Broadcasts that are killed, resumed, looked at and settled, through the binary.

use std::collections::BTreeMap;

use crate::support::service::Service;
use crate::support::{Project, Ran};

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

/// How often each group got the message, by the service's own count.
fn received(service: &Service) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in service.messages() {
        *counts.entry(message["to"][0].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn killed_anywhere_and_started_again_every_group_has_it_once_or_is_reported() {
    for point in ["before-intent", "after-intent", "after-request", "before-outcome"] {
        for count in [1, 25] {
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
            let numbers: Vec<usize> =
                line.split('\t').take(3).map(|number| number.parse().unwrap()).collect();
            assert_eq!(numbers[0], 60);
            assert_eq!(numbers[1] + numbers[2], 60, "{point}:{count}: lost: {ran:#?}");
            assert!(got.len() >= numbers[1], "{point}:{count}: {} got it, {ran:#?}", got.len());
        }
    }
}

#[test]
fn a_project_that_sends_to_the_simulator_has_its_broadcasts_there() {
    let settings = format!("simulator = true\n{SETTINGS}");
    let project = Project::with_script(SCRIPT).file("mooncast.toml", &settings);
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
    // No script is needed to go on.
    runs(&["resume", "news"]).exits(3).prints("in_doubt").prints("next: mooncast runs settle 1");
    let doubts = runs(&["export", "news", "--state", "in_doubt"]).exits(0).stdout.lines().count() - 1;
    assert!(doubts >= 1);
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
    project.mooncast(&["runs", "list"]).exits(2).says("nothing was sent");
    assert!(!project.path(".mooncast").exists());
}
