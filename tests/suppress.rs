//! The suppression list: broadcasts skip what is on it, single messages to it are refused.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::service::{Service, accept, json as answer};
use crate::support::{Project, Ran};
use crate::web::{Site, request};

const TO_FIVE: &str = r#"
local report = im.broadcast {
  name = "news", to = { "101", "102", "103", "104", "105" },
  message = { from = "a", type = "txt", body = { msg = "hi" } },
}
print(report.sent, report.skipped)
"#;

const GRANTED: &str = "[permissions]\nsuppress = true\noverride_suppression = true\n";

/// The groups that got a message.
fn reached(service: &Service) -> BTreeSet<String> {
    let to = |message: Value| message["to"].as_array().unwrap().clone();
    let names = |id: Value| id.as_str().unwrap().to_owned();
    service.messages().into_iter().flat_map(to).map(names).collect()
}

fn groups(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn suppress(project: &Project, service: &Service, args: &[&str]) -> Ran {
    let args: Vec<&str> = std::iter::once("suppress").chain(args.iter().copied()).collect();
    Ran::of(&project.command_against(service, &args).output().unwrap())
}

#[test]
fn a_broadcast_skips_what_is_on_the_list_with_the_reason() {
    let service = Service::accepting();
    let project = Project::with_script(TO_FIVE);
    suppress(&project, &service, &["add", "102", "104", "--reason", "the group complained"])
        .exits(0)
        .prints("2 groups are on the suppression list");
    // A user with the id of a group is another entry.
    suppress(&project, &service, &["add", "105", "--kind", "user"]).exits(0).prints("1 user is");
    project.run_against(&service).exits(0).prints("3\t2");
    assert_eq!(reached(&service), groups(&["101", "103", "105"]));
    let exported = project.mooncast(&["runs", "export", "news", "--format", "jsonl"]).exits(0).stdout;
    let skipped: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let skipped: Vec<(&str, &str)> = skipped
        .iter()
        .filter(|row| row["state"] == "skipped")
        .map(|row| (row["group_id"].as_str().unwrap(), row["error"].as_str().unwrap()))
        .collect();
    let why = "on the suppression list: the group complained";
    assert_eq!(skipped, [("102", why), ("104", why)]);
}

#[test]
fn the_list_is_listed_and_entries_are_removed_or_end() {
    let service = Service::accepting();
    let project = Project::with_script(TO_FIVE);
    suppress(&project, &service, &["list"]).exits(0).prints("nothing is on the suppression list");
    suppress(&project, &service, &["add", "101", "--expires", "30d", "--reason", "=1+1"]).exits(0);
    suppress(&project, &service, &["add", "9", "--kind", "room"]).exits(0);
    suppress(&project, &service, &["list"])
        .exits(0)
        .prints("group 101  =1+1")
        .prints("until 2")
        .prints("room  9");
    suppress(&project, &service, &["list", "--kind", "room"]).exits(0).prints("room  9");
    let listed = suppress(&project, &service, &["list", "--json"]).exits(0).stdout;
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (&listed[0]["kind"], &listed[0]["id"], &listed[0]["reason"]),
        (&json!("group"), &json!("101"), &json!("=1+1"))
    );
    assert!(listed[0]["expires_at"].is_string() && listed[1]["expires_at"].is_null(), "{listed:?}");
    assert!(listed[0]["actor"].as_str().unwrap().contains('@'), "{listed:?}");
    // A spreadsheet must not compute the reason.
    suppress(&project, &service, &["list", "--csv"]).exits(0).prints(",group,101,'=1+1,");
    // A later end stays, and an entry without one has the latest.
    suppress(&project, &service, &["add", "101", "--expires", "1h"]).exits(0);
    let again = suppress(&project, &service, &["list", "--json"]).exits(0).stdout;
    let again: Vec<Value> = serde_json::from_str(&again).unwrap();
    assert_eq!(again[0]["expires_at"], listed[0]["expires_at"]);
    suppress(&project, &service, &["add", "101"]).exits(0);
    suppress(&project, &service, &["add", "101", "--expires", "1h"]).exits(0);
    let again = suppress(&project, &service, &["list", "--json"]).exits(0).stdout;
    let again: Vec<Value> = serde_json::from_str(&again).unwrap();
    assert!(again[0]["expires_at"].is_null(), "{again:?}");
    suppress(&project, &service, &["remove", "101"]).exits(0).prints("1 group was removed");
    suppress(&project, &service, &["remove", "101"])
        .exits(2)
        .says("group 101 is not on the suppression list");
    // An entry that has ended counts no longer.
    suppress(&project, &service, &["add", "103", "104"]).exits(0);
    project.run_in_store("UPDATE suppressions SET expires_at = 1 WHERE id = '103'");
    project.run_against(&service).exits(0).prints("4\t1");
    assert_eq!(reached(&service), groups(&["101", "102", "103", "105"]));
    suppress(&project, &service, &["add", "1.5E+14"]).exits(2).says("Excel");
    suppress(&project, &service, &["add", "1", "--expires", "soon"]).exits(2).says("write it like 500ms");
}

