//! Inputs that change under an unfinished broadcast, and the order of the messages.
//!
//! On a server: in the soak

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::support::service::{Service, accept, json};
use crate::support::{Project, Ran};

const SCRIPT: &str = r#"
local report = im.broadcast({ name = "news", to = "groups.csv", in_doubt = "hold", rate = 50,
  message = function(row) return { type = "txt", body = { msg = require("words") .. row.name } } end })
print("sent", report.sent, "cancelled", report.cancelled)
"#;

fn audience(groups: impl IntoIterator<Item = u32>) -> String {
    groups.into_iter().fold("group_id,name\n".to_owned(), |mut text, group| {
        let _ = writeln!(text, "{group},n{group}");
        text
    })
}

fn project(script: &str) -> Project {
    Project::with_script(script)
        .file("groups.csv", audience(1001..1021))
        .file("scripts/lib/words.lua", "return 'old '")
        .file("mooncast.toml", "[app.limits]\ngroup_per_second = 100000\n")
}

/// The process ends when the n-th answer of the broadcast has arrived.
fn ends_at(project: &Project, count: usize) -> Service {
    let service = Service::accepting();
    ends_against(project, &service, count);
    service
}

fn ends_against(project: &Project, service: &Service, count: usize) {
    let mut command = project.command_against(service, &["run", "scripts/main.lua"]);
    command.env("MOONCAST_FAIL_POINT", format!("after-request:{count}"));
    let ran = Ran::of(&command.output().unwrap());
    assert_eq!(ran.status, None, "{ran:#?}");
    // The service has read everything that the process wrote, so later messages come from another process.
    service.wait_for_the_gone();
    project.wait_for_death();
}

/// Makes a broadcast that was sent to a part of the audience.
fn half(script: &str) -> (Project, Service) {
    let project = project(script);
    let service = ends_at(&project, 8);
    (project, service)
}

fn run(project: &Project, service: &Service, flags: &[&str]) -> Ran {
    let mut args = vec!["run"];
    args.extend_from_slice(flags);
    args.push("scripts/main.lua");
    Ran::of(&project.command_against(service, &args).output().unwrap())
}

/// Returns the texts of each group after the first `before` messages, from the service's log.
fn got_after(service: &Service, before: usize) -> BTreeMap<String, Vec<String>> {
    let mut got: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in service.messages().into_iter().skip(before) {
        let text = message["body"]["msg"].as_str().unwrap_or_default().to_owned();
        for group in message["to"].as_array().unwrap() {
            got.entry(group.as_str().unwrap().to_owned()).or_default().push(text.clone());
        }
    }
    got
}

fn states(project: &Project) -> BTreeMap<String, String> {
    let ran = project.mooncast(&["runs", "export", "news", "--format", "jsonl"]).exits(0);
    ran.stdout
        .lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            (row["group_id"].as_str().unwrap().to_owned(), row["state"].as_str().unwrap().to_owned())
        })
        .collect()
}

fn got(service: &Service) -> BTreeMap<String, Vec<String>> {
    got_after(service, 0)
}

#[track_caller]
fn refused(project: &Project, service: &Service, what: &str) -> Ran {
    let before = service.messages().len();
    let ran = run(project, service, &[]).exits(2).says(what).says("--continue").says("--replan");
    assert_eq!(service.messages().len(), before, "{ran:#?}");
    ran
}

#[test]
fn a_changed_audience_is_refused_with_who_was_added_and_removed() {
    let (project, service) = half(SCRIPT);
    project.write("groups.csv", audience((1001..1011).chain(2001..2011)));
    let ran = refused(&project, &service, "groups.csv");
    ran.says("recipients added: 10 (2001, 2002, 2003, 2004, 2005, …)").says("recipients removed: 10 (1011,");
}

#[test]
fn a_changed_module_is_refused_with_both_texts() {
    let (project, service) = half(SCRIPT);
    project.write("scripts/lib/words.lua", "return 'new '");
    refused(&project, &service, "the module words").says("old n1001").says("new n1001");
}

