//! What commands say while a broadcast waits for an approval.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::json;

use super::{RUN, awaited, post, project, project_with, reached, waits};
use crate::support::service::Service;
use crate::support::{Project, Ran};
use crate::web::Site;

#[test]
fn each_command_says_that_it_waits_for_an_approval() {
    let service = Service::accepting();
    let project = project();
    let rehearsed = project.mooncast(&["rehearse", "scripts/main.lua"]).exits(0);
    rehearsed.prints("It is sent only once another person has approved it (`mooncast runs approve`)");
    let report = project.mooncast(&["rehearse", "--json", "scripts/main.lua"]).exits(0);
    report.prints("\"needs_approval\": true");
    let ran = waits(project.command_against(&service, &RUN)).exits(130);
    let ran = ran
        .says("awaits approval")
        .says("next: mooncast runs approve news --run 1, by a person who neither began");
    assert!(!ran.stderr.contains("next: mooncast runs resume"), "{ran:?}");
    // The daemon's own broadcast.
    let site = Site::of_against(project, &service);
    post(&site, "/scripts/run", &site.operate, &json!({ "script": "scripts/main.lua" }));
    awaited(&site);
    site.until("/broadcasts/1", |page| !page["broadcast"]["driven_by"].is_null());
    for (args, told) in [
        (&["runs", "resume", "news"][..], "news/1 awaits approval: 3 recipients"),
        (&["runs", "retry", "news"], "0 are pending again; it awaits approval: 3 recipients"),
        (&["runs", "settle", "news", "--again"], "0 are pending again; it awaits approval: 3 recipients"),
    ] {
        let ran = Ran::of(&site.project.command_against(&service, args).output().unwrap());
        let ran = ran.exits(0).prints(told).prints("; then the process");
        assert!(!ran.stdout.contains("continues in") && !ran.stdout.contains("; the daemon"), "{ran:?}");
    }
    assert_eq!(reached(&service), [] as [&str; 0]);
    site.serving.stop().exits(0);
    // One that needs none.
    let project = project_with(super::SCRIPT, "");
    let free = project.mooncast(&["rehearse", "scripts/main.lua"]).exits(0);
    assert!(!free.stdout.contains("approved"), "{free:?}");
}

/// Runs a command that must not wait.
#[track_caller]
fn ends(mut command: Command) -> Ran {
    let mut child = Project::start({
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    });
    let mut said = String::new();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    while err.read_line(&mut said).unwrap() > 0 {
        if said.contains("awaits approval") {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it waits: {said}");
        }
    }
    Ran { stderr: said, ..Ran::of(&child.wait_with_output().unwrap()) }
}

#[test]
fn a_replan_that_leaves_nothing_to_send_waits_for_nothing() {
    let service = Service::accepting();
    let project = project();
    let run = |args: &[&str]| project.command_against(&service, args);
    let replan = ["run", "--replan", "scripts/main.lua"];
    // Without the rule it is sent. With it, what a replan adds waits.
    project.write("mooncast.toml", "");
    ends(run(&RUN)).exits(0);
    project.write("mooncast.toml", super::OVER_TWO);
    project.write("groups.csv", "group_id\n101\n102\n103\n104\n");
    waits(run(&replan)).exits(130);
    project.mooncast(&["runs", "list"]).exits(0).prints("awaiting_approval news/1");
    project.write("groups.csv", "group_id\n101\n102\n103\n");
    ends(run(&replan));
    let shown = project.mooncast(&["runs", "show", "news"]).exits(0).prints("news/1 (number 1) is finished");
    assert!(!shown.stdout.contains("awaits"), "{shown:?}");
    // What a later replan adds waits again.
    project.write("groups.csv", "group_id\n101\n102\n103\n104\n");
    waits(run(&replan)).exits(130);
    assert_eq!(reached(&service), ["101", "102", "103"]);
}
