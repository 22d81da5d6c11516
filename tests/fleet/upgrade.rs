//! A program beside a newer version. It works only with a schema that it can read. It checks this at its start and
//! after each change by the newer version.

use super::has_server;
use crate::support::{Project, Ran};
use crate::survival::server::Server;

const SETTINGS: &str = "[app.limits]\ngroup_per_second = 100\n";

fn script(many: usize) -> String {
    format!(
        "local groups = {{}}
        for i = 1, {many} do groups[i] = 1000 + i end
        im.broadcast {{ name = 'news', to = groups, message = {{ type = 'txt', body = {{ msg = 'x' }} }} }}"
    )
}

fn project(many: usize) -> Project {
    Project::with_script(script(many)).file("mooncast.toml", SETTINGS)
}

fn run(project: &Project, server: &Server) -> std::process::Command {
    crate::survival::command(project, server, &["run", "scripts/main.lua"])
}

fn ended(mut command: std::process::Command) -> Ran {
    Ran::of(&command.output().unwrap())
}

#[test]
fn a_schema_that_newer_programs_changed_is_refused_before_anything_is_sent() {
    if !has_server() {
        return;
    }
    let (project, server) = (project(10), Server::faithful());
    project.mooncast(&["runs", "list"]).exits(0);
    project.schema().run("UPDATE schema_version SET version = 99, least = 98");
    ended(run(&project, &server))
        .exits(2)
        .says("this ledger is of version 99")
        .says("use the newer mooncast");
    project.mooncast(&["runs", "list"]).exits(2).says("this ledger is of version 99");
    assert_eq!(server.told().requests, 0);
    // A schema that newer versions only extended is used and left unchanged.
    project.schema().run(
        "UPDATE schema_version SET version = 99, least = 1; ALTER TABLE write_proof ADD COLUMN news TEXT",
    );
    ended(run(&project, &server)).exits(0);
    assert_eq!(server.accepted().len(), 10);
    project.schema().run("DO $$ BEGIN ASSERT (SELECT version FROM schema_version) = 99; END $$");
}

#[test]
fn a_run_ends_when_a_newer_program_changes_the_schema_meanwhile() {
    if !has_server() {
        return;
    }
    // A minute of sending. The program may send for some seconds until it checks the schema.
    let (project, server) = (project(6_000), Server::faithful());
    let child = Project::start(run(&project, &server));
    assert!(server.wait_for(100));
    project.schema().run("UPDATE schema_version SET version = 99, least = 99");
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert!([Some(1), Some(2)].contains(&ran.status), "{ran:#?}");
    let ran = ran.says("this ledger is of version 99");
    let (sent, requests) = (server.accepted(), server.told().requests);
    println!("{} of 6000 sent before it looked", sent.len());
    assert!(sent.len() < 3_000 && sent.values().all(|times| *times == 1), "{ran:#?}");
    ended(run(&project, &server)).exits(2);
    assert_eq!(server.told().requests, requests);
}