#[test]
fn a_file_is_imported_whole_or_not_at_all() {
    let service = Service::accepting();
    let project = Project::with_script(TO_FIVE)
        .file("bad.csv", "group_id\n101\n1.84525E+14\n")
        .file("good.csv", encoding_rs::GB18030.encode("group_id,reason\n101,群主要求\n103,\n").0);
    suppress(&project, &service, &["import", "bad.csv"])
        .exits(2)
        .says("line 3")
        .says("Excel has shortened this id")
        .says("nothing was added");
    suppress(&project, &service, &["list"]).exits(0).prints("nothing is on");
    suppress(&project, &service, &["import", "good.csv", "--reason", "by the list of May"])
        .exits(0)
        .says("GB18030")
        .prints("2 groups are on the suppression list");
    suppress(&project, &service, &["list"])
        .exits(0)
        .prints("101  群主要求")
        .prints("103  by the list of May");
    project.run_against(&service).exits(0).prints("3\t2");
    suppress(&project, &service, &["import", "good.xls"]).exits(2).says("save it as .xlsx");
}

#[test]
fn a_single_message_to_the_list_is_refused() {
    let service = Service::accepting();
    let script = r#"
    local function try(send, message, options)
      local ok, e = pcall(send, message, options)
      print(ok, ok or e.kind, ok or e.message)
    end
    local body = { msg = "hi" }
    try(im.group_send, { to = { "101", "102" }, type = "txt", body = body })
    try(im.targeted_send, { to = { "101" }, users = { "u1" }, type = "txt", body = body }, { once = "k" })
    try(im.user_send, { to = { "102" }, type = "txt", body = body })
    try(im.group_send, { to = { "102" }, type = "txt", body = body }, { override = true })
    "#;
    let project = Project::with_script(script);
    suppress(&project, &service, &["add", "102", "--reason", "quiet"]).exits(0);
    suppress(&project, &service, &["add", "u1", "--kind", "user"]).exits(0);
    let ran = project.run_against(&service).exits(3).stdout;
    let lines: Vec<&str> = ran.lines().collect();
    assert!(
        lines[0].starts_with("false\tdenied\tgroup 102 is on the suppression list: quiet; nothing was sent."),
        "{ran}"
    );
    assert!(lines[1].starts_with("false\tdenied\tuser u1 is on the suppression list;"), "{ran}");
    assert_eq!(lines[2], "true\ttrue\ttrue");
    assert!(
        lines[3].starts_with("false\tdenied\t`override = true`") && lines[3].contains("override_suppression"),
        "{ran}"
    );
    let paths: Vec<String> = service.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/org/app/messages/users"]);
    project.write("mooncast.toml", GRANTED);
    let ran = project.run_against(&service).exits(3).stdout;
    assert_eq!(ran.lines().nth(3), Some("true\ttrue\ttrue"));
    // The refused key was not used up.
    suppress(&project, &service, &["remove", "u1", "--kind", "user"]).exits(0);
    let ran = project.run_against(&service).exits(3).stdout;
    assert_eq!(ran.lines().nth(1), Some("true\ttrue\ttrue"));
}

