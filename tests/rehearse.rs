//! `mooncast rehearse`: its output, that it changes nothing, and a run that must follow the rehearsed plan.
//!
//! On a server: in the soak

mod plans;

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::service::{self, Service};
use crate::support::{Project, Ran};

/// Rehearses `scripts/main.lua`. Returns its document and the result.
fn rehearse(project: &Project, more: &[&str]) -> (Value, Ran) {
    let ran = project.mooncast(&[&["rehearse", "--json"], more, &["scripts/main.lua"]].concat());
    let report = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"));
    (report, ran)
}

/// Finds every path below a folder with its content, so that two states can be compared.
fn look(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.push((path.display().to_string(), Vec::new()));
            look(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
}

/// Returns contents as text, so that an assertion can show them.
fn files(project: &Project) -> Vec<(String, String)> {
    let mut found = Vec::new();
    look(&project.path("."), &mut found);
    let hash =
        |content: &[u8]| sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(content));
    found.into_iter().map(|(path, content)| (path, format!("{:?}", hash(&content)))).collect()
}

fn seconds(from: &Value, to: &Value) -> i64 {
    let at = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    at(to) - at(from)
}

/// A list of this many recipients.
const MANY: &str = r#"
    local function many(last)
      local n = 0
      return function()
        n = n + 1
        if n <= last then return "g" .. n end
      end
    end
"#;

#[test]
fn hours_take_seconds_and_the_clock_goes_with_them() {
    // 7,200 at 0.2 per second are ten hours.
    let project = Project::with_script(format!(
        r#"{MANY}
        local before = os.time()
        local report = im.broadcast {{ name = "news", rate = 0.2, to = many(7200), message = {{ type = "txt", body = {{ msg = "hi" }} }} }}
        assert(report.sent == 7200 and report.total == 7200)
        assert(os.time() - before >= 35990, os.time() - before)
        require("task").sleep(3600)
        assert(os.time() - before >= 39590)"#
    ));
    let began = Instant::now();
    let (report, ran) = rehearse(&project, &[]);
    ran.exits(0);
    assert!(began.elapsed().as_secs() < 120, "{:?}", began.elapsed());
    assert_eq!(report["totals"]["messages"], 7200);
    assert_eq!(report["totals"]["recipients"], 7200);
    assert_eq!(report["totals"]["calls"], 7200);
    assert_eq!(report["totals"]["broadcasts"], 1);
    assert_eq!(report["totals"]["single_sends"], 0);
    assert_eq!(report["duration"]["at_quota"], 360.0);
    let rehearsed = report["duration"]["rehearsed"].as_f64().unwrap();
    assert!((rehearsed - 35_995.0).abs() < 1.0, "{rehearsed}");
    let broadcast = &report["broadcasts"][0];
    assert_eq!(seconds(&broadcast["first"], &broadcast["last"]), 35_995);
    assert_eq!(seconds(&report["starts_at"], &broadcast["first"]), 0);
    assert_eq!(report["largest_message"], json!({ "bytes": 12, "limit": 5120 }));
}

#[test]
fn the_quota_and_the_share_set_the_pace() {
    let project = Project::with_script(format!(
        r#"{MANY}
        im.broadcast {{ name = "news", pack = 3, to = many(300), message = {{ type = "txt", body = {{ msg = "hi" }} }} }}"#
    ))
    .file("mooncast.toml", "[app.limits]\ngroup_per_second = 12\nshare = 0.5\n");
    let (report, ran) = rehearse(&project, &[]);
    ran.exits(0);
    assert_eq!((&report["totals"]["messages"], &report["totals"]["calls"]), (&json!(300), &json!(100)));
    assert_eq!(report["duration"]["at_quota"], 25.0);
    assert_eq!(report["duration"]["at_share"], 50.0);
    let rehearsed = report["duration"]["rehearsed"].as_f64().unwrap();
    assert!((48.0..53.0).contains(&rehearsed), "{rehearsed}");
}

#[test]
fn a_window_is_waited_for() {
    let project = Project::with_script(
        r#"
        local now = os.time()
        local from = os.date("!%H:%M", now + 3 * 3600)
        local to = os.date("!%H:%M", now + 4 * 3600)
        im.broadcast { name = "news", to = { "g1", "g2" }, window = { from = from, to = to, tz = "UTC" },
          message = { type = "txt", body = { msg = "hi" } } }"#,
    );
    let (report, ran) = rehearse(&project, &[]);
    ran.exits(0);
    let waited = seconds(&report["starts_at"], &report["broadcasts"][0]["first"]);
    assert!((3 * 3600 - 60..=3 * 3600).contains(&waited), "{waited}");
}

