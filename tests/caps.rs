//! Caps: how many messages of broadcasts a group gets within a time, counted at a service outside.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::support::service::{self, Request, Service, json};
use crate::support::{Project, Ran};

const FAST: &str = "[app.limits]\ngroup_per_second = 10000\n";

/// A script that sends the broadcast of its first argument to groups, with the fields of the second.
const SEND: &str = r#"
function main(args)
  local count, fields = math.tointeger(args[3] or 3), load("return " .. (args[2] or "{}"), "fields", "t", {})()
  local groups = {}
  for i = 1, count do groups[i] = 100 + i end
  fields.name, fields.to, fields.stop_after_failures = args[1], groups, 100000
  fields.message = { from = "a", type = "txt", body = { msg = args[1] } }
  local report = im.broadcast(fields)
  print(report.sent, report.rejected, report.skipped)
end
"#;

/// Whether [`refusing`] refuses this message: about a seventh of them.
pub fn is_refused(message: &Value) -> bool {
    let number = |text: &Value| {
        let digits: String = text.as_str().unwrap().chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap_or_default()
    };
    let to: u64 = message["to"].as_array().unwrap().iter().map(number).sum();
    // Some broadcasts have several groups in a call.
    message["to"].as_array().unwrap().len() == 1
        && (to * 31 + number(&message["body"]["msg"]) * 17).is_multiple_of(7)
}

/// A service that refuses some messages.
pub fn refusing(count: usize, request: &Request) -> Vec<u8> {
    if request.path.contains("/messages/chatgroups") && is_refused(&request.json()) {
        return json(400, r#"{"error":"illegal_argument","error_description":"no such group"}"#);
    }
    service::accept(count, request)
}

/// The accepted messages of each group.
pub fn accepted(service: &Service) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in service.messages().iter().filter(|message| !is_refused(message)) {
        for group in message["to"].as_array().unwrap() {
            *counts.entry(group.as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    counts
}

fn project() -> Project {
    Project::with_script(SEND).file("mooncast.toml", FAST)
}

fn send(project: &Project, service: &Service, args: &[&str]) -> Ran {
    let args: Vec<&str> = ["run", "scripts/main.lua"].into_iter().chain(args.iter().copied()).collect();
    Ran::of(&project.command_against(service, &args).output().unwrap())
}

#[test]
fn a_group_at_its_cap_is_skipped_with_the_reason() {
    let service = Service::accepting();
    let project = project();
    let capped = "{ cap = { per_group = 2, within = '7d', tag = 'marketing' } }";
    send(&project, &service, &["one", capped]).exits(0).prints("3\t0\t0");
    // Neither another tag nor none counts for the tag.
    send(&project, &service, &["two", "{ tag = 'support' }"]).exits(0).prints("3\t0\t0");
    send(&project, &service, &["three", "{}"]).exits(0).prints("3\t0\t0");
    // A tag without a cap counts for those with one.
    send(&project, &service, &["four", "{ tag = 'marketing' }", "2"]).exits(0).prints("2\t0\t0");
    send(&project, &service, &["five", capped]).exits(0).prints("1\t0\t2");
    project
        .mooncast(&["runs", "export", "five", "--state", "skipped"])
        .exits(0)
        .prints("2 messages with the tag marketing in the last 7d; the cap is 2");
    // Without a tag, all broadcasts count.
    send(&project, &service, &["six", "{ cap = { per_group = 4, within = '7d' } }"])
        .exits(0)
        .prints("0\t0\t3");
    send(&project, &service, &["more", "{ cap = { per_group = 5, within = '7d' } }"])
        .exits(0)
        .prints("3\t0\t0");
    send(&project, &service, &["seven", "{ cap = { per_group = 1, within = '1h' } }"])
        .exits(0)
        .prints("0\t0\t3");
    // After the time, they count no longer.
    project.run_in_store("UPDATE recipients SET updated_at = updated_at - 3600001");
    send(&project, &service, &["eight", "{ cap = { per_group = 1, within = '1h' } }"])
        .exits(0)
        .prints("3\t0\t0");
}

#[test]
fn a_refused_message_counts_no_longer_and_one_in_doubt_does() {
    let service = Service::answering(|count, request| {
        let text = request.path.contains("/messages").then(|| request.json()["body"]["msg"].clone());
        match text.as_ref().and_then(Value::as_str) {
            Some("refused") => json(400, r#"{"error":"illegal_argument"}"#),
            Some("doubt") => json(504, "{}"),
            _ => service::accept(count, request),
        }
    });
    let project = project();
    let capped = "{ cap = { per_group = 1, within = '7d' } }";
    send(&project, &service, &["refused", capped, "1"]).exits(3).prints("0\t1\t0");
    send(&project, &service, &["doubt", capped, "1"]).exits(3).prints("0\t0\t0");
    send(&project, &service, &["after", capped, "1"]).exits(0).prints("0\t0\t1");
    project.mooncast(&["runs", "settle", "doubt", "--again"]).exits(0);
    // Pending again, it is not counted.
    send(&project, &service, &["last", capped, "1"]).exits(0).prints("1\t0\t0");
}

#[test]
fn a_rehearsal_counts_what_was_sent() {
    let service = Service::accepting();
    let project = project();
    send(&project, &service, &["one", "{}", "2"]).exits(0);
    let capped = "{ cap = { per_group = 1, within = '7d' } }";
    let args = ["rehearse", "scripts/main.lua", "two", capped];
    Ran::of(&project.command_against(&service, &args).output().unwrap())
        .exits(0)
        .prints("2 at the cap and skipped")
        .prints("1\t0\t2");
    assert_eq!(service.messages().len(), 2);
}

#[test]
fn a_cap_that_cannot_be_meant_is_refused() {
    let service = Service::accepting();
    let project = project();
    for (fields, told) in [
        ("{ cap = { per_group = 0, within = '7d' } }", "`cap.per_group` must be at least 1"),
        ("{ cap = { per_group = 1, within = 'a week' } }", "`cap.within` must be a time from 1s to 366d"),
        ("{ cap = { per_group = 1 } }", "`cap.within` is missing"),
        ("{ cap = { pergroup = 1, within = '7d' } }", "did you mean `per_group`?"),
        ("{ tag = 'a', cap = { per_group = 1, within = '7d', tag = 'b' } }", "leave out one of the two"),
        ("{ kind = 'user', cap = { per_group = 1, within = '7d' } }", "a cap counts messages to groups"),
    ] {
        send(&project, &service, &["one", fields]).exits(1).says(told);
    }
    assert!(service.messages().is_empty());
}

/// Several processes send at once from one ledger. A group that refused a message gets one of another broadcast.
#[test]
fn processes_side_by_side_keep_the_cap_of_every_group() {
    const GROUPS: &str = "60";
    let service = Service::answering(refusing);
    let project = project();
    let fields = |number: usize| {
        let pack = if number.is_multiple_of(2) { "pack = 1" } else { "pack = 3" };
        format!("{{ {pack}, cap = {{ per_group = 2, within = '7d', tag = 'marketing' }} }}")
    };
    let children: Vec<Child> = (1..=6)
        .map(|number| {
            let (name, fields) = (format!("news{number}"), fields(number));
            let args = ["run", "scripts/main.lua", &name, &fields, GROUPS];
            let mut command = project.command_against(&service, &args);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let ran = Ran::of(&child.wait_with_output().unwrap());
        assert!(matches!(ran.status, Some(0 | 3)), "{ran:?}");
    }
    let accepted = accepted(&service);
    assert_eq!(accepted.len(), 60);
    assert!(accepted.values().all(|count| *count == 2), "{accepted:?}");
}