#[test]
fn a_broadcast_overrides_the_list_with_a_permission_alone() {
    let service = Service::accepting();
    let script = TO_FIVE.replace("name = \"news\",", "name = \"news\", override = true,");
    let project = Project::with_script(script);
    suppress(&project, &service, &["add", "102"]).exits(0);
    project.run_against(&service).exits(1).says("`override = true`").says("override_suppression = true");
    assert!(service.messages().is_empty());
    project.write("mooncast.toml", "[permissions]\noverride_suppression = true\n");
    let rehearsed = project.command_against(&service, &["rehearse", "scripts/main.lua"]);
    Ran::of(&{ rehearsed }.output().unwrap())
        .exits(0)
        .prints("`override = true`: it is also sent to 1 recipient on the suppression list");
    project.run_against(&service).exits(0).prints("5\t0");
    assert_eq!(reached(&service).len(), 5);
}

#[test]
fn a_rehearsal_shows_what_is_left_out() {
    let service = Service::accepting();
    let project = Project::with_script(TO_FIVE);
    suppress(&project, &service, &["add", "102", "104"]).exits(0);
    let ran = |args: &[&str]| Ran::of(&project.command_against(&service, args).output().unwrap());
    ran(&["rehearse", "scripts/main.lua"])
        .exits(0)
        .prints("2 on the suppression list and skipped")
        .prints("3\t2");
    let report = ran(&["rehearse", "--json", "scripts/main.lua"]).exits(0).stdout;
    let report: Value = serde_json::from_str(&report).unwrap();
    let broadcast = &report["broadcasts"][0];
    assert_eq!((&broadcast["suppressed"], &broadcast["sent"]), (&json!(2), &json!(3)));
    assert!(service.messages().is_empty());
}

#[test]
fn the_check_names_what_is_not_granted() {
    let project = Project::with_script(
        "local function main()\n  im.suppress('1', { reason = 'x' })\n  im.group_send({ to = '1', type = 'txt', body = { msg = 'x' } }, { override = true })\nend\n",
    );
    project
        .mooncast(&["check"])
        .exits(1)
        .prints("main.lua:2:")
        .prints("[permissions] suppress = true")
        .prints("main.lua:3:")
        .prints("[permissions] override_suppression = true");
    project.write("mooncast.toml", GRANTED);
    project.mooncast(&["check"]).exits(0);
    project.write("scripts/main.lua", "im.suppress('1', { reson = 'x' })");
    project
        .mooncast(&["check"])
        .exits(1)
        .prints("`im.suppress` has no option `reson`; did you mean `reason`?");
}

#[test]
fn scripts_only_add_and_need_the_permission() {
    let service = Service::accepting();
    let script = r#"
    im.suppress({ "102", 104 }, { reason = "asked for it", expires = "30d" })
    im.suppress("103")
    "#
    .to_owned()
        + TO_FIVE;
    let project = Project::with_script(&script);
    project.run_against(&service).exits(1).says("im.suppress is not granted").says("--allow-suppress");
    project.write("mooncast.toml", GRANTED);
    // A rehearsal changes nothing, and shows what would be.
    let rehearsed = project.command_against(&service, &["rehearse", "scripts/main.lua"]);
    Ran::of(&{ rehearsed }.output().unwrap()).exits(0).prints("2\t3");
    suppress(&project, &service, &["list"]).exits(0).prints("nothing is on");
    project.run_against(&service).exits(0).prints("2\t3");
    assert_eq!(reached(&service), groups(&["101", "105"]));
    suppress(&project, &service, &["list"])
        .exits(0)
        .prints("102  asked for it  (by scripts/main.lua")
        .prints("103  (by scripts/main.lua");
    for (call, told) in [
        ("im.suppress({})", "expected 1 to 10000 ids"),
        ("im.suppress('1', { kind = 'grup' })", "did you mean \"group\"?"),
        ("im.suppress('1', { expire = '1d' })", "did you mean `expires`?"),
        ("im.suppress('a b')", "without blanks"),
        ("im.suppress(true)", "a string or a whole number"),
    ] {
        project.write("scripts/main.lua", call);
        project.run_against(&service).exits(1).says(told);
    }
}

