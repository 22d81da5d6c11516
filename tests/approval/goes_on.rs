//! What was approved goes out also when the command that began it has ended or the daemon was started again, and a refused
//! act changes nothing.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr};

use serde_json::{Value, json};

use super::{OVER_TWO, SCRIPT, approve, awaited, post, project_with, reached, system_user, token, waits};
use crate::support::service::{Service, accept, json as answer};
use crate::support::{Project, Ran};
use crate::web::{Site, request};

const FORM: &str = r#"
--- @arg list file .csv The groups
function main(args)
  require("campaign").run { name = "news", run = "1", to = args.list, from = "a", text = "hi", test = { "900" } }
end
"#;

fn project(script: &str, settings: &str) -> (Project, String) {
    let project = project_with(script, settings);
    let bob = token(&project, "bob", &["--role", "approver"]);
    (project, bob)
}

#[test]
fn an_approved_edit_whose_command_has_ended_is_sent_by_the_daemon() {
    let service = Service::answering(|count, request| {
        if request.path.contains("/messages/rewrite/") {
            return answer(200, r#"{"data":"success"}"#);
        }
        accept(count, request)
    });
    let edits = || service.requests().iter().filter(|one| one.path.contains("/rewrite/")).count();
    let (project, bob) = project(SCRIPT, "");
    project.run_against(&service).exits(0);
    project.write("mooncast.toml", OVER_TWO);
    waits(project.command_against(&service, &["runs", "edit", "news", "--text", "second", "--yes"]))
        .exits(130);
    let site = Site::of_against(project, &service);
    let edit = awaited(&site);
    assert_eq!(edits(), 0);
    assert_eq!(approve(&site, &edit, &bob).status, 200);
    site.until(&format!("/broadcasts/{}", edit["id"]), |page| page["broadcast"]["state"] == "finished");
    assert_eq!(edits(), 3);
    site.serving.stop().exits(0);
}

#[test]
fn an_approved_broadcast_to_an_uploaded_list_is_sent_after_a_restart() {
    let service = Service::accepting();
    let (project, bob) = project(FORM, OVER_TWO);
    let ann = token(&project, "ann", &["--role", "operator"]);
    let site = Site::of_against(project, &service);
    let bearer = format!("Bearer {ann}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/octet-stream")];
    let place = "POST /api/v1/run-files?name=groups.csv";
    let kept = request(&site.address, place, &headers, b"group_id\n101\n102\n103\n").json();
    let asked = json!({ "script": "scripts/main.lua", "args": { "list": kept["value"] } });
    assert_eq!(post(&site, "/scripts/run", &ann, &asked).status, 202);
    awaited(&site);
    let Site { project, serving, .. } = site;
    serving.kill();
    project.wait_for_death();
    let site = Site::of_against(project, &service);
    let broadcast = awaited(&site);
    assert_eq!(reached(&service), ["900"]);
    assert_eq!(approve(&site, &broadcast, &bob).status, 200);
    let place = format!("/broadcasts/{}", broadcast["id"]);
    site.until(&place, |page| page["broadcast"]["state"] == "finished");
    assert_eq!(reached(&service), ["101", "102", "103", "900"]);
    site.serving.stop().exits(0);
}

#[test]
fn a_refused_new_plan_changes_neither_the_broadcast_nor_who_may_approve_it() {
    let service = Service::accepting();
    let (project, bob) = project(FORM, OVER_TWO);
    waits(project.command_against(&service, &["run", "scripts/main.lua", "list=groups.csv"])).exits(130);
    let site = Site::of_against(project, &service);
    let before = awaited(&site);
    let place = format!("/broadcasts/{}", before["id"]);
    // The daemon has no such upload, so it cannot run the script with this list.
    let told = post(&site, &format!("{place}/replan"), &bob, &Value::Null).refused(409);
    assert!(told.contains("must be uploaded"), "{told}");
    let after = awaited(&site);
    assert_eq!(after["approval"], before["approval"]);
    assert_eq!(after["approval"]["begun_by"], json!([system_user()]));
    // A paused broadcast still needs an approval.
    post(&site, &format!("{place}/pause"), &bob, &Value::Null);
    let needs = site.json("/overview")["needs"].clone();
    assert!(needs.as_array().unwrap().iter().any(|need| need["code"] == "awaiting_approval"), "{needs}");
    post(&site, &format!("{place}/resume"), &bob, &Value::Null);
    assert_eq!(approve(&site, &before, &bob).status, 200);
    site.until(&place, |page| page["broadcast"]["state"] == "finished");
    assert_eq!(reached(&service), ["101", "102", "103", "900"]);
    site.serving.stop().exits(0);
}

