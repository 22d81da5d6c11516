//! Groups that are looked up before messages are sent to them: `im.group` and `preflight`.
//!
//! On a server: in the soak

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::service::{self, Request, Service};
use crate::support::{Project, Ran};
use crate::web::{Site, request};

const SETTINGS: &str = "[app.limits]\nread_per_second = 10000\ngroup_per_second = 10000\n";

/// The ids that a request for details names.
fn asked(request: &Request) -> Option<Vec<String>> {
    let (_, ids) = request.path.split_once("/chatgroups/")?;
    (request.method == "GET").then(|| ids.split(',').map(str::to_owned).collect())
}

/// A service in which groups are missing whose ids end in 7, disabled in 8, muted in 9; ids that begin with 5 have 5,000
/// members, and all others 300.
fn groups() -> Service {
    Service::answering(|count, request| {
        let Some(ids) = asked(request) else { return service::accept(count, request) };
        let details = |id: &String| {
            let members = if id.starts_with('5') { 5000 } else { 300 };
            json!({
                "id": id, "name": format!("Group {id}"), "owner": "boss", "affiliations_count": members, "maxusers": 5000,
                "disabled": id.ends_with('8'), "mute": id.ends_with('9'),
            })
        };
        if ids.iter().all(|id| id.ends_with('7')) {
            return service::json(404, r#"{"error":"service_resource_not_found"}"#);
        }
        // Missing groups are left out, or have a text in their place.
        let data: Vec<Value> = ids
            .iter()
            .filter(|id| !id.ends_with("77"))
            .map(|id| if id.ends_with('7') { json!("group id doesn't exist") } else { details(id) })
            .collect();
        service::json(200, &json!({ "data": data }).to_string())
    })
}

fn project(script: &str) -> Project {
    Project::with_script(script).file("mooncast.toml", SETTINGS)
}

/// A place of the page, in English.
fn page(site: &Site, path: &str) -> String {
    let bearer = format!("Bearer {}", site.operate);
    let headers = [("authorization", bearer.as_str()), ("accept-language", "en")];
    request(&site.address, &format!("GET {path}"), &headers, b"").body
}

fn calls(service: &Service) -> Vec<usize> {
    service.requests().iter().filter_map(asked).map(|ids| ids.len()).collect()
}

#[test]
fn a_group_is_read_by_its_id_and_many_a_hundred_a_call() {
    let script = r#"
    local one = im.group(101)
    print(one.group_id, one.name, one.owner, one.members, one.muted, one.disabled)
    print(im.group("109").muted, im.group("108").disabled, im.group("107"), im.group("107 "))
    print(next(im.group({})), next(im.group({ "107", "177" })))
    local ids = {}
    for i = 1, 250 do ids[i] = 1000 + i end
    local found, count = im.group(ids), 0
    for id, group in pairs(found) do
      assert(id == group.group_id and not id:find("7$"), id)
      count = count + 1
    end
    print(count, found["1001"].name, found["1007"])
    for _, bad in ipairs { "a,b", "../x", "", true, 1.5 } do
      local ok, e = pcall(im.group, bad)
      print(ok, e.kind)
    end"#;
    let service = groups();
    let ran = project(script).run_against(&service).exits(0);
    let refused = "false\tinvalid\n".repeat(5);
    assert_eq!(
        ran.stdout,
        format!(
            "101\tGroup 101\tboss\t300\tfalse\tfalse\ntrue\ttrue\tnil\tnil\nnil\tnil\n225\tGroup 1001\tnil\n{refused}"
        )
    );
    // Two missing groups in one call were told apart by one call each. The last three calls run side by side.
    let mut calls = calls(&service);
    calls[8..].sort_unstable();
    assert_eq!(calls, [1, 1, 1, 1, 1, 2, 1, 1, 50, 100, 100]);
}

#[test]
fn a_hundred_thousand_groups_are_a_thousand_calls() {
    let script = r"
    local ids, count = {}, 0
    for i = 1, 100000 do ids[i] = 1000000 + i end
    for _ in pairs(im.group(ids)) do count = count + 1 end
    print(count)";
    let service = groups();
    project(script).run_against(&service).exits(0).prints("90000\n");
    let calls = calls(&service);
    let lost = calls.iter().filter(|ids| **ids != 100).count();
    assert_eq!((calls.len(), lost), (1000, 0));
    assert!(service.requests().iter().all(|request| !request.path.contains('?')), "the list was read");
}

/// A broadcast to these groups that looks them up.
fn broadcast(groups: &str) -> String {
    format!(
        r#"im.broadcast {{ name = "news", to = {{ {groups} }}, preflight = true,
          message = {{ type = "txt", need_group_ack = true, body = {{ msg = "x" }} }} }}"#
    )
}

