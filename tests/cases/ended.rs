//! Rows "skipped lines" and "inputs changed": a finished broadcast whose audience grew, the texts of a refusal and of
//! `--continue`, and the messages under `--test-only`.

use std::fmt::Write as _;

use crate::support::service::{Service, accept};
use crate::support::{Project, Ran};

const SCRIPT: &str = r#"
local report = im.broadcast({ name = "news", to = "groups.csv", skip_bad = true, rate = 50,
  message = function(row) return { type = "txt", from = require("sender"), body = { msg = "hi " .. row.name } } end })
print("sent", report.sent)
"#;

/// A file with these groups, and more lines at its end.
fn audience(groups: impl IntoIterator<Item = u32>, more: &str) -> String {
    let mut text = groups.into_iter().fold("group_id,name\n".to_owned(), |mut text, group| {
        let _ = writeln!(text, "{group},n{group}");
        text
    });
    text.push_str(more);
    text
}

fn project(script: &str) -> Project {
    Project::with_script(script)
        .file("groups.csv", audience(1001..1004, "bad id,x\n"))
        .file("scripts/lib/sender.lua", "return 'shop'")
        .file("mooncast.toml", "[app.limits]\ngroup_per_second = 100000\n")
}

fn run(project: &Project, service: &Service, flags: &[&str]) -> Ran {
    let args = [&["run"], flags, &["scripts/main.lua"]].concat();
    Ran::of(&project.command_against(service, &args).output().unwrap())
}

fn mooncast(project: &Project, service: &Service, args: &[&str]) -> Ran {
    Ran::of(&project.command_against(service, args).output().unwrap())
}

/// Returns the groups that got a message after the first `before`, in order.
fn groups_after(service: &Service, before: usize) -> Vec<String> {
    let messages = service.messages();
    let to = messages.iter().skip(before).flat_map(|message| message["to"].as_array().unwrap().clone());
    let mut groups: Vec<String> = to.map(|group| group.as_str().unwrap().to_owned()).collect();
    groups.sort();
    groups
}

/// Makes a finished broadcast with one bad line skipped.
fn ended(script: &str) -> (Project, Service) {
    let (project, service) = (project(script), Service::accepting());
    run(&project, &service, &[]).exits(0);
    assert_eq!(groups_after(&service, 0), ["1001", "1002", "1003"]);
    (project, service)
}

/// Makes a broadcast that a killed process left half-way.
fn half(script: &str) -> (Project, Service) {
    let (project, service) = (project(script), Service::accepting());
    project.write("groups.csv", audience(1001..1021, ""));
    let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
    let ran = Ran::of(&command.env("MOONCAST_FAIL_POINT", "after-request:8").output().unwrap());
    assert_eq!(ran.status, None, "{ran:#?}");
    service.wait_for_the_gone();
    project.wait_for_death();
    (project, service)
}

#[test]
fn a_line_that_is_mended_after_the_end_is_told_and_added_by_replan() {
    let (project, service) = ended(SCRIPT);
    project.write("groups.csv", audience(1001..1004, "1004,x\n"));
    let ran = run(&project, &service, &[]).exits(2).says("recipients added: 1 (1004)");
    ran.says("--replan").says("This call sent nothing");
    assert_eq!(service.messages().len(), 3);
    run(&project, &service, &["--replan"]).exits(0);
    assert_eq!(groups_after(&service, 3), ["1004"]);
    // Groups that have the message do not get it again.
    run(&project, &service, &["--replan"]).exits(0);
    run(&project, &service, &[]).exits(0).says("nothing is sent again");
    assert_eq!(service.messages().len(), 4);
    let export = ["runs", "export", "news", "--format", "jsonl"];
    assert_eq!(mooncast(&project, &service, &export).exits(0).stdout.matches("\"sent\"").count(), 4);
}

#[test]
fn one_that_ended_is_left_as_it_is_where_its_audience_did_not_grow() {
    let (project, service) = ended(SCRIPT);
    run(&project, &service, &[]).exits(0).says("nothing is sent again");
    project.write("groups.csv", audience(1001..1003, ""));
    run(&project, &service, &[]).exits(0).says("nothing is sent again");
    run(&project, &service, &["--replan"]).exits(0).says("nothing is sent again");
    // The broadcast stays as it is, whatever the audience is now.
    project.write("groups.csv", audience(1001..1009, ""));
    run(&project, &service, &["--continue"]).exits(0).says("nothing is sent again");
    assert_eq!(service.messages().len(), 3);
}

#[test]
fn a_list_that_grew_after_the_end_is_told_and_added_by_lua() {
    let script = r#"
im.broadcast({ name = "news", to = { 1001, 1002, 1003 }, message = { type = "txt", body = { msg = "x" } } })"#;
    let (project, service) = ended(script);
    let grown = script.replace("1003 }", "1003, 1004 }");
    project.write("scripts/main.lua", &grown);
    run(&project, &service, &[]).exits(2).says("recipients added: 1 (1004)");
    project.write("scripts/main.lua", grown.replace("name =", "on_change = \"replan\", name ="));
    run(&project, &service, &[]).exits(0);
    assert_eq!(groups_after(&service, 3), ["1004"]);
}

