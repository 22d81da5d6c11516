//! `im.request`: calls of the REST API that a script names itself, against a service of its own on loopback.
//!
//! On a server: in the soak

mod doubts;

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::service::{self, Request, Service};
use crate::support::{Project, Ran, side_by_side, store, until};

/// Grants as wide as they can be.
pub const WIDE: &str = r#"[permissions]
requests = [
  "GET /*", "GET /*/*", "GET /*/*/*", "GET /*/*/*/*",
  "POST /*", "POST /*/*", "POST /*/*/*", "POST /*/*/*/*",
  "PUT /*/*", "DELETE /*/*/*/*",
]
"#;

pub fn project(script: &str) -> Project {
    Project::with_script(script).file("mooncast.toml", WIDE)
}

/// Answers everything with an empty object.
fn taking() -> Service {
    Service::answering(|_, _| service::json(200, "{}"))
}

pub const ADD: &str = r#"
local ok, e = pcall(im.request, { method = "POST", path = "/chatgroups/7/users/bob", body = { a = 1 } })
print(ok, e.kind or e.status, e.status, e.message)
if not ok and e.kind ~= "in_doubt" then error(e) end
"#;

#[test]
fn no_attack_on_path_host_headers_method_or_grants_passes() {
    let script = r#"
    local function refused(kind, request, says)
      local ok, e = pcall(im.request, request)
      assert(not ok and type(e) == "table" and e.kind == kind, tostring(request.path) .. ": " .. tostring(e))
      assert(not says or tostring(e):find(says, 1, true), tostring(e))
      count = (count or 0) + 1
    end
    local paths = {
      "", "chatgroups", "//evil.example/x", "/", "//", "/chatgroups/", "/chatgroups//users", "https://evil.example/x",
      "http:evil.example", "/..", "/.", "/...", "/../other/app/users", "/chatgroups/../messages/users", "/chatgroups/./7",
      "/%2e%2e/x", "/%2E%2e/messages", "/chatgroups%2F7", "/chatgroups/%2fx", "/chatgroups/7%00", "/chatgroups/7;a=b",
      "/;/x", "/chatgroups?x=1", "/chatgroups/7?x", "/chatgroups#x", "/chatgroups\\7", "\\\\evil.example\\x",
      "/chatgroups/7\r\nHost: evil", "/chatgroups/\n", "/chatgroups/\t7", "/chatgroups/ 7", "/chatgroups/7 HTTP/1.1",
      "/chatgroups/\0", "/chatgroups/\u{202e}7", "/chatgroups/．．", "/chat／groups", "/ｍessages/users", "/*", "/chatgroups/*",
      "/" .. ("a"):rep(5000),
    }
    for _, path in ipairs(paths) do refused("invalid", { method = "POST", path = path }) end
    -- Calls with a function of their own are told which it is.
    for path, says in pairs {
      ["/messages/chatgroups"] = "im.group_send", ["/messages/users"] = "im.user_send", ["/Messages/users"] = "im.user_send",
      ["/MESSAGES"] = "im.group_send", ["/messages.json/users"] = "im.user_send", ["/messages:x/users"] = "im.group_send",
      ["/~messages/users"] = "im.group_send", ["/.messages"] = "im.group_send", ["/+token"] = "token",
      ["/messages/batch_recall"] = "im.recall", ["/messages/users/broadcast"] = "im.announce", ["/token"] = "token", ["/token.json"] = "token", ["/chatfiles"] = "im.upload",
      ["/chatfiles/1"] = "im.upload",
    } do
      refused("invalid", { method = "POST", path = path }, says)
    end
    for _, method in ipairs { "get", "Post", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "", "GET /x", "POST\r\n" } do
      refused("invalid", { method = method, path = "/chatgroups/7" })
    end
    -- Nothing but the documented fields is taken.
    for _, field in ipairs { "headers", "host", "url", "base_url", "authorization", "token" } do
      refused("invalid", { method = "GET", path = "/chatgroups/7", [field] = "x" })
    end
    for _, name in ipairs { "access_token", "Access_Token", "_method", "client_secret", "" } do
      refused("invalid", { method = "GET", path = "/chatgroups/7", query = { [name] = "x" } })
    end
    refused("invalid", { method = "GET", path = "/chatgroups/7", body = {} }, "query")
    refused("invalid", { method = "POST", path = "/chatgroups/7", body = "{}" })
    refused("invalid", { method = "POST", path = "/chatgroups/7", body = { x = ("a"):rep(1100000) } })
    refused("invalid", { method = "GET", path = "/chatgroups/7", query = { x = ("a"):rep(9000) } })
    for _, number in ipairs { 0/0, 1/0, -1/0 } do
      refused("invalid", { method = "GET", path = "/chatgroups/7", query = { x = number } }, "NaN or infinite")
    end
    refused("invalid", { method = "GET", path = "/chatgroups/7", quota = "send" })
    refused("invalid", { method = "GET", path = "/chatgroups/7", quota = { per_second = 0 } })
    refused("invalid", { method = "GET", path = "/chatgroups/7", quota = { per_second = -1 } })
    refused("invalid", { method = "GET", path = "/chatgroups/7", quota = { per_second = 1e6 } })
    refused("invalid", { path = "/chatgroups/7" })
    refused("invalid", { method = "GET" })
    refused("denied", { method = "DELETE", path = "/chatgroups/7" }, "DELETE /chatgroups/7")
    refused("denied", { method = "PUT", path = "/chatgroups/7/users" }, "is not granted")
    refused("denied", { method = "GET", path = "/a/b/c/d/e" }, "is not granted")
    print(count)"#;
    let service = taking();
    let ran = project(script).run_against(&service).exits(0);
    assert!(ran.stdout.trim().parse::<u32>().unwrap() > 80, "{}", ran.stdout);
    assert_eq!(service.requests().len(), 0);

    let none = Project::with_script(r#"im.request { method = "GET", path = "/chatgroups/7" }"#);
    none.run_against(&service)
        .exits(1)
        .says("--allow-request=\"GET /chatgroups/7\"")
        .says("no call is granted");
    assert_eq!(service.requests().len(), 0);
    for bad in ["POST /messages/users", "GET /a/*b", "get /a", "GET /a//b"] {
        let flag = format!("--allow-request={bad}");
        none.mooncast(&["run", &flag, "scripts/main.lua"]).exits(2).says(bad.split(' ').next_back().unwrap());
        let settings = format!("[permissions]\nrequests = [\"{bad}\"]\n");
        none.write("mooncast.toml", settings);
        none.mooncast(&["run", "scripts/main.lua"]).exits(2).says("requests");
    }
}

#[test]
fn a_granted_call_is_made_below_the_prefix_with_the_apps_token() {
    let service = Service::answering(|_, request| {
        let echo = json!({ "data": [1, 2.5, null], "auth": request.header("authorization") });
        if request.method == "DELETE" {
            service::json(204, "")
        } else {
            service::json(201, &echo.to_string())
        }
    });
    let script = r#"
    local made = im.request {
      method = "POST", path = "/chatgroups/7,8/users/a@b:c", query = { b = true, a = "x y&=?#/%", c = 5 },
      body = { usernames = { "bob" }, deep = { n = 1 } }, timeout = 20,
    }
    print(made.status, made.body.data[2], made.body.auth)
    local gone = im.request { method = "DELETE", path = "/chatgroups/7/users/群组" }
    print(gone.status, gone.body)
    local read = im.request { method = "GET", path = "/chatgroups", quota = { per_second = 50 } }
    print(read.status)"#;
    let ran = project(script).run_against(&service).exits(0);
    assert_eq!(ran.stdout, "201\t2.5\tBearer [hidden]\n204\tnil\n201\n");
    let requests = service.requests();
    let seen = |request: &Request| format!("{} {}", request.method, request.path);
    assert_eq!(
        requests.iter().map(seen).collect::<Vec<_>>(),
        [
            "POST /org/app/chatgroups/7,8/users/a@b:c?a=x+y%26%3D%3F%23%2F%25&b=true&c=5",
            "DELETE /org/app/chatgroups/7/users/%E7%BE%A4%E7%BB%84",
            "GET /org/app/chatgroups",
        ]
    );
    assert_eq!(requests[0].json(), json!({ "usernames": ["bob"], "deep": { "n": 1 } }));
    for request in requests {
        assert_eq!(request.header("authorization"), Some("Bearer a-fixed-token"));
    }
}

#[test]
fn errors_have_the_fields_of_sends_and_never_the_token() {
    let service = Service::answering(|_, request| {
        let status = request.path.rsplit('/').next().unwrap().parse().unwrap();
        let leak = request.header("authorization").unwrap();
        let error = json!({ "error": format!("e {leak}"), "error_description": leak, "error_code": 7 });
        service::json(status, &error.to_string())
    });
    let script = r#"
    for _, status in ipairs { 400, 401, 403, 404, 409, 501, 302 } do
      local ok, e = pcall(im.request, { method = "POST", path = "/chatgroups/" .. status })
      print(status, e.kind, e.status, e.retryable, (tostring(e):gsub("\n", " ")))
    end"#;
    let ran = project(script).run_against(&service).exits(0);
    assert!(!ran.stdout.contains("a-fixed-token") && !ran.stderr.contains("a-fixed-token"), "{ran:?}");
    for status in [400, 403, 404, 409, 501, 302] {
        let line = ran.stdout.lines().find(|line| line.starts_with(&format!("{status}\t"))).unwrap();
        assert!(line.contains(&format!("rejected\t{status}\tfalse")), "{line}");
        assert!(line.contains(&format!("POST /chatgroups/{status}: refused")), "{line}");
        assert!(line.contains("scripts/main.lua:3"), "{line}");
    }
    assert!(ran.stdout.contains("401\tauth\t401"), "{}", ran.stdout);
}

#[test]
fn what_was_certainly_not_made_is_repeated_and_what_may_have_been_made_is_not() {
    let cases = [
        // The token is renewed once.
        ("POST", "", 401, "tokens", 2, "true\t200"),
        ("POST", "", 429, "fixed", 2, "true\t200"),
        ("GET", "", 429, "fixed", 2, "true\t200"),
        ("GET", "", 500, "fixed", 2, "true\t200"),
        ("POST", "", 500, "fixed", 1, "false\tin_doubt\t500"),
        ("PUT", "", 504, "fixed", 1, "false\tin_doubt\t504"),
        ("POST", "idempotent = true,", 500, "fixed", 2, "true\t200"),
    ];
    side_by_side(cases, |(method, more, status, login, calls, says)| {
        let called = AtomicUsize::new(0);
        let service = Service::answering(move |_, request| {
            if request.path.ends_with("/token") {
                return service::json(200, r#"{"access_token":"of-the-service","expires_in":9000}"#);
            }
            let is_first = called.fetch_add(1, Ordering::Relaxed) == 0;
            service::json(if is_first { status } else { 200 }, "{}")
        });
        let script = format!(
            r#"local ok, e = pcall(im.request, {{ {more} method = "{method}", path = "/chatgroups/7" }})
            print(ok, ok and e.status or e.kind, not ok and e.status)"#
        );
        let project = project(&script);
        let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
        if login == "tokens" {
            command.env_remove("MOONCAST_TOKEN").env("MOONCAST_CLIENT_ID", "an-id");
            command.env("MOONCAST_CLIENT_SECRET", "a-client-secret");
        }
        let ran = Ran::of(&command.output().unwrap()).prints(says);
        let made = service.requests().iter().filter(|one| !one.path.ends_with("/token")).count();
        assert_eq!(made, calls, "{method} {status}: {ran:?}");
        // A call in doubt is in the ledger, and the run does not count as delivered.
        let in_doubt = i64::from(says.contains("in_doubt"));
        ran.exits(if in_doubt == 1 { 3 } else { 0 });
        let recorded = project.in_store("SELECT count(*) FROM sends");
        assert_eq!(recorded, i64::from(method != "GET"), "{method} {status}");
        assert_eq!(project.in_store("SELECT count(*) FROM sends WHERE state = 4"), in_doubt);
    });
}

#[test]
fn a_path_with_a_401_of_its_own_costs_one_token_and_no_other_call() {
    let fetched = AtomicUsize::new(0);
    let service = Service::answering(move |_, request| {
        if request.path.ends_with("/token") {
            let number = fetched.fetch_add(1, Ordering::Relaxed);
            return service::json(200, &format!(r#"{{"access_token":"token-{number}","expires_in":9000}}"#));
        }
        if request.path.contains("/chatgroups/7/") {
            return service::json(401, r#"{"error":"unauthorized","error_description":"only the owner"}"#);
        }
        service::json(200, r#"{"data":{"1":"m1"}}"#)
    });
    let script = r#"
    local function refused(path)
      local ok, e = pcall(im.request, { method = "POST", path = path, body = { a = 1 } })
      assert(not ok and e.kind == "auth" and tostring(e):find(path, 1, true), tostring(e))
    end
    for i = 1, 12 do refused("/chatgroups/7/users") end
    im.group_send { to = "1", type = "txt", body = { msg = "sent" } }
    for i = 1, 12 do refused("/chatgroups/7/admin") end
    im.group_send { to = "1", type = "txt", body = { msg = "sent" } }
    print(im.request({ method = "POST", path = "/chatgroups/8/users" }).status)"#;
    let project = project(script);
    let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
    command.env_remove("MOONCAST_TOKEN").env("MOONCAST_CLIENT_ID", "an-id");
    command.env("MOONCAST_CLIENT_SECRET", "a-client-secret");
    Ran::of(&command.output().unwrap()).exits(0).prints("200");
    let count = |part: &str| service.requests().iter().filter(|one| one.path.contains(part)).count();
    assert_eq!((count("/token"), count("/messages"), count("/chatgroups/7/")), (2, 2, 25));
}

#[test]
fn the_audit_has_each_call_that_changes_something_and_no_other() {
    let service = Service::answering(|_, request| {
        service::json(if request.path.contains("/chatgroups/9") { 403 } else { 200 }, "{}")
    });
    let project = project(
        r#"
        im.request { method = "GET", path = "/chatgroups" }
        im.request { method = "POST", path = "/chatgroups/7/users", body = { usernames = { "the-body-of-it" } } }
        assert(not pcall(im.request, { method = "DELETE", path = "/chatgroups/9/users/bob" }))
        assert(not pcall(im.request, { method = "PUT", path = "/not/granted/at/all" }))
        "#,
    );
    let listed = || {
        let listed = project.command_against(&service, &["audit", "list", "--json"]).output().unwrap();
        let entries = Ran::of(&listed).exits(0).stdout;
        let entries = entries.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let requests = entries.filter(|entry| entry["act"] == "request");
        requests
            .map(|entry| {
                [&entry["actor"], &entry["kind"], &entry["object"]]
                    .map(|value| value.as_str().unwrap().to_owned())
            })
            .collect::<Vec<_>>()
    };
    Ran::of(&project.command_against(&service, &["rehearse", "scripts/main.lua"]).output().unwrap());
    project.run_against(&service).exits(0);
    let expected = ["POST /chatgroups/7/users", "DELETE /chatgroups/9/users/bob"]
        .map(|object| ["scripts/main.lua", "script", object].map(str::to_owned));
    assert_eq!(listed(), expected);
    assert!(!project.keeps("the-body-of-it"));
    let verify = project.command_against(&service, &["audit", "verify"]).output().unwrap();
    Ran::of(&verify).exits(0).prints("are whole");
}

#[test]
fn a_rehearsal_lists_calls_and_makes_none() {
    let script = r#"
    local added = im.request { method = "POST", path = "/chatgroups/184524748161025/users/bob" }
    print(added.status, added.rehearsed, next(added.body))
    local read = im.request { method = "GET", path = "/chatgroups/184524748161025" }
    print(read.status, read.rehearsed, read.body.data and read.body.data[1].name)"#;
    let project = project(script);
    let listed = "POST /chatgroups/184524748161025/users/bob (im.request)";
    let service = taking();
    let rehearse = |more: &[&str]| {
        let args = [&["rehearse"], more, &["scripts/main.lua"]].concat();
        Ran::of(&project.command_against(&service, &args).output().unwrap())
    };
    rehearse(&[])
        .exits(0)
        .prints("200\ttrue\tnil\n200\ttrue\tnil\n")
        .prints(listed)
        .prints("GET /chatgroups/184524748161025 (im.request)");
    assert_eq!(service.requests().len(), 0);
    let read = rehearse(&["--read-lists"]).exits(0).prints("200\tnil\tnil\n").prints(listed);
    assert!(!read.stdout.contains("GET /chatgroups"), "{}", read.stdout);
    let requests = service.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method, "GET");
    // A call that is not granted fails in a rehearsal too.
    project.write("mooncast.toml", "");
    rehearse(&[]).exits(1).prints("is not granted");
}

#[test]
fn a_run_makes_no_call_that_its_plan_does_not_have() {
    let script = |body: &str, more: &str| {
        format!(
            "im.request {{ method = 'PUT', path = '/chatgroups/7', body = {{ groupname = '{body}' }} }}\n{more}"
        )
    };
    let service = taking();
    let project = project(&script("a", ""));
    let run = |args: &[&str]| Ran::of(&project.command_against(&service, args).output().unwrap());
    let report: serde_json::Value =
        serde_json::from_str(&run(&["rehearse", "--json", "scripts/main.lua"]).exits(0).stdout).unwrap();
    let held = ["run", "--plan", report["plan"].as_str().unwrap(), "scripts/main.lua"];
    for (body, more) in [
        ("b", ""),
        ("a", "im.request { method = 'PUT', path = '/chatgroups/7', body = { groupname = 'a' } }"),
        ("a", "im.request { method = 'DELETE', path = '/chatgroups/7' }"),
        ("a", "im.request { method = 'PUT', path = '/chatgroups/7', query = { force = 'true' } }"),
    ] {
        let before = service.requests().len();
        project.write("scripts/main.lua", script(body, more));
        let ran = run(&held);
        assert!(ran.status != Some(0) && service.requests().len() == before, "{body} {more}: {ran:#?}");
    }
    project.write("scripts/main.lua", script("a", ""));
    run(&held).exits(0);
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn each_app_calls_its_own_service() {
    let (first, second) = (taking(), taking());
    let settings = format!(
        "{WIDE}\n[apps.second]\nbase_url = '{}'\norg = 'o2'\nname = 'a2'\ntoken = 'another-token'\n",
        second.url()
    );
    let script = r#"
    im.request { method = "POST", path = "/chatgroups" }
    im.app("second").request { method = "POST", path = "/chatrooms" }"#;
    let project = Project::with_script(script).file("mooncast.toml", settings);
    let mut command = project.command_against(&first, &["run", "scripts/main.lua"]);
    Ran::of(&command.output().unwrap()).exits(0);
    for (service, path, token) in
        [(first, "/org/app/chatgroups", "a-fixed-token"), (second, "/o2/a2/chatrooms", "another-token")]
    {
        let requests = service.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].path, path);
        assert_eq!(requests[0].header("authorization"), Some(format!("Bearer {token}").as_str()));
    }
}

#[test]
fn a_quota_of_its_own_does_not_wait_for_the_reads() {
    let script = r#"
    local task, tasks = require("task"), {}
    for i = 1, 60 do
      tasks[i] = function()
        return im.request { method = "POST", path = "/chatgroups", body = { owner = "o" }, quota = { per_second = 20 } }.status
      end
    end
    local began = os.time()
    task.all(tasks)
    print(os.time() - began)"#;
    let project = Project::with_script("").file("mooncast.toml", WIDE).file(
        "scripts/tests/quota_test.lua",
        format!(
            "local test = require('test')\ntest('paced', function(t)\n{}\nend)",
            script.replace(
                "print(os.time() - began)",
                "local took = os.time() - began; assert(took >= 2 and took <= 4, took)"
            )
        ),
    );
    project.mooncast(&["test"]).exits(0);
}

#[test]
fn the_top_level_of_a_job_s_script_and_a_test_only_run_make_no_call() {
    let service = taking();
    let top = r#"
    schedule.cron("@daily", { name = "job" }, function() print("ran") end)
    im.request { method = "GET", path = "/chatgroups" }"#;
    let declaring = project(top);
    let args = ["run", "scripts/main.lua", "--job", "job"];
    Ran::of(&declaring.command_against(&service, &args).output().unwrap())
        .exits(1)
        .says("the top level of a script only declares jobs here");
    let testing = project(r#"im.request { method = "POST", path = "/chatgroups" }"#);
    let args = ["run", "scripts/main.lua", "--test-only"];
    let ran = Ran::of(&testing.command_against(&service, &args).output().unwrap());
    ran.exits(1).says("im.request made no call: --test-only");
    // A check finds a call that is not granted, and makes none.
    let denied = Project::with_script(r#"im.request { method = "POST", path = "/chatgroups" }"#);
    let args = ["check", "scripts/main.lua"];
    let in_job = Project::with_script(
        r#"function main() im.request { method = "DELETE", path = "/chatgroups/7/users/bob" } end"#,
    );
    let ran = Ran::of(&in_job.command_against(&service, &args).output().unwrap()).exits(1);
    ran.prints("DELETE /chatgroups/7/users/bob is not granted");
    in_job.write("mooncast.toml", WIDE);
    Ran::of(&in_job.command_against(&service, &args).output().unwrap()).exits(0);
    Ran::of(&denied.command_against(&service, &args).output().unwrap()).exits(1).prints("is not granted");
    assert_eq!(service.requests().len(), 0);
}
