//! `im.broadcast` from Lua to its end: audiences, messages, the plan, and the second run.

use std::process::Command;

use crate::support::service::{Service, json};
use crate::support::{Project, Ran};

/// Runs the script against a service with a quota that no test waits for.
fn run(project: &Project, service: &Service) -> Ran {
    Ran::of(&command(project, service).output().unwrap())
}

fn command(project: &Project, service: &Service) -> Command {
    project.write("mooncast.toml", "[app.limits]\ngroup_per_second = 5000\ntargeted_per_second = 5000\n");
    project.command_against(service, &["run", "scripts/main.lua"])
}

/// Returns the groups of all messages, sorted by name.
fn groups(service: &Service) -> Vec<String> {
    let mut groups: Vec<String> =
        service.messages().iter().map(|message| message["to"][0].as_str().unwrap().to_owned()).collect();
    groups.sort();
    groups
}

const REPORT: &str = r#"
    local function show(r)
      print(("%s/%s total %d sent %d rejected %d skipped %d duplicates %d already %s"):format(
        r.name, r.run, r.total, r.sent, r.rejected, r.skipped, r.duplicates, tostring(r.already)))
    end
    local hello = { type = "txt", body = { msg = "hello" } }
"#;

fn project(source: &str) -> Project {
    Project::with_script(format!("{REPORT}{source}"))
}