#[test]
fn a_campaign_that_ended_takes_a_mended_line_too() {
    let script = r#"
require("campaign").run({ name = "news", to = "groups.csv", skip_bad = true, text = "Hi {{ name }}!" })"#;
    let (project, service) = ended(script);
    project.write("groups.csv", audience(1001..1004, "1004,x\n"));
    run(&project, &service, &[]).exits(2).says("recipients added: 1 (1004)");
    run(&project, &service, &["--replan"]).exits(0);
    assert_eq!(groups_after(&service, 3), ["1004"]);
}

#[test]
fn those_in_doubt_stay_in_doubt_when_recipients_are_added_after_the_end() {
    let (project, service) = half(SCRIPT);
    let ran = run(&project, &service, &[]);
    assert!([Some(0), Some(3)].contains(&ran.status), "{ran:#?}");
    let before = service.messages().len();
    project.write("groups.csv", audience(1001..1022, ""));
    let ran = run(&project, &service, &["--replan"]);
    assert!([Some(0), Some(3)].contains(&ran.status), "{ran:#?}");
    assert_eq!(groups_after(&service, before), ["1021"]);
}

#[test]
fn single_sends_and_recalls_are_withheld_under_test_only() {
    let campaign = r#"
require("campaign").run({ name = "sale", to = "groups.csv", skip_bad = true, text = "Hi!", test = { "9001" } })"#;
    for single in [
        r#"im.group_send({ to = { "1001" }, type = "txt", body = { msg = "x" } })"#,
        r#"im.group_send({ to = { "1001" }, type = "txt", body = { msg = "x" } }, { once = "campaign test x" })"#,
        r#"im.targeted_send({ to = { "1001" }, users = { "u1" }, type = "txt", body = { msg = "x" } })"#,
        r#"im.recall({ ["1001"] = "1" })"#,
    ] {
        let (project, service) = (project(&format!("{campaign}\n{single}")), Service::answering(accept));
        run(&project, &service, &["--test-only"]).exits(1).says("--test-only");
        assert_eq!(groups_after(&service, 0), ["9001"], "{single}");
        let paths: Vec<String> = service.requests().into_iter().map(|request| request.path).collect();
        assert!(!paths.iter().any(|path| path.contains("recall")), "{paths:?}");
    }
}

#[test]
fn a_campaign_whose_lines_are_all_bad_names_no_command_that_finds_nothing() {
    let script = r#"
require("campaign").run({ name = "c", to = "groups.csv", skip_bad = true, text = "Hi!" })"#;
    let (project, service) = (project(script), Service::accepting());
    project.write("groups.csv", "group_id,name\nbad id,x\nworse id,y\n");
    let ran = run(&project, &service, &[]).exits(3);
    assert!(!ran.stdout.contains("runs export"), "{ran:#?}");
    assert!(ran.stdout.contains("2 bad lines skipped"), "{ran:#?}");
    mooncast(&project, &service, &["runs", "list"]).exits(0).prints("no broadcasts");
}

#[test]
fn what_differs_is_shown_of_one_that_an_operator_paused() {
    let (project, service) = half(SCRIPT);
    mooncast(&project, &service, &["runs", "pause", "news"]).exits(0);
    project.write("groups.csv", audience((1001..1011).chain(2001..2011), ""));
    run(&project, &service, &[]).exits(2);
    let shown = mooncast(&project, &service, &["runs", "show", "news"]).exits(0);
    shown.prints("groups.csv").prints("recipients added: 10 (2001").prints("recipients removed: 10 (1011");
}

#[test]
fn what_was_in_flight_at_the_death_is_in_doubt_from_the_refusal_on() {
    let (project, service) = half(SCRIPT);
    project.write("groups.csv", audience(1001..1011, ""));
    run(&project, &service, &[]).exits(2);
    let shown = mooncast(&project, &service, &["runs", "show", "news"]).exits(0);
    assert!(!shown.stdout.contains("sending"), "{shown:#?}");
    shown.prints("in_doubt");
}

#[test]
fn a_sender_that_alone_changed_is_shown_on_both_sides() {
    let (project, service) = half(SCRIPT);
    project.write("scripts/lib/sender.lua", "return 'other'");
    let ran = run(&project, &service, &[]).exits(2);
    ran.says("from = \"shop\"").says("from = \"other\"");
    let shown = mooncast(&project, &service, &["runs", "show", "news"]).exits(0);
    shown.prints("from = \"shop\"").prints("from = \"other\"");
}

#[test]
fn continue_says_who_gets_nothing_and_who_gets_it_all_the_same() {
    let (project, service) = half(SCRIPT);
    project.write("groups.csv", audience((1001..1011).chain(2001..2004), ""));
    let before = service.messages().len();
    let ran = run(&project, &service, &["--continue"]);
    assert!([Some(0), Some(3)].contains(&ran.status), "{ran:#?}");
    ran.says("which get nothing: 3 (2001, 2002, 2003)").says("which still get it: 10 (1011,");
    assert!(groups_after(&service, before).iter().all(|group| group.starts_with("10")));
}