/// The list is changed while the first message is on its way, so the rest of the page was already read.
#[test]
fn what_is_added_while_a_broadcast_runs_holds_for_the_rest() {
    let project = Project::with_script(
        r#"
        local report = im.broadcast {
          name = "news", to = { "101", "102", "103", "104" }, rate = 2,
          message = { from = "a", type = "txt", body = { msg = "hi" } },
        }
        print(report.sent, report.skipped)"#,
    );
    let service = Service::accepting();
    let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
    let child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    service.wait_for(1);
    suppress(&project, &service, &["add", "103", "104"]).exits(0);
    let ran = Ran::of(&child.wait_with_output().unwrap()).exits(0);
    let reached = reached(&service);
    assert!(!reached.contains("104"), "{reached:?}");
    let sent = reached.len();
    assert!(ran.stdout.contains(&format!("{sent}\t{}", 4 - sent)), "{ran:?} {reached:?}");
}

#[test]
fn members_of_a_group_are_left_out_by_the_group_or_by_one_of_them() {
    let service = Service::accepting();
    let project = Project::with_script(
        r#"
        local report = im.broadcast {
          name = "news", message = { from = "a", type = "txt", body = { msg = "hi" } },
          to = {
            { group_id = "101", users = { "u1", "u2" } }, { group_id = "102", users = { "u3" } },
            { group_id = "103", users = { "u3" } },
          },
        }
        print(report.sent, report.skipped)"#,
    );
    suppress(&project, &service, &["add", "u2", "--kind", "user", "--reason", "left"]).exits(0);
    suppress(&project, &service, &["add", "103"]).exits(0);
    project.run_against(&service).exits(0).prints("1\t2");
    assert_eq!(reached(&service), groups(&["102"]));
    project
        .mooncast(&["runs", "export", "news"])
        .exits(0)
        .prints("its member u2 is on the suppression list: left");
}