#[test]
fn a_list_is_sent_once_and_a_second_run_sends_nothing() {
    let service = Service::accepting();
    let project =
        project(r#"show(im.broadcast { name = "news", to = { "g1", 22, "g3", "g1" }, message = hello })"#);
    run(&project, &service)
        .exits(0)
        .prints("news/1 total 3 sent 3 rejected 0 skipped 0 duplicates 1 already nil");
    assert_eq!(groups(&service), ["22", "g1", "g3"]);
    run(&project, &service)
        .exits(0)
        .prints("sent 3 rejected 0 skipped 0 duplicates 1 already true")
        .says("another `run`");
    assert_eq!(groups(&service).len(), 3);
}

#[test]
fn the_simulator_has_a_ledger_of_its_own_that_stays() {
    let project = project(r#"show(im.broadcast { name = "news", to = { "g1" }, message = hello })"#);
    project.run_simulated().exits(0).prints("already nil");
    project.run_simulated().exits(0).prints("already true");
    assert!(!project.path(".mooncast/ledger.db").exists());
}

#[test]
fn a_csv_is_sent_row_by_row_without_its_duplicates() {
    let service = Service::accepting();
    let project = project(r#"show(im.broadcast { name = "csv", to = "a.csv", message = hello })"#)
        .file("a.csv", "\u{feff}name,group_id\nAnn,g1\n\"B, b\",g2\nAnn,g1\n");
    run(&project, &service).exits(0).prints("total 2 sent 2 rejected 0 skipped 0 duplicates 1");
    assert_eq!(groups(&service), ["g1", "g2"]);
}

#[test]
fn a_function_makes_each_message_once_and_nil_skips() {
    for (file, content) in [
        ("a.csv", "group_id,name\ng1,Ann\ng2,\ng3,Eve\n"),
        (
            "a.jsonl",
            "{\"group_id\":\"g1\",\"name\":\"Ann\"}\n\n{\"group_id\":\"g2\"}\n{\"group_id\":\"g3\",\"name\":\"Eve\"}",
        ),
        (
            "a.json",
            "[{\"group_id\":\"g1\",\"name\":\"Ann\"},\n {\"group_id\":\"g2\"}, {\"group_id\":\"g3\",\"name\":\"Eve\"}]\n",
        ),
    ] {
        let service = Service::accepting();
        let project = project(&format!(
            r#"local calls = 0
            show(im.broadcast {{ name = "made", to = "{file}", message = function(row)
              calls = calls + 1
              if row.name and row.name ~= "" then
                return {{ type = "txt", body = {{ msg = "Hi " .. row.name }}, roam_ignore_users = {{}} }}
              end
            end }})
            print("calls " .. calls)"#
        ))
        .file(file, content);
        run(&project, &service).exits(0).prints("total 3 sent 2 rejected 0 skipped 1").prints("calls 3");
        let mut texts: Vec<String> =
            service.messages().iter().map(|message| message["body"]["msg"].to_string()).collect();
        texts.sort();
        assert_eq!(texts, ["\"Hi Ann\"", "\"Hi Eve\""], "{file}");
    }
}

#[test]
fn a_bad_line_is_named_or_skipped_as_asked() {
    for (file, content, line) in [
        ("a.csv", "group_id,name\ng1,Ann\n,Bob\ng3,Eve\n", "line 3, column 1 (`group_id`): \"\" is blank"),
        ("a.csv", "group_id,name\ng1,Ann\ng2\ng3,Eve\n", "line 3: it has 1 fields where the header has 2"),
        ("a.jsonl", "\"g1\"\n{\"group_id\":\n\"g3\"\n", "line 2: it is not JSON"),
        ("a.json", "[\"g1\",\n {\"name\":1},\n\"g3\"]", "line 2: `group_id` is missing"),
    ] {
        let service = Service::accepting();
        let source = |more: &str| {
            format!(r#"{REPORT} show(im.broadcast {{ name = "bad", to = "{file}", message = hello{more} }})"#)
        };
        let project = Project::with_script(source("")).file(file, content);
        run(&project, &service).exits(1).says(line);
        assert!(service.messages().is_empty());
        project.write("scripts/main.lua", source(", skip_bad = true"));
        run(&project, &service).exits(0).prints("total 3 sent 2 rejected 0 skipped 1").says("1 bad line");
        assert_eq!(groups(&service), ["g1", "g3"]);
    }
}

#[test]
fn a_quote_that_is_not_closed_is_named_and_not_read_to_the_end() {
    let service = Service::accepting();
    let rows = "g3,Eve\n".repeat(400_000);
    for (content, line) in [
        (format!("group_id,name\ng1,Ann\ng2,\"Bob\n{rows}"), "line 3, column 2 (`name`): a quote opens here"),
        (format!("group_id,\"name\n{rows}"), "line 1, column 2: a quote opens here"),
    ] {
        let project = project(r#"show(im.broadcast { name = "open", to = "a.csv", message = hello })"#)
            .file("a.csv", content);
        run(&project, &service).exits(1).says(line).says("is not closed within 1048576 bytes");
    }
    assert!(service.messages().is_empty());
}

#[test]
fn a_message_over_the_limit_names_its_recipient_and_nothing_is_sent() {
    let service = Service::accepting();
    let project = project(
        r#"local ok, problem = pcall(im.broadcast, { name = "large", to = { "g1", "g2" }, message = function(group)
             return { type = "txt", body = { msg = ("x"):rep(group == "g2" and 6000 or 1) } }
           end })
           print(ok, problem.kind, problem.field, problem.message)
           show(im.broadcast { name = "large", to = { "g1" }, message = hello })"#,
    );
    run(&project, &service)
        .exits(0)
        .prints("invalid\tbody\trecipient 2 (group g2): ")
        .prints("total 1 sent 1");
    assert_eq!(groups(&service), ["g1"]);
}

#[test]
fn many_users_of_a_group_take_several_calls() {
    let service = Service::accepting();
    let project = project(
        r#"local users = {}
           for i = 1, 45 do users[i] = "u" .. i end
           show(im.broadcast { name = "some", to = { { group_id = "g1", users = users } }, message = hello })"#,
    );
    run(&project, &service).exits(0).prints("total 3 sent 3");
    let requests = service.requests();
    assert!(requests.iter().all(|request| request.path.ends_with("/messages/chatgroups/users")));
    let mut sizes: Vec<usize> =
        service.messages().iter().map(|message| message["users"].as_array().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 20, 20]);
}

#[test]
fn an_iterator_a_progress_and_an_exclusion() {
    let service = Service::accepting();
    let project = project(
        r#"local n, seen = 0
           local function numbers() n = n + 1; if n <= 1200 then return "g" .. n end end
           im.broadcast { name = "first", to = { "g7", "g9" }, message = hello }
           show(im.broadcast { name = "second", run = 2, to = numbers, message = hello, exclude = { broadcast = "first" },
             on_progress = function(p) seen = p end })
           print("seen " .. seen.sent .. " of " .. seen.total)"#,
    );
    run(&project, &service)
        .exits(0)
        .prints("second/2 total 1200 sent 1198 rejected 0 skipped 2")
        .prints("seen 1198 of 1200");
    assert_eq!(groups(&service).len(), 1200);
}

#[test]
fn what_a_broadcast_cannot_be_is_told_with_its_field() {
    let project = project(
        r#"local function try(more)
             local spec = { name = "n", to = { "g1" }, message = hello }
             for name, value in pairs(more) do spec[name] = value end
             local ok, problem = pcall(im.broadcast, spec)
             print(tostring(problem.kind) .. " " .. tostring(problem.field) .. ": " .. problem.message)
           end
           try { pack = 4 }
           try { mesage = {} }
           try { rate = "fast" }
           try { in_doubt = "resned" }
           try { to = 7 }
           try { to = "groups.txt" }
           try { max_recipients = 1, to = { "a", "b" } }
           try { exclude = { broadcast = "never" } }
           try { window = { from = "9", to = "10:00", tz = "UTC" } }
           try { message = { type = "txt", to = "g1", body = { msg = "x" } } }
           try { message = function() return 5 end }
           try { to = { { group_id = "a", users = { "u" } }, "b" } }
           string.gsub("x", "x", function() try { message = function() end } end)"#,
    );
    let ran = project.run_simulated().exits(0);
    for line in [
        "invalid pack: ",
        "did you mean `message`?",
        "invalid rate: ",
        "did you mean \"resend\"?",
        "invalid to: to: expected a list",
        "invalid to: `groups.txt`: recipients come from",
        "invalid max_recipients: the plan has 2 recipients",
        "invalid exclude.broadcast: ",
        "invalid window.from: ",
        "invalid to: `to` is not allowed",
        "invalid message: recipient 1: the function gave a integer",
        "invalid users: recipient 2: ",
        "invalid nil: im.broadcast with functions cannot be called where Lua cannot wait",
    ] {
        assert!(ran.stdout.contains(line), "no {line:?} in {ran:#?}");
    }
}

#[test]
fn a_plan_that_is_refused_leaves_no_broadcast() {
    let script = |to: &str| {
        format!(
            "im.broadcast {{ name = 'news', to = {{ 1, 2, {to} }}, message = {{ type = 'txt', body = {{ msg = 'hi' }} }} }}"
        )
    };
    let service = Service::accepting();
    let project = Project::with_script(script("'x y'"));
    project.run_against(&service).exits(1).says("\"x y\"");
    let project = project.file("scripts/main.lua", script("3"));
    let list = || project.mooncast(&["runs", "list"]).exits(0);
    assert!(!list().stdout.contains("news"), "{:?}", list());
    project.run_against(&service).exits(0);
    let long = "x".repeat(6000);
    let edit = ["runs", "edit", "news", "--yes", "--text", &long];
    Ran::of(&project.command_against(&service, &edit).output().unwrap()).exits(1);
    assert!(!list().stdout.contains("news.edit"), "{:?}", list());
    let edit = ["runs", "edit", "news", "--yes", "--text", "new"];
    Ran::of(&project.command_against(&service, &edit).output().unwrap()).exits(0);
    let again = ["runs", "edit", "news.edit", "--yes", "--text", "newer"];
    Ran::of(&project.command_against(&service, &again).output().unwrap()).exits(1);
    assert!(!list().stdout.contains("news.edit.edit"), "{:?}", list());
}

#[test]
fn what_was_refused_shows_in_the_report_and_the_exit_status() {
    let service = Service::answering(|count, request| {
        if String::from_utf8_lossy(&request.body).contains("\"g2\"") {
            return json(400, r#"{"error":"invalid_parameter","error_description":"no such group"}"#);
        }
        crate::support::service::accept(count, request)
    });
    let project = project(r#"show(im.broadcast { name = "some", to = { "g1", "g2" }, message = hello })"#);
    run(&project, &service).exits(3).prints("total 2 sent 1 rejected 1");
}

#[test]
fn an_interrupted_one_goes_on_from_its_plan() {
    let service = Service::accepting();
    let project = project(
        r#"local to = {}
           for i = 1, 40 do to[i] = "g" .. i end
           show(im.broadcast { name = "long", to = to, message = hello })"#,
    );
    let slow = || project.command_against(&service, &["run", "scripts/main.lua"]);
    let child = Project::start(slow());
    service.wait_for(5);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)
        .unwrap();
    Ran::of(&child.wait_with_output().unwrap()).exits(130);
    let before = groups(&service).len();
    assert!((5..40).contains(&before), "{before}");
    project.write(
        "scripts/main.lua",
        format!("{REPORT} show(im.broadcast {{ name = 'long', to = {{ 'other' }}, message = hello }})"),
    );
    run(&project, &service).exits(2).says("changed: the script").says("--continue");
    assert_eq!(groups(&service).len(), before, "nothing is sent to anybody");
    let continued = project.command_against(&service, &["run", "--continue", "scripts/main.lua"]).output();
    Ran::of(&continued.unwrap()).exits(0).prints("total 40 sent 40");
    let mut all = groups(&service);
    all.dedup();
    assert_eq!((all.len(), groups(&service).len()), (40, 40));
}

#[test]
fn the_last_line_counts_what_all_broadcasts_skipped() {
    let service = Service::accepting();
    let project = project(
        r#"
        local function but(left_out)
          return function(one) if not left_out[one] then return hello end end
        end
        im.broadcast { name = "a", to = { "1", "2", "3" }, message = but { ["1"] = true, ["2"] = true } }
        im.broadcast { name = "b", to = { "1", "2" }, message = but { ["2"] = true } }
        im.broadcast { name = "c", to = { "1" }, message = hello }
        "#,
    );
    run(&project, &service).exits(0).says("sent to 3 groups in ").says(", 3 skipped (`mooncast runs export`");
    // What was sent before is not counted again.
    let again = run(&project, &service).exits(0);
    assert!(!again.stderr.contains("skipped ("), "{again:?}");
}