#[test]
fn a_preflight_refuses_groups_that_get_nothing_and_warns_of_others() {
    let service = groups();
    let project = project(&broadcast("101, 107, 108, 109, 5001"));
    project
        .run_against(&service)
        .exits(1)
        .says("1 group does not exist (107)")
        .says("1 group is disabled (108)")
        .says("nothing of broadcast `news` was sent");
    assert_eq!(service.messages().len(), 0);
    assert_eq!(calls(&service), [5]);

    // The same broadcast is planned again, and sent once its audience is clean.
    project.write("scripts/main.lua", broadcast("101, 109, 5001"));
    project
        .run_against(&service)
        .exits(0)
        .says("1 group is muted (109)")
        .says("3 groups have more than 200 members, so `need_group_ack` brings no receipts")
        .says("1 group has more than 3,000 members, who get no push notification (5001)");
    assert_eq!(service.messages().len(), 3);
    // What has ended is not looked up again.
    project.run_against(&service).exits(0);
    assert_eq!(calls(&service), [5, 3]);
}

#[test]
fn a_preflight_looks_only_at_what_will_be_sent_to() {
    let service = groups();
    let plain = |name: &str, groups: &str, more: &str| {
        format!(
            r#"im.broadcast {{ name = "{name}", to = {{ {groups} }}, {more} message = {{ type = "txt", body = {{ msg = "x" }} }} }}"#
        )
    };
    let script = plain("first", "107, 108", "")
        + &plain("second", "101, 107, 108", "preflight = true, exclude = { broadcast = 'first' },");
    project(&script).run_against(&service).exits(0);
    assert_eq!(calls(&service), [1]);
    // Users and rooms cannot be looked up.
    for kind in ["user", "room"] {
        let script = plain("x", "1", &format!("preflight = true, kind = '{kind}',"));
        project(&script).run_against(&service).exits(1).says("`preflight` looks up groups");
    }
}

#[test]
fn a_rehearsal_looks_groups_up_only_where_it_may() {
    let service = groups();
    let project = project(&broadcast("101, 107"));
    let rehearse = |more: &[&str]| {
        let args = [&["rehearse"], more, &["scripts/main.lua"]].concat();
        Ran::of(&project.command_against(&service, &args).output().unwrap())
    };
    rehearse(&[]).exits(0).says("its groups were not looked up").says("--read-lists");
    assert_eq!(service.requests().len(), 0);
    rehearse(&["--read-lists"]).exits(3).prints("1 group does not exist (107)");
    assert_eq!(calls(&service), [2]);
    assert_eq!(service.messages().len(), 0);
}