#[test]
fn a_changed_script_argument_and_template_are_refused() {
    let (project, service) = half(SCRIPT);
    project.write("scripts/main.lua", format!("{SCRIPT}\n"));
    refused(&project, &service, "the script");

    let script = r#"
local fs = require("fs")
local text = fs.read("text.txt")
im.broadcast({ name = "news", to = "groups.csv", rate = 50,
  message = { type = "txt", body = { msg = text } } })
"#;
    let files = self::project(script);
    files.write("text.txt", "old");
    let service = ends_at(&files, 8);
    files.write("text.txt", "new");
    refused(&files, &service, "the file text.txt").says("\"old\"").says("\"new\"");
    files.write("text.txt", "old");
    let before = service.messages().len();
    let args = ["run", "scripts/main.lua", "argument"];
    Ran::of(&files.command_against(&service, &args).output().unwrap()).exits(2).says("the arguments");
    assert_eq!(service.messages().len(), before);
}

#[test]
fn a_changed_list_is_refused_and_an_unchanged_one_goes_on() {
    let script = r#"
local list = { 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010 }
im.broadcast({ name = "news", to = list, rate = 50,
  message = { type = "txt", body = { msg = "x" } } })
"#;
    let (project, service) = half(script);
    let ran = run(&project, &service, &[]);
    assert!([Some(0), Some(3)].contains(&ran.status), "{ran:#?}");
    let texts = got(&service);
    assert!(texts.values().all(|texts| texts.len() == 1), "{texts:?}");
    // A message with a recorded intent may not have left before the process ended. Its recipient is in doubt.
    for (group, state) in states(&project) {
        assert!(state == "in_doubt" || texts.contains_key(&group), "{group} is {state}: {texts:?}");
    }
    assert!(texts.len() >= 8, "{texts:?}");
    let (project, service) = half(script);
    project.write("scripts/main.lua", script.replace("1010 }", "1010, 1011 }"));
    refused(&project, &service, "the script").says("recipients added: 1 (1011)");
}

fn resume(project: &Project, service: &Service, more: &[&str]) -> Ran {
    let args = [&["runs", "resume", "news"], more].concat();
    Ran::of(&project.command_against(service, &args).output().unwrap())
}

#[test]
fn a_plain_resume_asks_about_changed_inputs_as_a_run_does() {
    let (project, service) = half(SCRIPT);
    let asks = |what: &str| {
        let before = service.messages().len();
        resume(&project, &service, &[]).exits(2).says(what).says("--continue").says("--replan");
        assert_eq!(service.messages().len(), before, "{what}");
    };
    project.write("scripts/lib/words.lua", "return 'new '");
    asks("the module words");
    project.write("scripts/lib/words.lua", "return 'old '");
    project.write("groups.csv", audience(3001..3005));
    asks("the audience groups.csv");
    // So it is once a run was refused and has paused the broadcast.
    refused(&project, &service, "groups.csv");
    asks("the audience groups.csv");
    // With the inputs of its plan it goes on.
    project.write("groups.csv", audience(1001..1021));
    let before = service.messages().len();
    let ran = resume(&project, &service, &[]);
    assert!([Some(0), Some(3)].contains(&ran.status), "{ran:#?}");
    let got = got_after(&service, before);
    assert!(
        !got.is_empty() && got.iter().all(|(group, texts)| texts == &[format!("old n{group}")]),
        "{got:?}"
    );
}

#[test]
fn a_resume_with_continue_sends_the_stored_plan() {
    let (project, service) = half(SCRIPT);
    project.write("scripts/lib/words.lua", "return 'new '");
    resume(&project, &service, &[]).exits(2);
    let before = service.messages().len();
    let ran = resume(&project, &service, &["--continue"]);
    assert!([Some(0), Some(3)].contains(&ran.status), "{ran:#?}");
    let got = got_after(&service, before);
    assert!(
        !got.is_empty() && got.iter().all(|(group, texts)| texts == &[format!("old n{group}")]),
        "{got:?}"
    );
}