#[test]
fn every_problem_is_named_with_its_line() {
    let script = r#"im.group_send({ to = "g0", type = "txt", body = { mgs = "hello" } })
local receipts = im.group_send({ to = { "a", "b", "c", "d" }, type = "txt", body = { msg = "x" } })
assert(receipts.d)
im.broadcast {
  name = "made", to = "list.csv",
  message = function(row) return { type = "txt", body = { msg = row.text } } end,
}
im.broadcast { name = "plain", to = { "g1", "g2" }, message = { type = "txt", body = {} } }
im.broadcast { name = "fine", to = { "g1", {}, "g2" }, message = { type = "txt", body = { msg = "x" } } }
"#;
    let long = "x".repeat(6000);
    let project = Project::with_script(script)
        .file("list.csv", format!("group_id,text\ng1,fine\ng2,{long}\n,none\ng4,fine\ng5,{long}\n"));
    let (report, ran) = rehearse(&project, &[]);
    ran.exits(3);
    let problems: Vec<(String, String)> = report["problems"]["listed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
            (text("where"), text("recipient") + "|" + &text("message"))
        })
        .collect();
    let expected = [
        ("scripts/main.lua:1", "`body.mgs`"),
        ("scripts/main.lua:2", "`to`"),
        ("scripts/main.lua:4", "line 4"),
        ("scripts/main.lua:4", "line 3 (group g2)|`body` and `ext` take"),
        ("scripts/main.lua:4", "line 6 (group g5)|`body` and `ext` take"),
        ("scripts/main.lua:8", "`body` is empty"),
        ("scripts/main.lua:9", "recipient 2"),
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for ((line, text), (expected_line, part)) in problems.iter().zip(expected) {
        assert!(line == expected_line && text.contains(part), "{line} {text}: {part}");
    }
    assert_eq!(report["problems"]["total"], 7);
    assert_eq!(report["deliverable"], false);
    assert_eq!(report["plan"], Value::Null);
    // Valid recipients are counted all the same.
    assert_eq!(report["broadcasts"][0]["recipients"], 2);
    assert_eq!(report["broadcasts"][2]["recipients"], 2);
}

#[test]
fn the_list_of_problems_is_capped_and_the_count_is_not() {
    let project = Project::with_script(format!(
        r#"{MANY}
        im.broadcast {{ name = "n", to = many(250), message = function() return {{ type = "txt", body = {{}} }} end }}"#
    ));
    let (report, ran) = rehearse(&project, &[]);
    ran.exits(3);
    assert_eq!(report["problems"]["total"], 250);
    assert_eq!(report["problems"]["listed"].as_array().unwrap().len(), 100);
    project
        .mooncast(&["rehearse", "scripts/main.lua"])
        .exits(3)
        .prints("250 problems")
        .prints("and 230 more");
}

/// Every kind of change.
const BUSY: &str = r#"
    local fs, http, csv = require("fs"), require("http"), require("csv")
    local url = arg[1]
    fs.mkdir("data/out/deep")
    fs.write("data/out/deep/list.csv", "group_id\ng1\n")
    fs.append("data/out/deep/list.csv", "g2\n")
    fs.append("data/kept.txt", " and more")
    assert(fs.read("data/kept.txt") == "kept and more")
    fs.remove("data/old.txt")
    assert(not fs.info("data/old.txt"))
    assert(fs.info("data/out/deep/list.csv").size == 15)
    assert(table.concat(fs.list("data/out"), " ") == "deep")
    assert(not pcall(fs.remove, "data/out"), "it is not empty")
    assert(not pcall(fs.write, "scripts/main.lua", "x"), "what is refused is refused here too")
    assert(#csv.read("data/out/deep/list.csv") == 2)
    assert(http.get(url .. "/real").status == 200)
    assert(http.post(url .. "/orders?key=1", "12345").status == 200)
    local file = im.upload("picture.gif")
    assert(file.width == 3 and file.height == 5 and file.size == 13 and file.url and file.uuid)
    local sent = im.group_send({ to = "g9", type = "txt", body = { msg = "hi" } }, { once = "k" })
    assert(im.recall(sent).recalled == 1)
    im.broadcast { name = "news", to = "data/out/deep/list.csv",
      message = { type = "img", body = { file = file } } }
"#;

#[test]
fn nothing_changes_anywhere() {
    let service = Service::answering(|_, _| service::json(200, "{}"));
    let project = Project::with_script(BUSY)
        .file("data/kept.txt", "kept")
        .file("data/old.txt", "old")
        .file("picture.gif", b"GIF89a\x03\0\x05\0\0\0\0");
    let before = files(&project);
    let scratch = tempfile::tempdir().unwrap();
    let url = service.url();
    let mut command = project.command_against(
        &service,
        &["rehearse", "--json", "--allow-net=127.0.0.1", "scripts/main.lua", &url],
    );
    let ran = Ran::of(&command.env("TMPDIR", scratch.path()).output().unwrap()).exits(0);
    assert_eq!(files(&project), before);
    assert!(std::fs::read_dir(scratch.path()).unwrap().next().is_none(), "the scratch ledger is left");
    // Of all requests only the GET was made.
    let requests = service.requests();
    assert_eq!(requests.len(), 1, "{requests:#?}");
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("GET", "/real"));

    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        report["files"],
        json!([
            { "change": "write", "path": "data/kept.txt", "bytes": 13 },
            { "change": "remove", "path": "data/old.txt" },
            { "change": "make folder", "path": "data/out" },
            { "change": "make folder", "path": "data/out/deep" },
            { "change": "write", "path": "data/out/deep/list.csv", "bytes": 15 },
        ])
    );
    assert_eq!(
        report["not_sent"],
        json!([{ "what": format!("POST {url}/orders"), "bytes": 5 }, { "what": "recall of 1 messages", "bytes": 0 }])
    );
    assert_eq!(report["uploads"][0]["filename"], "picture.gif");
    assert_eq!(report["totals"]["messages"], 3);
    let picture = &report["broadcasts"][0]["samples"][0]["message"]["body"];
    assert_eq!((&picture["filename"], &picture["secret"]), (&json!("picture.gif"), &json!("(hidden)")));
}