#[test]
fn a_rehearsal_of_the_page_looks_the_groups_up() {
    let service = groups();
    let script = r#"function main(args)
      for id in args[1]:gmatch("%d+") do
        im.group_send { to = id, type = "txt", body = { msg = "hi" }, need_group_ack = id == "502" }
      end
      print(im.group("101").name)
    end"#;
    let site = Site::of_against(project(script), &service);
    site.until("/scripts", |scripts| scripts[0]["script"]["version"].is_string());
    let rehearsed = |ids: &str| {
        let answer = site.post("/scripts/rehearse", &json!({ "script": "main.lua", "args": [ids] }));
        let id = answer.json()["id"].as_i64().unwrap();
        site.until(&format!("/rehearsals/{id}"), |found| found["state"] != "running")
    };
    let found = rehearsed("101 107 108 109 501 502");
    let targets = &found["report"]["targets"];
    assert_eq!(targets["groups_checked"], 6, "{found}");
    for (list, id) in [
        ("missing_groups", "107"),
        ("disabled_groups", "108"),
        ("muted_groups", "109"),
        ("large_receipt_groups", "502"),
    ] {
        assert_eq!(targets[list], json!({ "total": 1, "listed": [id] }), "{list}");
    }
    assert_eq!(targets["groups_without_push"]["total"], 2);
    assert_eq!(targets["members_checked"], 0);
    let shown = page(&site, &format!("/rehearsals/{}", found["id"]));
    for text in [
        "Groups that do not exist (1): 107",
        "Disabled groups (1): 108",
        "Muted groups (1): 109",
        "push notification (2): 501, 502",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let found = rehearsed("101 102");
    assert!(found["plan"].is_string(), "{found}");
    assert!(
        page(&site, &format!("/rehearsals/{}", found["id"]))
            .contains("2 groups were looked up at the service.")
    );
    assert!(service.messages().is_empty());
    site.serving.stop().exits(0);
}

#[test]
fn an_approver_sees_what_the_lookup_found() {
    let service = groups();
    let script = r#"im.broadcast { name = "a", preflight = true, to = { "101", "109", "501" },
      message = { from = "news", type = "txt", body = { msg = "hi" } } }"#;
    let settings = format!("{SETTINGS}[approval]\nover = 2\n");
    let project = Project::with_script(script).file("mooncast.toml", settings);
    let mut ran = Project::start(project.command_against(&service, &["run", "scripts/main.lua"]));
    let site = Site::of_against(project, &service);
    let waits = site.until("/broadcasts/1", |page| page["broadcast"]["state"] == "awaiting_approval");
    let outlook = &waits["outlook"];
    assert_eq!(outlook["preflight"], true, "{waits}");
    let warning = |kind: &str, id: &str| json!({ "kind": kind, "total": 1, "first": [id] });
    let found = json!({ "groups": 3, "warnings": [warning("muted", "109"), warning("no_push", "501")] });
    assert_eq!(outlook["targets"], found);
    let shown = site.project.mooncast(&["runs", "show", "1"]).exits(0);
    shown.prints("groups looked up before: 3").prints("muted groups (1): 109");
    assert!(page(&site, "/broadcasts/1").contains("Muted groups"));
    ran.kill().unwrap();
    ran.wait().unwrap();
    site.serving.stop().exits(0);
}

/// A service with groups of 300 members, and how it answers lookups: well (0), with a refusal (1), or as if group 103 did not
/// exist and 104 were disabled (2).
fn changing_groups() -> (Service, Arc<AtomicUsize>) {
    let mode = Arc::new(AtomicUsize::new(0));
    let of_service = Arc::clone(&mode);
    let service = Service::answering(move |count, request| {
        let Some(ids) = asked(request) else { return service::accept(count, request) };
        let mode = of_service.load(Ordering::SeqCst);
        if mode == 1 {
            return service::json(403, r#"{"error":"forbidden_op","error_description":"not now"}"#);
        }
        let details = |id: &String| match id.as_str() {
            "103" if mode == 2 => json!("group id doesn't exist"),
            id => {
                json!({ "id": id, "owner": "boss", "affiliations_count": 300, "disabled": mode == 2 && id == "104" })
            }
        };
        service::json(200, &json!({ "data": ids.iter().map(details).collect::<Vec<_>>() }).to_string())
    });
    (service, mode)
}

/// A daemon whose broadcast to 101 to 104 waits for an approval after its groups were looked up.
fn waiting_site(service: &Service) -> Site {
    let script = r#"function main() im.broadcast { name = "news", preflight = true, to = { "101", "102", "103", "104" },
      message = { from = "news", type = "txt", body = { msg = "hi" } } } end"#;
    let project =
        Project::with_script(script).file("mooncast.toml", format!("{SETTINGS}[approval]\nover = 2\n"));
    let ann = crate::approval::token(&project, "ann", &["--role", "operator"]);
    let site = Site::of_against(project, service);
    crate::approval::post(&site, "/scripts/run", &ann, &json!({ "script": "main.lua" }));
    crate::approval::awaited(&site);
    site
}

