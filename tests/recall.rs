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
        .prints("1 not recalled: ")
        .prints("no such message");
    let calls = recalls(&service);
    assert!(calls.iter().all(|call| call.len() <= 30), "{calls:?}");
    assert_eq!(calls.first().map(Vec::len), Some(30));
    assert!(calls.len() < 15, "{}", calls.len());
    assert_eq!(calls[0][0]["chat_type"], "groupchat");

    runs(&["show", "news"]).exits(0).prints("69 were recalled").prints("1 the service would not recall");
    let export = runs(&["export", "news"]).exits(0).stdout;
    assert!(
        export.lines().next().unwrap().ends_with(",recalled,readers,verified,verified_reason"),
        "{export}"
    );
    assert_eq!(export.lines().filter(|row| row.ends_with(",yes,0,,")).count(), 69);
    assert_eq!(export.lines().filter(|row| row.ends_with(",refused,0,,")).count(), 1);

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
    recall(&["--within", "0s"])
        .exits(3)
        .prints("0 recalled")
        .prints("70 not recalled: sent more than 0 s ago");
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

/// Messages of all types that matter to a recall: with one file, and commands.
const FILES: &str = r#"
local function image(url) return { type = "img", body = { url = url, secret = "s", filename = "a.png", size = { width = 1, height = 1 } } } end
im.broadcast { name = "news", to = { 1, 2, 3 }, message = function(id)
  if id == 3 then return { type = "cmd", body = { action = "ring" } } end
  return image("https://files.example/one")
end }
im.broadcast { name = "more", to = { 4 }, message = image("https://files.example/one") }
im.broadcast { name = "alone", to = { 5 }, message = image("https://files.example/two") }
"#;

#[test]
fn a_recall_names_the_files_it_deletes_and_is_refused_while_other_messages_use_them() {
    let service = service();
    let project = Project::with_script(FILES).file("mooncast.toml", SETTINGS);
    project.run_against(&service).exits(0);
    project.run_in_store(
        r#"INSERT INTO uploads (app, content, options, file, uploaded_at, expires_at)
           VALUES (1, 'aa', '{}', '{"url":"https://files.example/one"}', 0, 9000000000000),
                  (1, 'bb', '{}', '{"url":"https://files.example/two"}', 0, 9000000000000)"#,
    );
    let recall = |args: &[&str]| {
        let all = [&["runs", "recall"], args].concat();
        Ran::of(&project.command_against(&service, &all).output().unwrap())
    };
    recall(&["news"]).exits(2).says("https://files.example/one (also in more/1)").says("--with-attachments");
    assert!(recalls(&service).is_empty());
    assert_eq!(project.in_store("SELECT count(*) FROM uploads"), 2);
    recall(&["news", "--with-attachments", "--note", "wrong picture"])
        .exits(3)
        .prints("news/1: 2 recalled")
        .prints("1 are commands, which the service cannot recall")
        .prints("the service deletes the files of these messages: https://files.example/one");
    let asked = recalls(&service).concat();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|one| one["recallMessageExtensionInfo"] == "wrong picture"), "{asked:?}");
    assert_eq!(project.in_store("SELECT count(*) FROM uploads"), 1);
    // No other broadcast uses the second file, and the first is gone already.
    recall(&["alone"]).exits(0).prints("alone/1: 1 recalled");
    recall(&["more"]).exits(0).prints("more/1: 1 recalled");
    assert_eq!(project.in_store("SELECT count(*) FROM uploads"), 0);
}

#[test]
fn single_messages_are_recalled_with_their_files_unless_others_use_these() {
    let script = r#"
    local function image(to) return { to = to, type = "img", body = { url = "https://files.example/one", secret = "s",
      filename = "a.png", size = { width = 1, height = 1 } } } end
    local first = im.group_send(image("1"))
    local second = im.group_send(image("2"))
    local text = im.group_send { to = "3", type = "txt", body = { msg = "x" } }
    im.broadcast { name = "news", to = { 4 }, message = { type = "img", body = image("4").body } }
    print(im.recall(text).recalled, #im.recall(text).attachments)
    local ok, refused = pcall(im.recall, first)
    print(ok, refused.kind, refused.field, refused.message)
    local told = im.recall(first, { with_attachments = true })
    print(told.recalled, told.attachments[1].url, table.concat(told.attachments[1].used_by, ", "))
    ok, refused = pcall(im.recall, { broadcast = "news" })
    print(ok, refused.message)
    im.recall(second, { with_attachments = true })
    -- Now no other message uses the file.
    print(im.recall({ broadcast = "news" }).recalled)
    "#;
    let service = service();
    let project = Project::with_script(script).file("mooncast.toml", SETTINGS);
    project
        .run_against(&service)
        .exits(0)
        .prints("1\t0\n")
        .prints("false\tinvalid\twith_attachments\tnothing was recalled")
        .prints("https://files.example/one (also in news/1, single send 2)")
        .prints("1\thttps://files.example/one\tnews/1, single send 2\n")
        .prints("(also in single send 2)")
        .prints("\n1\n");
    assert_eq!(recalls(&service).concat().len(), 5, "the text twice, and each image once");
}

#[test]
fn an_app_without_recall_is_told_where_to_switch_it_on_after_one_call() {
    let service = Service::answering(|count, request| {
        if !request.path.ends_with("/messages/batch_recall") {
            return service::accept(count, request);
        }
        let body = r#"{"error":"forbidden_op","error_description":"message recall service is unopened"}"#;
        service::json(403, body)
    });
    let project = Project::with_script(SCRIPT).file("mooncast.toml", SETTINGS);
    project.run_against(&service).exits(0);
    let ran = project.command_against(&service, &["runs", "recall", "news"]).output().unwrap();
    Ran::of(&ran).exits(2).says("switch on message recall for the app");
    assert_eq!(recalls(&service).len(), 1);
}
