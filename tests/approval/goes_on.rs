//! What was approved goes out also when the command that began it has ended or the daemon was started again, and a refused
//! act changes nothing.

use serde_json::{Value, json};

use super::{OVER_TWO, SCRIPT, approve, awaited, post, project_with, reached, system_user, token, waits};
use crate::support::Project;
use crate::support::service::{Service, accept, json as answer};
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
    // Paused, it still needs somebody who approves it.
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
