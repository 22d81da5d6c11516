//! `im.announce`: its permission, its limits across processes and restarts, and what is in doubt.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::support::service::{Request, Service, json as answer};
use crate::support::{Project, Ran, side_by_side};

const BOTH: &str = "[permissions]\nannounce = [\"all\", \"online\"]\n";

const ALL: &str =
    r#"print(im.announce({ to = "all", type = "txt", body = { msg = "maintenance at 9" } }, nil))"#;

fn accept(count: usize, _: &Request) -> Vec<u8> {
    answer(200, &format!(r#"{{"data":{{"id":"12345678901234567{count}"}}}}"#))
}

fn service() -> Service {
    Service::answering(accept)
}

fn granted(script: &str) -> Project {
    Project::with_script(script).file("mooncast.toml", BOTH)
}

#[test]
fn an_announcement_arrives_as_the_service_documents_it() {
    let service = service();
    granted(
        r#"
        print(im.announce { to = "all", from = "ops", type = "txt", body = { msg = "hi" }, ext = { a = 1 } })
        im.announce { to = "online", type = "custom", body = { customEvent = "gift", customExts = { b = "2" } } }
        "#,
    )
    .run_against(&service)
    .exits(0)
    .prints("123456789012345670\n")
    .says("made 2 announcements");
    let requests = service.requests();
    let sent: Vec<(&str, Value)> =
        requests.iter().map(|request| (request.path.as_str(), request.json())).collect();
    assert_eq!(
        sent,
        [
            (
                "/org/app/messages/broadcast",
                json!({
                    "target_type": "users", "from": "ops", "msg": { "type": "txt", "msg": "hi" },
                    "ext": { "a": 1 },
                }),
            ),
            (
                "/org/app/messages/users/broadcast",
                json!({ "msg": { "type": "custom", "customEvent": "gift", "customExts": { "b": "2" } } }),
            ),
        ]
    );
}

#[test]
fn each_kind_of_users_needs_its_own_permission() {
    let service = service();
    let project = Project::with_script(
        r#"for _, to in ipairs { "all", "online" } do
          local ok, e = pcall(im.announce, { to = to, type = "txt", body = { msg = "x" } })
          print(to, ok or e.kind, ok or e.message)
        end"#,
    );
    project
        .run_against(&service)
        .exits(0)
        .prints("all\tdenied\t")
        .prints("`[permissions] announce = [\"all\"]` or --allow-announce=all")
        .prints("online\tdenied\t");
    project.write("mooncast.toml", "[permissions]\nannounce = [\"online\"]\n");
    project.run_against(&service).exits(0).prints("all\tdenied\t").prints("online\ttrue\t");
    let mut command = project.command_against(&service, &["run", "--allow-announce=all", "scripts/main.lua"]);
    Ran::of(&command.output().unwrap()).exits(3).prints("all\ttrue\t").prints("online\tthrottled\t");
    let paths: Vec<String> = service.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/org/app/messages/users/broadcast", "/org/app/messages/broadcast"]);
    project.write("mooncast.toml", "[permissions]\nannounce = [\"everyone\"]\n");
    project.run_against(&service).exits(2).says("expected `all` or `online`");
}

#[test]
fn the_check_finds_an_announcement_without_its_permission() {
    let project = Project::with_script(
        "local function main()\n  im.announce { to = \"all\", type = \"txt\", body = { msg = \"x\" } }\nend\n",
    );
    project
        .mooncast(&["check"])
        .exits(1)
        .prints("main.lua:2:")
        .prints("an announcement to all users is not granted")
        .prints("[permissions] announce = [\"all\"]");
    project.write("mooncast.toml", BOTH);
    project.mooncast(&["check"]).exits(0);
    // What the linter cannot read, the check finds when it runs the script.
    project.write(
        "scripts/main.lua",
        "im.announce({ to = (\"on\" .. \"line\"), type = \"txt\", body = { msg = \"x\" } })",
    );
    project.write("mooncast.toml", "");
    project
        .mooncast(&["check"])
        .exits(1)
        .prints("an announcement to the users who are online is not granted");
    project.write(
        "scripts/main.lua",
        "im.announce { to = \"everyone\", type = \"txt\", body = { msg = \"x\" } }",
    );
    project.mooncast(&["check"]).exits(1).prints("`to` must be \"all\" or \"online\", not \"everyone\"");
}

#[test]
fn a_restart_does_not_forget_the_half_hour() {
    let service = service();
    let project = granted(ALL);
    project.run_against(&service).exits(0);
    for _ in 0..2 {
        project
            .run_against(&service)
            .exits(1)
            .says("announcements to all users: used 1 of 3 today (UTC), next possible at 20")
            .says("`wait = true`");
    }
    assert_eq!(service.requests().len(), 1);
    // Announcements to those online have limits of their own.
    project.write("scripts/main.lua", ALL.replace("\"all\"", "\"online\""));
    project.run_against(&service).exits(0);
    // The end counts, not the beginning.
    project.run_in_store(
        "UPDATE announcements SET ended_at = ended_at - 1500000, began_at = began_at - 3600000",
    );
    project.write("scripts/main.lua", ALL);
    project.run_against(&service).exits(1).says("next possible at");
    project.run_in_store("UPDATE announcements SET ended_at = ended_at - 300001");
    project.run_against(&service).exits(0);
    assert_eq!(service.requests().len(), 3);
}

#[test]
fn a_restart_does_not_forget_the_number_of_the_day() {
    let service = service();
    let project = granted(&ALL.replace("\"all\"", "\"online\""))
        .file("mooncast.toml", format!("[app.limits]\nannounce_online_per_day = 1\n{BOTH}"));
    project.run_against(&service).exits(0);
    project
        .run_against(&service)
        .exits(1)
        .says("announcements to the users who are online: used 1 of 1 today (UTC)")
        .says("T00:00:00Z");
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn of_several_processes_at_once_one_announces() {
    let service = service();
    let project = granted(ALL);
    // The store is made before they start.
    project.write("scripts/first.lua", "require('store').set('a', 1)");
    project.mooncast(&["run", "--simulator", "scripts/first.lua"]);
    let start = || {
        let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let started: Vec<Child> = (0..4).map(|_| start()).collect();
    let ended: Vec<Ran> =
        started.into_iter().map(|child| Ran::of(&child.wait_with_output().unwrap())).collect();
    let statuses: Vec<i32> = ended.iter().filter_map(|ran| ran.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 0).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 1).count(), 3, "{statuses:?}");
    for refused in ended.into_iter().filter(|ran| ran.status == Some(1)) {
        refused.says("used 1 of 3 today (UTC)");
    }
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn the_hosts_of_a_store_share_one_count() {
    if crate::support::store::server().is_none() {
        return;
    }
    let service = service();
    let one = granted(ALL);
    let other = one.beside().file("scripts/main.lua", ALL).file("mooncast.toml", BOTH);
    one.run_against(&service).exits(0);
    other.run_against(&service).exits(1).says("used 1 of 3 today (UTC)");
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn a_wait_ends_with_its_timeout_and_nothing_is_sent() {
    let service = service();
    granted(
        r#"
        local function announce(options)
          return im.announce({ to = "online", type = "txt", body = { msg = "x" } }, options)
        end
        announce()
        local ok, e = pcall(announce, { wait = true, timeout = 0.2 })
        print(ok, e.kind)
        "#,
    )
    .run_against(&service)
    .exits(3)
    .prints("false\tcancelled\n");
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn a_crash_leaves_an_announcement_in_doubt_and_it_counts() {
    let points = [
        ("before-intent:1", 0, false),
        ("after-intent:1", 0, true),
        ("after-request:1", 1, true),
        ("before-outcome:1", 1, true),
    ];
    side_by_side(points, |(point, sent, doubt)| {
        let service = service();
        let project = granted(ALL);
        let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
        let output = command.env("MOONCAST_FAIL_POINT", point).output().unwrap();
        assert_eq!(output.status.signal(), Some(6), "{point}: {output:?}");
        assert_eq!(service.requests().len(), sent, "{point}");
        if crate::support::store::server().is_some() {
            project.wait_for_death();
        }
        let again = project.run_against(&service).exits(1).says("used 1 of 3 today (UTC)");
        assert_eq!(service.requests().len(), sent, "{point}");
        if doubt {
            again.says("may have been sent");
            let listed = project.mooncast(&["runs", "list"]).exits(0);
            listed.prints("1 single send is in doubt").prints("all users");
        }
    });
}

#[test]
fn an_announcement_in_doubt_is_not_made_again() {
    let service = Service::answering(|_, _| answer(500, "{}"));
    let project = granted(
        r#"local ok, e = pcall(im.announce, { to = "all", type = "txt", body = { msg = "x" } }, { once = "k" })
        print(ok, e.kind)"#,
    );
    for _ in 0..2 {
        project.run_against(&service).exits(3).prints("false\tin_doubt\n");
    }
    assert_eq!(service.requests().len(), 1);
    assert_eq!(project.in_store("SELECT count(*) FROM announcements"), 1);
}

#[test]
fn a_key_makes_an_announcement_once() {
    let service = service();
    let script = ALL.replace("nil", "{ once = \"k\" }");
    let project = granted(&script);
    let first = project.run_against(&service).exits(0);
    let second = project.run_against(&service).exits(0);
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn what_the_service_refuses_does_not_count() {
    let refused = [
        (
            429,
            r#"{"error":"reach_limit","error_description":"This request has reached api limit"}"#,
            "throttled",
        ),
        (
            403,
            r#"{"error":"forbidden_op","error_description":"broadcast message limit exceeded"}"#,
            "throttled",
        ),
        (
            403,
            r#"{"error":"forbidden_op","error_description":"message broadcast service is unopened"}"#,
            "rejected",
        ),
        (401, r#"{"error":"unauthorized","error_description":"Unable to authenticate"}"#, "auth"),
    ];
    side_by_side(refused, |(status, body, kind)| {
        let service =
            Service::answering(
                move |count, request| {
                    if count == 0 { answer(status, body) } else { accept(count, request) }
                },
            );
        let project = granted(
            r#"local ok, e = pcall(im.announce, { to = "all", type = "txt", body = { msg = "x" } })
            print(ok, ok or e.kind, ok or e.message)"#,
        );
        let first = project.run_against(&service).prints(&format!("false\t{kind}\t"));
        match (status, kind) {
            (_, "throttled") => first.prints("another program has announced with this app too"),
            (401, _) => first.prints("check the app's credentials"),
            _ => first.prints("have the service switch on broadcasts"),
        };
        project.run_against(&service).exits(0).prints("true\ttrue");
        assert_eq!(service.requests().len(), 2, "{kind}");
    });
}

#[test]
fn an_announcement_is_neither_recalled_nor_edited_nor_broadcast() {
    let service = service();
    granted(
        r#"
        local id = im.announce { to = "all", type = "txt", body = { msg = "x" } }
        print(select(2, pcall(im.recall, id)).message)
        print(select(2, pcall(im.edit, id, { body = { msg = "y" } })).message)
        print(select(2, pcall(im.recall, { all = id }, { kind = "announce" })).message)
        print(select(2, pcall(im.broadcast, { name = "x", kind = "announce", to = { 1 }, message = {} })).message)
        print(select(2, pcall(im.announce, { to = "all", users = { "a" }, type = "txt", body = { msg = "x" } })).message)
        print(im.check({ to = "online", type = "txt", body = { msg = "x" } }, "announce"))
        print(im.check({ to = "184524748161025", type = "txt", body = { msg = "x" } }, "announce"))
        "#,
    )
    .run_against(&service)
    .exits(0)
    .prints("an announcement cannot be recalled")
    .prints("an announcement cannot be edited")
    .prints("must be one of group, targeted, user, room, not \"announce\"")
    .prints("`users` is not a field of an announcement")
    .prints("true\n");
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn a_rehearsal_says_how_many_were_used() {
    let service = service();
    let project = granted(ALL);
    let rehearse = |args: &[&str]| {
        let args = [&["rehearse", "scripts/main.lua"], args].concat();
        Ran::of(&project.command_against(&service, &args).output().unwrap())
    };
    rehearse(&[])
        .exits(0)
        .prints("Announcements, which cannot be recalled")
        .prints("to all users: used 0 of 3 today (UTC) before it; another one is possible at 20");
    let report = rehearse(&["--json"]).exits(0);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["announcements"][0]["to"], "all");
    assert_eq!(report["announcements"][0]["used"], 1);
    assert_eq!(report["announcements"][0]["per_day"], 3);
    assert_eq!(report["apps"][0]["announcements"], 1);
    assert_eq!(service.requests().len(), 0);
    project.run_against(&service).exits(0);
    let refused = rehearse(&[]).exits(1).prints("used 1 of 3 today (UTC), next possible at 20");
    // Half an hour before midnight, one that waits is one of the next day.
    let next = refused.stdout.split("next possible at ").nth(1).unwrap();
    let next: jiff::Timestamp =
        next.split_whitespace().next().unwrap().trim_end_matches(['.', ',', ';']).parse().unwrap();
    let day = |at: jiff::Timestamp| at.to_zoned(jiff::tz::TimeZone::UTC).date();
    let used = usize::from(day(next) == day(next - jiff::SignedDuration::from_mins(30)));
    project.write("scripts/main.lua", ALL.replace("nil", "{ wait = true }"));
    rehearse(&[]).exits(0).prints(&format!("to all users: used {used} of 3 today (UTC) before it"));
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn a_run_that_is_held_to_a_plan_announces_only_what_was_rehearsed() {
    let service = service();
    let project = granted(ALL);
    let command = |args: &[&str]| Ran::of(&project.command_against(&service, args).output().unwrap());
    let rehearsed = command(&["rehearse", "scripts/main.lua"]).exits(0);
    let plan =
        rehearsed.stdout.split("--plan ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    project.write("scripts/main.lua", ALL.replace("at 9", "at 8"));
    command(&["run", "--plan", &plan, "scripts/main.lua"]).exits(2);
    assert_eq!(service.requests().len(), 0);
    project.write("scripts/main.lua", ALL);
    command(&["run", "--plan", &plan, "scripts/main.lua"]).exits(0);
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn each_app_has_limits_of_its_own() {
    let script = r#"
        im.announce { to = "all", type = "txt", body = { msg = "x" } }
        im.app("other").announce { to = "all", type = "txt", body = { msg = "x" } }
        print(select(2, pcall(im.app("other").announce, { to = "all", type = "txt", body = { msg = "x" } })).kind)
    "#;
    let service = service();
    let other = format!(
        "{BOTH}[apps.other]\nbase_url = \"{}\"\norg = \"org\"\nname = \"other\"\ntoken = \"t\"\n",
        service.url()
    );
    let project = Project::with_script(script).file("mooncast.toml", other);
    project.run_against(&service).exits(3).prints("throttled\n");
    let paths: Vec<String> = service.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/org/app/messages/broadcast", "/org/other/messages/broadcast"]);
}

#[test]
fn tests_in_lua_play_both_limits() {
    Project::new()
        .file("mooncast.toml", BOTH)
        .file(
            "scripts/tests/main.lua",
            r#"local test, task, datetime = require("test"), require("task"), require("datetime")
            local function announce(to, options)
              return im.announce({ to = to, type = "txt", body = { msg = "x" } }, options)
            end
            test("three a day, half an hour apart", function(t)
              test.expect(type(announce("all"))).to_equal("string")
              local ok, failure = pcall(announce, "all")
              test.expect(ok).to_equal(false)
              test.expect(failure.kind).to_equal("throttled")
              test.expect(failure.retryable).to_equal(true)
              for _ = 1, 4 do announce("all", { wait = true }) end
              test.expect(#t.sent("announcement:all")).to_equal(5)
            end)
            test("one a minute for those online", function(t)
              for _ = 1, 3 do announce("online", { wait = true }) end
              test.expect(pcall(announce, "online")).to_equal(false)
              task.sleep("1m")
              announce("online")
              test.expect(#t.sent("announcement:online")).to_equal(4)
            end)
            "#,
        )
        .mooncast(&["test"])
        .exits(0)
        .prints("2 tests passed");
}

#[test]
fn the_simulator_plays_announcements() {
    let project = granted(ALL);
    project.run_simulated().exits(0).says("made 1 announcement");
    project.run_simulated().exits(1).says("used 1 of 3 today (UTC)");
}