#[test]
fn a_test_of_many_groups_is_a_broadcast_of_its_own() {
    let service = Service::accepting();
    let script = r#"
    local test = {}
    for i = 1, 21 do test[i] = tostring(900 + i) end
    require("campaign").run { name = "news", to = { "101" }, text = "hi", from = "a", test = test, test_only = true }"#;
    project(script, "").0.run_against(&service).exits(1).says("`test` has 21 recipients, and may have 20");
    assert_eq!(service.requests().len(), 0);
}

/// Starts a command, and waits until its broadcast waits for an approval.
fn waiting(project: &Project, service: &Service, args: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut child = Project::start(project.command_against(service, args));
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("awaits approval") {
        assert_ne!(err.read_line(&mut said).unwrap(), 0, "it does not wait: {said}");
    }
    (child, err)
}

fn killed(project: &Project, mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
    project.wait_for_death();
}

fn plan_of(project: &Project, service: &Service, args: &[&str]) -> String {
    let args = [&["rehearse", "--json", "scripts/main.lua"], args].concat();
    let report = Ran::of(&project.command_against(service, &args).output().unwrap()).exits(0).stdout;
    let report: Value = serde_json::from_str(&report).unwrap();
    report["plan"].as_str().unwrap().to_owned()
}

#[test]
fn a_run_that_is_held_to_a_plan_goes_on_when_it_is_repeated_after_a_kill() {
    let service = Service::accepting();
    let (project, bob) = project(FORM, OVER_TWO);
    let plan = plan_of(&project, &service, &["list=groups.csv"]);
    let held = ["run", "--plan", &plan, "scripts/main.lua", "list=groups.csv"];
    let (child, _err) = waiting(&project, &service, &held);
    assert_eq!(reached(&service), ["900"]);
    let again = || Ran::of(&project.command_against(&service, &held).output().unwrap());
    again().exits(2).says("with this plan is active in another process");
    killed(&project, child);
    // Twice: after a kill, and after Ctrl-C.
    waits(project.command_against(&service, &held)).exits(130);
    let (mut child, mut err) = waiting(&project, &service, &held);
    let site = Site::of_against(project, &service);
    let broadcast = awaited(&site);
    assert_eq!(approve(&site, &broadcast, &bob).status, 200);
    let mut said = String::new();
    err.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert_eq!(reached(&service), ["101", "102", "103", "900"], "each message is sent once");
    // The plan was carried out, so it cannot be used again.
    let again = site.project.command_against(&service, &held).output().unwrap();
    Ran::of(&again).exits(2).says("does not send what was rehearsed");
    assert_eq!(service.messages().len(), 4);
    site.serving.stop().exits(0);
}

#[test]
fn a_run_that_is_held_to_a_plan_does_not_send_again_what_was_sent_without_a_key() {
    let service = Service::accepting();
    let single =
        "function main()\n  im.group_send { to = '7', from = 'a', type = 'txt', body = { msg = 'x' } }";
    let (project, _) = project(&SCRIPT.replace("function main()", single), OVER_TWO);
    let plan = plan_of(&project, &service, &[]);
    let held = ["run", "--plan", &plan, "scripts/main.lua"];
    let (child, _err) = waiting(&project, &service, &held);
    killed(&project, child);
    let again = || Ran::of(&project.command_against(&service, &held).output().unwrap());
    again().exits(2).says("without `once`, and this run might send them twice");
    assert_eq!(reached(&service), ["7"]);
    // Another script is rehearsed, and is not what was rehearsed before.
    project.write("scripts/main.lua", SCRIPT);
    again().exits(2).says("nothing was sent: scripts/main.lua failed, but it did not fail in its rehearsal");
    assert_eq!(reached(&service), ["7"]);
}