#[test]
fn what_only_the_script_shows_is_not_resumed_unasked_once_it_is_held() {
    let script = r#"
local list = { 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010 }
function main(args)
  if args[1] then list[#list + 1] = 1011 end
  im.broadcast({ name = "news", to = list, rate = 50, message = { type = "txt", body = { msg = "x" } } })
end
"#;
    let (project, service) = half(script);
    let args = ["run", "scripts/main.lua", "more"];
    Ran::of(&project.command_against(&service, &args).output().unwrap()).exits(2).says("the arguments");
    let before = service.messages().len();
    resume(&project, &service, &[]).exits(2).says("the arguments").says("--replan");
    assert_eq!(service.messages().len(), before);
}

#[test]
fn continue_goes_on_as_stored() {
    let (project, service) = half(SCRIPT);
    project.write("groups.csv", audience(3001..3005));
    project.write("scripts/lib/words.lua", "return 'new '");
    refused(&project, &service, "groups.csv");
    let before_it = service.messages().len();
    let ran = run(&project, &service, &["--continue"]);
    assert!([Some(0), Some(3)].contains(&ran.status), "{ran:#?}");
    let got = got_after(&service, before_it);
    assert!(!got.is_empty() && got.iter().all(|(group, texts)| texts == &[format!("old n{group}")]));
    assert!(
        states(&project).values().all(|state| ["sent", "in_doubt", "rejected"].contains(&state.as_str()))
    );
}

#[test]
fn replan_leaves_alone_who_has_it_cancels_the_removed_and_adds_the_new() {
    let (project, service) = half(SCRIPT);
    let before = states(&project);
    project.write("groups.csv", audience((1001..1011).chain(2001..2011)));
    project.write("scripts/lib/words.lua", "return 'new '");
    refused(&project, &service, "groups.csv");
    let before_it = service.messages().len();
    let ran = run(&project, &service, &["--replan"]);
    assert!([Some(0), Some(3)].contains(&ran.status), "{ran:#?}");
    let (got, states) = (got_after(&service, before_it), states(&project));
    for (group, state) in &before {
        match state.as_str() {
            "sent" | "sending" => {
                let then = if state == "sent" { "sent" } else { "in_doubt" };
                assert_eq!(states[group], then, "{group}");
                assert!(!got.contains_key(group), "{group} has it already");
            }
            _ if group.parse::<u32>().unwrap() > 1010 => {
                assert_eq!(states[group], "cancelled", "{group}");
                assert!(!got.contains_key(group), "{group}");
            }
            _ => assert_eq!(got[group], [format!("new n{group}")]),
        }
    }
    for group in 2001..2011 {
        assert_eq!(got[&group.to_string()], [format!("new n{group}")]);
        assert_eq!(states[&group.to_string()], "sent");
    }
    // No recipient is pending, and no message is sent again.
    let all = service.messages().len();
    run(&project, &service, &[]);
    assert_eq!(service.messages().len(), all);
}

#[test]
fn a_line_that_was_skipped_and_mended_is_added_by_replan() {
    let script = SCRIPT.replace("rate = 50", "skip_bad = true, rate = 50");
    let project = project(&script);
    project.write("groups.csv", format!("{}bad id,x\n", audience(1001..1011)));
    let service = ends_at(&project, 5);
    project.write("groups.csv", format!("{}1011,x\n", audience(1001..1011)));
    let before_it = service.messages().len();
    let ran = run(&project, &service, &["--replan"]);
    assert!([Some(0), Some(3)].contains(&ran.status), "{ran:#?}");
    assert_eq!(got_after(&service, before_it)["1011"], ["old x"]);
}

#[test]
fn a_user_gets_one_text_however_the_users_of_a_group_are_divided() {
    let list = |first: usize| {
        let users: Vec<String> = (first..41).map(|user| format!("u{user}")).collect();
        format!("group_id,users,name\n1001,{},a\n1002,{},b\n", users.join(";"), users.join(";"))
    };
    let project = project(SCRIPT);
    project.write("groups.csv", list(1));
    let service = ends_at(&project, 3);
    project.write("groups.csv", list(0));
    let ran = run(&project, &service, &["--replan"]);
    assert!([Some(0), Some(3)].contains(&ran.status), "{ran:#?}");
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let sent = |service: &Service| {
        let requests = service.requests().into_iter().filter(|one| one.path.contains("/messages/"));
        requests.map(|request| request.json()).collect::<Vec<_>>()
    };
    for message in sent(&service) {
        for user in message["users"].as_array().unwrap() {
            let key = format!("{} {user}", message["to"][0]);
            *times.entry(key).or_default() += 1;
        }
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    // A call with a recorded intent may not have left before the process ended. A recipient without the text is in
    // doubt.
    let ran = project.mooncast(&["runs", "export", "news", "--format", "jsonl"]).exits(0);
    let rows: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        rows.iter().all(|row| ["sent", "in_doubt", "cancelled"].contains(&row["state"].as_str().unwrap()))
    );
    for (group, user) in [1001, 1002].into_iter().flat_map(|group| (0..41).map(move |user| (group, user))) {
        let has_it = times.contains_key(&format!("\"{group}\" \"u{user}\""));
        let is_of = |row: &&serde_json::Value| {
            let users = row["users"].as_array().unwrap();
            row["group_id"].as_str() == Some(group.to_string().as_str())
                && users.contains(&serde_json::json!(format!("u{user}")))
        };
        let doubt = rows.iter().filter(is_of).any(|row| row["state"] == "in_doubt");
        assert!(has_it || doubt, "u{user} of {group} is lost: {rows:?}");
    }
}

const CAMPAIGN: &str = r#"
require("campaign").run({ name = "sale", to = "groups.csv", text = "Hi {{ name }}!", test = { "9001", "1002" },
  test_as = { name = "tester" } })
"#;

#[test]
fn the_test_group_gets_nothing_where_a_line_of_the_audience_is_bad() {
    let project = project(CAMPAIGN);
    project.write("groups.csv", format!("{}bad id,x\n", audience(1001..1004)));
    let service = Service::accepting();
    let ran = project.run_against(&service);
    assert_eq!(ran.status, Some(1), "{ran:#?}");
    assert_eq!(service.messages().len(), 0);
}

#[test]
fn test_only_sends_the_test_and_leaves_the_rest_to_the_next_run() {
    let project = project(CAMPAIGN);
    project.write("groups.csv", audience(1001..1004));
    let service = Service::accepting();
    let args = ["run", "scripts/main.lua", "--test-only"];
    Ran::of(&project.command_against(&service, &args).output().unwrap()).exits(0);
    let tests = got(&service);
    assert_eq!(tests.keys().collect::<Vec<_>>(), ["1002", "9001"]);
    // A group of the audience gets the message of its own row.
    assert_eq!((&tests["9001"][0], &tests["1002"][0]), (&"Hi tester!".to_owned(), &"Hi n1002!".to_owned()));
    project.write("scripts/main.lua", CAMPAIGN.replace("Hi", "Hello"));
    run(&project, &service, &[]).exits(0);
    assert_eq!(service.messages().len(), 2 + 5);
    assert!(got_after(&service, 2).values().flatten().all(|text| text.starts_with("Hello ")));
}

#[test]
fn a_test_that_fails_keeps_the_message_from_the_audience() {
    let project = project(CAMPAIGN);
    let service = Service::answering(|number, request| {
        if number < 2 { json(400, r#"{"error":"refused"}"#) } else { accept(number, request) }
    });
    run(&project, &service, &[]).exits(1).says("the test failed");
    assert_eq!(got(&service).keys().collect::<Vec<_>>(), ["1002", "9001"]);
    project.write("scripts/main.lua", CAMPAIGN.replace("Hi", "Hello"));
    run(&project, &service, &[]).exits(0);
    assert!(got_after(&service, 2).values().flatten().all(|text| text.starts_with("Hello ")));
}

#[test]
fn a_broadcast_without_a_test_is_refused_under_test_only() {
    let project = project(SCRIPT);
    let service = Service::accepting();
    run(&project, &service, &["--test-only"]).exits(1).says("no test groups");
    assert_eq!(service.messages().len(), 0);
}
