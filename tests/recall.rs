//! Recalls of broadcasts.

use serde_json::{Value, json};

use crate::support::service::{self, Request, Service};
use crate::support::{Project, Ran};

const SETTINGS: &str = "[app.limits]\ngroup_per_second = 10000\n";

const SCRIPT: &str = r#"
local groups = {}
for i = 1, 70 do groups[i] = 1000 + i end
im.broadcast { name = "news", to = groups, message = { type = "txt", body = { msg = "oops" } } }
"#;

/// Returns the messages that a recall names.
fn asked(request: &Request) -> Vec<Value> {
    request.json()["msgs"].as_array().unwrap().clone()
}

/// Recalls messages. It refuses a whole call that names a message of group 1007 (as the vendor's errors say).
fn service() -> Service {
    Service::answering(|count, request| {
        if !request.path.ends_with("/messages/batch_recall") {
            return service::accept(count, request);
        }
        let asked = asked(request);
        if asked.iter().any(|message| message["to"] == "1007") {
            return service::json(
                400,
                r#"{"error":"illegal_argument","error_description":"no such message"}"#,
            );
        }
        let data: Vec<Value> = asked
            .iter()
            .map(|message| json!({ "msg_id": message["msg_id"], "recalled": "yes", "to": message["to"] }))
            .collect();
        service::json(200, &json!({ "data": data }).to_string())
    })
}

fn recalls(service: &Service) -> Vec<Vec<Value>> {
    let requests = service.requests();
    requests.iter().filter(|request| request.path.ends_with("batch_recall")).map(asked).collect()
}

#[test]
fn what_was_sent_is_recalled_thirty_at_a_time_and_the_rest_is_told_with_its_reason() {
    let service = service();
    let project = Project::with_script(SCRIPT).file("mooncast.toml", SETTINGS);
    project.run_against(&service).exits(0);
    let runs = |args: &[&str]| {
        Ran::of(&project.command_against(&service, &[&["runs"], args].concat()).output().unwrap())
    };
    runs(&["recall", "news", "--run", "1"])
        .exits(3)
        .prints("news/1: 69 recalled")
        .prints("1 not: ")
        .prints("no such message");
    let calls = recalls(&service);
    assert!(calls.iter().all(|call| call.len() <= 30), "{calls:?}");
    assert_eq!(calls.first().map(Vec::len), Some(30));
    assert!(calls.len() < 15, "{}", calls.len());
    assert_eq!(calls[0][0]["chat_type"], "groupchat");

    runs(&["show", "news"]).exits(0).prints("69 were recalled").prints("1 the service would not recall");
    let export = runs(&["export", "news"]).exits(0).stdout;
    assert!(export.lines().next().unwrap().ends_with(",recalled"), "{export}");
    assert_eq!(export.lines().filter(|row| row.ends_with(",yes")).count(), 69);
    assert_eq!(export.lines().filter(|row| row.ends_with(",refused")).count(), 1);

    // The second recall requests only the messages that were not recalled.
    runs(&["recall", "news", "--force"]).exits(3).prints("0 recalled").prints("69 were recalled before");
    let last = recalls(&service).pop().unwrap();
    assert_eq!((last.len(), &last[0]["to"], &last[0]["force"]), (1, &json!("1007"), &json!(true)));
}

#[test]
fn what_is_too_old_is_not_asked_for_unless_it_is_said_so() {
    let service = service();
    let project = Project::with_script(SCRIPT).file("mooncast.toml", SETTINGS);
    project.run_against(&service).exits(0);
    let recall = |args: &[&str]| {
        let all = [&["runs", "recall", "news"], args].concat();
        Ran::of(&project.command_against(&service, &all).output().unwrap())
    };
    recall(&["--within", "0s"]).exits(3).prints("0 recalled").prints("70 not: sent over 0 s ago");
    assert!(recalls(&service).is_empty());
    recall(&["--within", "0s", "--force"]).exits(3).prints("69 recalled");
}

#[test]
fn a_script_recalls_its_broadcast() {
    let project = Project::with_script(format!(
        r#"{SCRIPT}
        local told = im.recall {{ broadcast = "news" }}
        print(told.recalled, told.before, told.too_late, told.in_doubt, next(told.refused))
        print(im.recall({{ broadcast = "news", run = 1 }}).before)
        for _, wrong in ipairs {{ {{ broadcast = "other" }}, {{ broadcast = 5 }}, {{ broadcast = "news", rum = 1 }} }} do
          local ok, problem = pcall(im.recall, wrong)
          print(ok, problem.kind, problem.field, problem.message)
        end"#
    ))
    .file("mooncast.toml", SETTINGS);
    project
        .run_simulated()
        .exits(0)
        .prints("70\t0\t0\t0\tnil\n70\n")
        .prints("false\tinvalid\tbroadcast\tthere is no broadcast `other`")
        .prints("false\tinvalid\tbroadcast\tim.recall: broadcast: expected a string")
        .prints("false\tinvalid\trum\tim.recall: unknown `rum`");
}