#[test]
fn a_rehearsal_needs_no_app_and_no_credentials() {
    let project = Project::with_script(
        r#"print("loud")
        im.group_send({ to = "g1", type = "txt", body = { msg = "Good morning" } })"#,
    );
    let ran = project.mooncast(&["rehearse", "scripts/main.lua"]).exits(0);
    let ran = ran.prints("loud").prints("nothing was sent").prints("Good morning").prints("single sends  1");
    assert!(
        ran.stdout.contains("  mooncast run --plan ") && ran.stdout.contains(" scripts/main.lua\n"),
        "{ran:#?}"
    );
    let (_, ran) = rehearse(&project, &[]);
    ran.exits(0).says("loud");
    project.mooncast(&["rehearse", "scripts/nobody.lua"]).exits(2);
}

#[test]
fn a_script_that_fails_is_told_with_what_it_did() {
    let project = Project::with_script(
        r#"im.group_send({ to = "g1", type = "txt", body = { msg = "x" } })
        error("enough")"#,
    );
    let (report, ran) = rehearse(&project, &[]);
    ran.exits(1);
    assert_eq!(report["outcome"], "failed");
    assert!(report["error"]["message"].as_str().unwrap().contains("main.lua:2: enough"));
    assert_eq!(report["totals"]["messages"], 1);
    project.mooncast(&["rehearse", "scripts/main.lua"]).exits(1).prints("enough");
}

