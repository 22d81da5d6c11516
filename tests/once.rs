//! `once` and the ledger of single sends, through the binary.

use std::os::unix::process::ExitStatusExt;

use crate::support::service::{Service, json};
use crate::support::{Project, side_by_side, store};

const ONCE: &str = r#"
local receipts = im.group_send({ to = 7, type = "txt", body = { msg = "x" } }, { once = "welcome" })
print(receipts["7"])"#;

#[test]
fn a_key_sends_once_across_runs_and_gives_the_first_receipts() {
    let service = Service::accepting();
    let project = Project::with_script(ONCE);
    let first = project.run_against(&service).exits(0).says("sent to 1 group");
    let second = project.run_against(&service).exits(0).never_says("sent to");
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(service.messages().len(), 1);
    assert_eq!(project.path(".mooncast/ledger.db").exists(), store::server().is_none());
}

#[test]
fn a_key_stands_for_one_message() {
    let service = Service::accepting();
    let project = Project::with_script(ONCE);
    project.run_against(&service).exits(0);
    project.write("scripts/main.lua", ONCE.replace("\"x\"", "\"y\""));
    project.run_against(&service).exits(1).says("once = \"welcome\" was used for another message");
    assert_eq!(service.messages().len(), 1);
}

#[test]
fn tasks_with_one_key_join() {
    let service = Service::accepting();
    Project::with_script(
        r#"local task, tasks = require("task"), {}
        for i = 1, 8 do
          tasks[i] = function()
            return im.group_send({ to = 7, type = "txt", body = { msg = "x" } }, { once = "k" })["7"]
          end
        end
        local ids = task.all(tasks)
        for i = 1, 8 do assert(ids[i] == ids[1], i) end
        print("joined")"#,
    )
    .run_against(&service)
    .exits(0)
    .prints("joined");
    assert_eq!(service.messages().len(), 1);
}

#[test]
fn a_key_in_doubt_stays_in_doubt() {
    let service = Service::answering(|_, _| json(500, "{}"));
    let project = Project::with_script(
        r#"for _ = 1, 2 do
          local ok, e = pcall(im.group_send, { to = 7, type = "txt", body = { msg = "x" } }, { once = "k" })
          print(ok, e.kind)
        end"#,
    );
    for _ in 0..2 {
        project.run_against(&service).exits(3).prints("false\tin_doubt\nfalse\tin_doubt\n");
    }
    assert_eq!(service.messages().len(), 1);
}

#[test]
fn a_refused_key_is_free_again() {
    let service = Service::answering(|number, request| {
        if number == 0 { json(400, "{}") } else { crate::support::service::accept(number, request) }
    });
    let project = Project::with_script(ONCE);
    project.run_against(&service).exits(1);
    project.run_against(&service).exits(0);
    assert_eq!(service.messages().len(), 2);
}

#[test]
fn a_crash_between_intent_and_outcome_leaves_the_key_in_doubt() {
    let points = [
        ("before-intent:1", 0, 0),
        ("after-intent:1", 0, 1),
        ("after-request:1", 1, 1),
        ("before-outcome:1", 1, 1),
    ];
    side_by_side(points, |(point, sent, then)| {
        let service = Service::accepting();
        let project = Project::with_script(ONCE);
        let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
        let output = command.env("MOONCAST_FAIL_POINT", point).output().unwrap();
        assert_eq!(output.status.signal(), Some(6), "{point}: {output:?}");
        assert_eq!(service.messages().len(), sent, "{point}");
        let again = project.run_against(&service).exits(then);
        assert_eq!(service.messages().len(), if then == 0 { 1 } else { sent }, "{point}");
        if then == 1 {
            again.says("in doubt");
        }
    });
}

#[test]
fn a_ledger_that_cannot_be_opened_stops_everything_before_it_is_sent() {
    // This part tests the ledger's file.
    if store::server().is_some() {
        return;
    }
    let service = Service::accepting();
    let project = Project::with_script(
        r#"print(pcall(im.group_send, { to = 7, type = "txt", body = { msg = "x" } }))"#,
    )
    .file(".mooncast/ledger.db", "this is no ledger. ".repeat(1000));
    project.run_against(&service).exits(2).prints("false").prints("damaged");
    assert_eq!(service.messages().len(), 0);
}

#[test]
fn the_simulator_has_a_ledger_of_its_own() {
    let service = Service::accepting();
    let project = Project::with_script(ONCE);
    project.run_simulated().exits(0).says("sent to 1 group");
    project.run_simulated().exits(0).never_says("sent to");
    project.run_against(&service).exits(0).says("sent to 1 group");
}