#[test]
fn a_broadcast_that_is_resumed_by_hand_looks_its_groups_up_again() {
    let (service, mode) = changing_groups();
    let Site { project, serving, .. } = waiting_site(&service);
    assert_eq!(calls(&service), [4]);
    serving.kill();
    project.wait_for_death();
    let run = |args: &[&str]| Ran::of(&project.command_against(&service, args).output().unwrap());
    run(&["runs", "approve", "news"]).exits(0);
    // Without the lookup nothing is sent.
    mode.store(1, Ordering::SeqCst);
    run(&["runs", "resume", "news"]).exits(3).prints("its groups could not be looked up again");
    assert_eq!(service.messages().len(), 0);
    mode.store(2, Ordering::SeqCst);
    run(&["runs", "resume", "news"])
        .exits(0)
        .says("1 group does not exist (103); 1 group is disabled (104); no message is sent there");
    let mut to: Vec<Value> = service.messages().iter().map(|message| message["to"][0].clone()).collect();
    to.sort_by_key(ToString::to_string);
    assert_eq!(to, ["101", "102"]);
    assert_eq!(calls(&service), [4, 4, 4]);
    let exported = run(&["runs", "export", "news"]).exits(0).stdout;
    for (group, state, why) in [
        ("101", "sent", ""),
        ("103", "skipped", "the group does not exist"),
        ("104", "skipped", "the group is disabled"),
    ] {
        let line = exported.lines().find(|line| line.split(',').nth(1) == Some(group)).unwrap();
        assert!(line.contains(state) && line.contains(why), "{line}");
    }
    // It has ended, and is not looked up any more.
    run(&["runs", "resume", "news"]).exits(0).prints("nothing is left to send");
    assert_eq!(calls(&service), [4, 4, 4]);
}

#[test]
fn a_broadcast_that_a_daemon_resumes_looks_its_groups_up_again() {
    let (service, mode) = changing_groups();
    let Site { project, serving, .. } = waiting_site(&service);
    serving.kill();
    project.wait_for_death();
    mode.store(2, Ordering::SeqCst);
    let bob = crate::approval::token(&project, "bob", &["--role", "approver"]);
    let site = Site::of_against(project, &service);
    let found =
        site.until("/broadcasts/1", |page| page["outlook"]["targets"]["warnings"][1]["kind"] == "disabled");
    let warning = |kind: &str, id: &str| json!({ "kind": kind, "total": 1, "first": [id] });
    assert_eq!(
        found["outlook"]["targets"],
        json!({ "groups": 4, "warnings": [warning("missing", "103"), warning("disabled", "104")] })
    );
    assert!(page(&site, "/broadcasts/1").contains("Groups that do not exist"));
    let broadcast = crate::approval::awaited(&site);
    assert_eq!(crate::approval::approve(&site, &broadcast, &bob).status, 200);
    let page = site.until("/broadcasts/1", |page| page["broadcast"]["state"] == "finished");
    assert_eq!(
        (&page["broadcast"]["counts"]["sent"], &page["broadcast"]["counts"]["skipped"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(service.messages().len(), 2);
    assert_eq!(calls(&service), [4, 4]);
    site.serving.stop().exits(0);
}

#[test]
fn a_rehearsal_that_looks_groups_up_uses_the_token_of_the_runs() {
    let service = Service::answering(|count, request| {
        if request.path.ends_with("/token") {
            return service::json(200, r#"{"access_token":"of-the-service","expires_in":9000}"#);
        }
        let Some(ids) = asked(request) else { return service::accept(count, request) };
        let data: Vec<Value> = ids.iter().map(|id| json!({ "id": id, "affiliations_count": 3 })).collect();
        service::json(200, &json!({ "data": data }).to_string())
    });
    let project = project("im.group_send { to = '1', type = 'txt', body = { msg = 'hello' } }");
    let mooncast = |args: &[&str]| {
        let mut command = project.command_against(&service, args);
        command.env_remove("MOONCAST_TOKEN").env("MOONCAST_CLIENT_ID", "an-id");
        command.env("MOONCAST_CLIENT_SECRET", "a-client-secret");
        Ran::of(&command.output().unwrap()).exits(0);
    };
    mooncast(&["run", "scripts/main.lua"]);
    for _ in 0..3 {
        mooncast(&["rehearse", "--check-targets", "scripts/main.lua"]);
    }
    let fetched = service.requests().iter().filter(|one| one.path.ends_with("/token")).count();
    // On a server the token of the runs is in the ledger, and a rehearsal has a copy of that: it fetches its own.
    let expected = if crate::support::store::server().is_some() { 4 } else { 1 };
    assert_eq!((fetched, calls(&service).len()), (expected, 3));
}