/// Lists of three groups, of which `g1` has two members.
fn lists() -> Service {
    Service::answering(|count, request| {
        let path = request.path.split('?').next().unwrap();
        if path.ends_with("/users") {
            return service::json(200, r#"{"data":[{"owner":"ann"},{"member":"bob"}],"count":2}"#);
        }
        if let Some((_, ids)) = path.split_once("/chatgroups/") {
            let group = |id: &str| match id {
                "g1" => json!({ "id": id, "owner": "ann", "affiliations_count": 200, "mute": true }),
                "g2" => json!({ "id": id, "owner": "ann", "affiliations_count": 3001, "disabled": true }),
                _ => json!("group id doesn't exist"),
            };
            let data: Vec<Value> = ids.split(',').map(group).collect();
            return service::json(200, &json!({ "data": data }).to_string());
        }
        if path.ends_with("/chatgroups") && request.method == "GET" {
            let groups: Vec<String> = [("g1", 200), ("g2", 201), ("g3", 999)]
                .iter()
                .map(|(id, size)| format!(r#"{{"groupid":"{id}","groupname":"x","affiliations":{size}}}"#))
                .collect();
            return service::json(200, &format!(r#"{{"data":[{}],"count":3}}"#, groups.join(",")));
        }
        service::accept(count, request)
    })
}

#[test]
fn lists_are_read_only_when_it_is_asked_for() {
    let service = lists();
    let project = Project::with_script(
        r#"print(im.broadcast { name = "all", to = im.groups(), message = { type = "txt", body = { msg = "x" } } }.sent)"#,
    );
    let run = |args: &[&str]| Ran::of(&project.command_against(&service, args).output().unwrap());
    run(&["rehearse", "scripts/main.lua"]).exits(1).prints("--read-lists");
    assert!(service.requests().is_empty());
    run(&["rehearse", "--read-lists", "scripts/main.lua"]).exits(0).prints("3\n");
    assert!(service.messages().is_empty());
    // Without a service, the simulator's groups are used.
    let simulated = project.within(&["rehearse", "--simulator", "scripts/main.lua"]).output().unwrap();
    Ran::of(&simulated).exits(0).prints("100\n");
    project.mooncast(&["rehearse", "--read-lists", "scripts/main.lua"]).exits(2);
}

#[test]
fn targets_that_are_not_there_are_named() {
    let service = lists();
    let project = Project::with_script(
        r#"local text = { type = "txt", body = { msg = "x" } }
        im.broadcast { name = "a", to = { "g1", "g2", "g7" }, message = { type = "txt", from = "zoe", body = { msg = "x" } } }
        im.targeted_send { to = "g1", users = { "bob", "eve" }, from = "ann", type = "txt", body = { msg = "x" } }
        im.group_send { to = { "g1", "g2" }, need_group_ack = true, type = "txt", body = { msg = "x" } }"#,
    );
    let run = |args: &[&str]| Ran::of(&project.command_against(&service, args).output().unwrap());
    run(&["rehearse", "scripts/main.lua"]).exits(0);
    assert!(service.requests().is_empty());
    let ran = run(&["rehearse", "--json", "--check-targets", "scripts/main.lua"]).exits(3);
    assert!(service.requests().iter().all(|request| request.method == "GET"));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    // What is not there cannot be sent to, so there is no plan to run.
    assert_eq!((&report["deliverable"], &report["plan"]), (&json!(false), &Value::Null));
    assert_eq!(report["command"], Value::Null);
    let targets = &report["targets"];
    assert_eq!(targets["groups_checked"], 3);
    assert_eq!(targets["missing_groups"], json!({ "total": 1, "listed": ["g7"] }));
    assert_eq!(targets["missing_members"], json!({ "total": 1, "listed": ["eve of g1"] }));
    assert_eq!(targets["missing_senders"], json!({ "total": 1, "listed": ["zoe"] }));
    assert_eq!(targets["large_receipt_groups"], json!({ "total": 1, "listed": ["g2"] }));
    assert_eq!(targets["disabled_groups"], json!({ "total": 1, "listed": ["g2"] }));
    assert_eq!(targets["groups_without_push"], json!({ "total": 1, "listed": ["g2"] }));
    assert_eq!(targets["muted_groups"], json!({ "total": 1, "listed": ["g1"] }));
    let lists_read = service.requests().iter().filter(|one| one.path.contains("/chatgroups?")).count();
    assert_eq!(lists_read, 0, "the whole list of groups was read");
    let ran = run(&["rehearse", "--check-targets", "scripts/main.lua"]).exits(3).prints("g7");
    assert!(!ran.stdout.contains("--plan") && ran.stdout.contains("fix the problems above"), "{ran:?}");
    let ran = ran
        .prints("groups that are disabled (1): g2")
        .prints("groups in which all members are muted (1): g1");
    ran.prints("groups of more than 200 members, in which `need_group_ack` brings no receipts (1): g2");
}

#[test]
fn what_was_sent_before_counts_in_a_rehearsal_too() {
    let service = Service::accepting();
    let project = Project::with_script(
        r#"local text = { type = "txt", body = { msg = "x" } }
        im.broadcast { name = "first", to = { "g1", "g2" }, message = text }
        if arg[1] then
          im.broadcast { name = "second", to = { "g1", "g2", "g3" }, exclude = { broadcast = "first" }, message = text }
        end"#,
    );
    let run = |args: &[&str]| Ran::of(&project.command_against(&service, args).output().unwrap());
    run(&["run", "scripts/main.lua"]).exits(0);
    let before = files(&project);
    let ran = run(&["rehearse", "--json", "scripts/main.lua", "more"]).exits(0);
    assert_eq!(files(&project), before);
    assert_eq!(service.messages().len(), 2);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["broadcasts"][0]["state"], "already");
    assert_eq!(report["broadcasts"][1]["recipients"], 1);
    assert_eq!(report["broadcasts"][1]["excluded"], 2);
    assert_eq!(report["totals"]["messages"], 1);
    let plan = report["plan"].as_str().unwrap();
    run(&["run", "--plan", plan, "scripts/main.lua", "more"]).exits(0).says("sent to 1 group");
    assert_eq!(service.messages().len(), 3);
}