#[test]
fn the_api_and_the_page_list_add_and_remove() {
    let site = Site::start("print('nothing')");
    let json = [("content-type", "application/json")];
    let operate = format!("Bearer {}", site.operate);
    let read = format!("Bearer {}", site.read);
    let ask = |token: &str, what: &str, body: &Value| {
        let headers = [("authorization", token), json[0]];
        request(&site.address, what, &headers, body.to_string().as_bytes())
    };
    let body = json!({ "ids": ["101", "102"], "reason": "quiet", "expires": "30d" });
    assert_eq!(ask(&read, "POST /api/v1/suppressions", &body).status, 403);
    assert_eq!(ask(&operate, "POST /api/v1/suppressions", &body).status, 200);
    let wrong = json!({ "ids": ["103", "a b"] });
    let refused = ask(&operate, "POST /api/v1/suppressions", &wrong);
    assert!(refused.status == 409 && refused.body.contains("without blanks"), "{refused:?}");
    let first = ask(&read, "GET /api/v1/suppressions?limit=1", &Value::Null).json();
    assert_eq!(
        (&first["suppressions"][0]["id"], &first["suppressions"][0]["reason"]),
        (&json!("101"), &json!("quiet"))
    );
    let next = first["next"].as_str().unwrap();
    let second = ask(&read, &format!("GET /api/v1/suppressions?limit=1&after={next}"), &Value::Null).json();
    assert_eq!(second["suppressions"][0]["id"], "102");
    assert!(second["next"].is_null(), "{second}");
    let removed = ask(&operate, "POST /api/v1/suppressions/remove", &json!({ "ids": ["101"] }));
    assert_eq!((removed.status, &removed.json()["count"]), (200, &json!(1)));
    assert_eq!(ask(&operate, "POST /api/v1/suppressions/remove", &json!({ "ids": ["101"] })).status, 404);
    let page = request(&site.address, "GET /suppressions", &[("authorization", &read)], b"");
    assert!(
        page.status == 200 && page.body.contains(">102</th>") && !page.body.contains("<textarea"),
        "{page:?}"
    );
    let form = [("authorization", operate.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let added = request(
        &site.address,
        "POST /suppressions",
        &form,
        b"app=default&kind=room&ids=7%0D%0A%0D%0A8&reason=%3Cb%3E&expires=",
    );
    assert_eq!(added.status, 303, "{added:?}");
    let page = request(&site.address, "GET /suppressions", &[("authorization", &operate)], b"");
    assert!(page.body.contains(">7</th>") && page.body.contains("&lt;b&gt;"), "{page:?}");
    let listed = ask(&read, "GET /api/v1/suppressions?kind=room", &Value::Null).json();
    let app = listed["suppressions"][0]["app"].as_str().unwrap().replace('/', "%2F").replace(':', "%3A");
    let address = format!("GET /suppressions/remove?app={app}&kind=room&id=7");
    let asked = request(&site.address, &address, &[("authorization", &operate)], b"");
    assert!(asked.status == 200 && asked.body.contains("Remove 7 from the suppression list?"), "{asked:?}");
    let body = format!("app={app}&kind=room&id=7");
    let removed = request(&site.address, "POST /suppressions/remove", &form, body.as_bytes());
    assert_eq!(removed.status, 303, "{removed:?}");
    let listed = ask(&read, "GET /api/v1/suppressions?kind=room", &Value::Null).json();
    assert_eq!(listed["suppressions"].as_array().unwrap().len(), 1, "{listed}");
    site.serving.stop().exits(0);
}

#[test]
fn an_id_of_a_user_is_the_same_in_any_case() {
    let service = Service::accepting();
    let script = r#"
        local report = im.broadcast { name = "n", kind = "user", to = { "user7", "USER7", "ann" },
          message = { type = "txt", body = { msg = "m" } } }
        print("skipped", report.skipped, "sent", report.sent)
        local ok, e = pcall(im.user_send, { to = { "bob", "UsEr7" }, type = "txt", body = { msg = "m" } })
        print(ok, e.kind)
        local targeted = im.broadcast { name = "t", message = { type = "txt", body = { msg = "m" } },
          to = { { group_id = "1", users = { "uSer7" } }, { group_id = "2", users = { "ann" } } } }
        print("skipped", targeted.skipped, "sent", targeted.sent)
    "#;
    let project = Project::with_script(script);
    suppress(&project, &service, &["add", "User7", "--kind", "user"]).exits(0);
    project.run_against(&service).prints("skipped\t1\tsent\t1\nfalse\tdenied\nskipped\t1\tsent\t1");
    let requests = service.requests();
    let sent = requests.iter().filter(|request| request.path.contains("/messages"));
    let sent: Vec<String> =
        sent.map(|request| String::from_utf8_lossy(&request.body).to_lowercase()).collect();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent.iter().all(|message| !message.contains("user7")), "{sent:?}");
    suppress(&project, &service, &["remove", "uSER7", "--kind", "user"]).exits(0);
    suppress(&project, &service, &["list"]).exits(0).prints("nothing is on the suppression list");
}

#[test]
fn an_edit_goes_on_to_members_that_were_listed_since() {
    let service = Service::answering(|number, request| match request.method.as_str() {
        "PUT" => answer(200, r#"{"data":"success"}"#),
        _ => accept(number, request),
    });
    let script = r#"
        im.broadcast { name = "t", message = { type = "txt", body = { msg = "m" } },
          to = { { group_id = "1", users = { "u1" } }, { group_id = "2", users = { "u2" } } } }
    "#;
    let project = Project::with_script(script);
    project.run_against(&service).exits(0);
    suppress(&project, &service, &["add", "u1", "--kind", "user"]).exits(0);
    let edit = ["runs", "edit", "t", "--text", "new", "--yes"];
    Ran::of(&project.command_against(&service, &edit).output().unwrap()).exits(0).says("edited 2 messages");
}
