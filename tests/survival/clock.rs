//! A machine's clock that is set back half-way has no effect.

use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};

use super::server::Server;
use super::{ended, half_sent, in_state, nobody_lost, nothing_silent, project, rows, run, shim};
use crate::support::{Project, Ran, store};

fn hour_behind(project: &Project, server: &Server, set_back: &Path) -> Command {
    let mut command = run(project, server);
    shim::clock(&mut command, set_back);
    command
}

/// Returns the times of all recipients' last changes.
fn instants(project: &Project) -> Vec<Timestamp> {
    let ran = project.mooncast(&["runs", "export", "news", "--format", "jsonl"]).exits(0);
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        row["updated_at"].as_str().unwrap().parse().unwrap()
    };
    ran.stdout.lines().map(row).collect()
}

#[test]
fn the_clock_set_back_an_hour_half_way_changes_nothing() {
    let (project, server) = (project(200, ""), Server::faithful());
    let set_back = project.path("set-back");
    server.hold_from(50);
    let child = Project::start(hour_behind(&project, &server, &set_back));
    assert!(server.wait_for(50));
    std::fs::write(&set_back, "").unwrap();
    server.let_go();
    Ran::of(&child.wait_with_output().unwrap()).exits(0).prints("200\t200\t0\t0");
    let instants = instants(&project);
    let (first, last) = (instants.iter().min().unwrap(), instants.iter().max().unwrap());
    // Hosts that share a store use the store's clock.
    let followed = store::server().is_some();
    assert_eq!(last.duration_since(*first) < SignedDuration::from_mins(30), followed, "{first} {last}");
    nothing_silent(&rows(&project), &server, "set back");
    assert_eq!(server.accepted().len(), 200);
}

#[test]
fn a_run_after_the_clock_was_set_back_takes_over_from_a_dead_one() {
    let (project, server) = half_sent(100);
    let set_back = project.path("set-back");
    std::fs::write(&set_back, "").unwrap();
    let doubts = in_state(&rows(&project), "sending");
    let ran = ended(hour_behind(&project, &server, &set_back));
    assert!(ran.status == Some(3) && doubts > 0, "{ran:#?}");
    let rows = rows(&project);
    nothing_silent(&rows, &server, "set back");
    nobody_lost(&rows, 100, "set back");
    assert_eq!(in_state(&rows, "in_doubt"), doubts);
}
