//! The API's views and actions.
//!
//! On a server: in the soak

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::Site;
use crate::support::service::{Service, accept, json as json_answer};
use crate::support::store::server;

/// A job that sends a broadcast to 150 groups on request, with a slow quota.
const NEWS: &str = "local schedule = require('schedule')
schedule.every('24h', { name = 'news' }, function()
  local to = {}
  for n = 1, 150 do to[n] = tostring(1000 + n) end
  im.broadcast { name = 'news', run = '1', to = to, message = { from = 'a', type = 'txt', body = { msg = 'hi' } } }
end)";

fn state(site: &Site, id: i64) -> String {
    site.json(&format!("/broadcasts/{id}"))["broadcast"]["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_broadcast_is_watched_steered_and_exported() {
    let site = Site::start(NEWS);
    let asked = site.ask("POST /jobs/news/trigger");
    assert_eq!(asked.status, 200, "{asked:?}");
    assert!(asked.json()["run"].is_string(), "{asked:?}");
    site.until("/broadcasts", |page| page["broadcasts"][0]["counts"]["sent"].as_u64() >= Some(1));
    assert_eq!(site.ask("POST /broadcasts/1/pause").status, 200);
    site.until("/broadcasts/1", |one| {
        one["broadcast"]["state"] == "paused" && one["broadcast"]["counts"]["sending"] == 0
    });
    let shown = site.json("/broadcasts/1");
    assert_eq!(shown["broadcast"]["state"], "paused");
    assert_eq!(shown["broadcast"]["waits_for"]["kind"], "resume");
    let acts: BTreeSet<&str> =
        shown["acts"].as_array().unwrap().iter().map(|act| act.as_str().unwrap()).collect();
    assert_eq!(acts, BTreeSet::from(["resume", "cancel", "recall"]));
    for (filter, found) in [("paused", 1), ("unfinished", 1), ("ready", 0), ("over", 0), ("finished", 0)] {
        let page = site.json(&format!("/broadcasts?state={filter}"));
        assert_eq!(page["broadcasts"].as_array().unwrap().len(), found, "{filter}");
    }
    let overview = site.json("/overview");
    assert_eq!(overview["broadcasts"][0]["name"], "news");
    assert_eq!(overview["simulator"], server().is_none());

    assert_eq!(site.ask("POST /broadcasts/1/resume").status, 200);
    site.until("/broadcasts/1", |one| one["broadcast"]["over"] == true);
    assert_eq!(state(&site, 1), "finished");
    let why = site.ask("POST /broadcasts/1/cancel").refused(409);
    assert!(why.contains("nothing is left to send"), "{why}");

    // The pages together are the whole list, and so is the export, which equals that of the command line.
    let mut seen = Vec::new();
    let mut after = json!(0);
    while !after.is_null() {
        let page = site.json(&format!("/broadcasts/1/recipients?state=sent&limit=40&after={after}"));
        seen.extend(page["recipients"].as_array().unwrap().clone());
        after = page["after"].clone();
    }
    let ids = |field: &str| -> Vec<String> {
        seen.iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
    };
    let groups = ids("group_id");
    assert_eq!(groups, ids("recipient_id"));
    assert_eq!(groups, (1001..=1150).map(|n| n.to_string()).collect::<Vec<_>>());
    for (query, flags) in [
        ("", vec![]),
        ("?format=csv", vec![]),
        ("?format=jsonl&state=sent", vec!["--format", "jsonl", "--state", "sent"]),
        ("?state=rejected", vec!["--state", "rejected"]),
    ] {
        let exported = site.ask(&format!("GET /broadcasts/1/export{query}"));
        let args = [vec!["runs", "--simulator", "export", "1"], flags].concat();
        assert_eq!(exported.body, site.project.mooncast(&args).exits(0).stdout, "{query}");
        assert!(exported.header("content-disposition").unwrap().contains("broadcast-1."), "{exported:?}");
    }
    let edited = site.post("/broadcasts/1/edit", &json!({ "text": "hello", "rehearse": true })).json();
    assert_eq!(edited["preview"]["editable"], 150, "{edited}");
    assert_eq!(edited["preview"]["examples"][0]["old"], "hi");
    assert_eq!(edited["preview"]["examples"][0]["new"], "hello");
    assert!(edited["done"].is_null(), "{edited}");
    let edited = site.post("/broadcasts/1/edit", &json!({ "text": "hello" })).json();
    assert_eq!(edited["done"]["count"], 150, "{edited}");
    site.until("/broadcasts/2", |one| one["broadcast"]["over"] == true);
    let edits = site.json("/broadcasts/2");
    assert_eq!(edits["broadcast"]["corrects"], "news/1");
    assert_eq!(edits["broadcast"]["counts"]["sent"], 150, "{edits}");
    site.post("/broadcasts/1/edit", &json!({ "text": "" })).refused(409);
    site.post("/broadcasts/2/edit", &json!({ "text": "x" })).refused(409);
    let recalled = site.ask("POST /broadcasts/1/recall").json();
    assert_eq!(recalled["count"], 150, "{recalled}");
    assert_eq!(site.json("/broadcasts/1")["recalled"], 150);
    assert!(site.json("/activity?hours=24&quota=group%20messages").is_array());
    assert_eq!(site.json("/quotas")[0]["quotas"][0]["per_second"], 20);
    site.serving.stop().exits(0);
}

#[test]
fn recipients_that_are_no_groups_have_no_field_of_groups() {
    const USERS: &str = "
    require('schedule').every('10000h', { name = 'users' }, function()
      im.broadcast { name = 'users', run = '1', kind = 'user', to = { 'ann', 'ben' },
        message = { type = 'txt', body = { msg = 'hi' } } }
    end)";
    let site = Site::start(USERS);
    assert_eq!(site.ask("POST /jobs/users/trigger").status, 200);
    site.until("/broadcasts", |page| page["broadcasts"][0]["over"] == true);
    let page = site.json("/broadcasts/1/recipients");
    assert_eq!(page["recipients"][1]["recipient_id"], "ben");
    assert!(page["recipients"][1].get("group_id").is_none(), "{page}");
    site.serving.stop().exits(0);
}

#[test]
fn those_refused_are_retried_and_those_in_doubt_are_settled() {
    // At first group 1002 is refused, and the answer for 1003 breaks off.
    let first = Arc::new(AtomicBool::new(true));
    let at_first = Arc::clone(&first);
    let service = Service::answering(move |count, request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        match () {
            () if !at_first.load(Ordering::SeqCst) => accept(count, request),
            () if body.contains("\"1002\"") => {
                json_answer(400, r#"{"error":"illegal_argument","error_description":"no such group"}"#)
            }
            () if body.contains("\"1003\"") || body.contains("\"1004\"") => Vec::new(),
            () => accept(count, request),
        }
    });
    let site = Site::against(
        &service,
        "local schedule = require('schedule')
        schedule.every('24h', { name = 'news' }, function()
          im.broadcast { name = 'news', run = '1', to = { '1001', '1002', '1003', '1004' },
            message = { from = 'a', type = 'txt', body = { msg = 'hi' } } }
        end)",
    );
    site.ask("POST /jobs/news/trigger");
    site.until("/broadcasts", |page| page["broadcasts"][0]["over"] == true);
    let counts = site.json("/broadcasts/1")["broadcast"]["counts"].clone();
    assert_eq!(
        (&counts["sent"], &counts["rejected"], &counts["in_doubt"]),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_eq!(
        site.json("/broadcasts/1")["acts"],
        json!(["retry", "settle_as_sent", "settle_again", "ask_service", "verify", "recall"])
    );
    first.store(false, Ordering::SeqCst);
    assert_eq!(site.ask("POST /broadcasts/1/retry").json()["count"], 1);
    site.until("/broadcasts/1", |one| one["broadcast"]["counts"]["sent"] == 2);
    assert_eq!(site.ask("POST /broadcasts/1/settle_again").json()["count"], 2);
    site.until("/broadcasts/1", |one| one["broadcast"]["over"] == true);
    let sent = service.messages().iter().filter(|message| message["to"][0] == "1003").count();
    assert_eq!((sent, site.ask("POST /broadcasts/1/settle_as_sent").json()["count"].clone()), (2, json!(0)));
    assert_eq!(site.json("/broadcasts/1")["broadcast"]["counts"]["sent"], 4);
    site.serving.stop().exits(0);
}

#[test]
fn jobs_are_shown_and_steered() {
    let site = Site::start(
        "local schedule, task = require('schedule'), require('task')
        schedule.every('24h', { name = 'a job/with a slash' }, function() print('ran') task.sleep(100000) end)",
    );
    let name = "a%20job%2Fwith%20a%20slash";
    assert_eq!(site.json("/jobs")[0]["name"], "a job/with a slash");
    let run = site.ask(&format!("POST /jobs/{name}/trigger")).json()["run"].clone();
    site.serving.prints("ran", 1);
    let shown = site.json(&format!("/jobs/{name}"));
    assert_eq!(shown["runs"][0]["run"], run);
    assert_eq!(shown["runs"][0]["state"], "running");
    assert_eq!(site.json("/runs?limit=1")[0]["run"], run);
    assert_eq!(site.json(&format!("/runs?job={name}")).as_array().unwrap().len(), 1);
    assert_eq!(site.json("/runs?job=another"), json!([]));
    assert_eq!(site.ask(&format!("POST /jobs/{name}/cancel")).json()["count"], 1);
    site.until(&format!("/jobs/{name}"), |job| job["runs"][0]["state"] == "cancelled");
    assert_eq!(site.ask(&format!("POST /jobs/{name}/cancel")).json()["count"], 0);
    assert_eq!(site.ask(&format!("POST /jobs/{name}/pause")).status, 200);
    assert!(site.json(&format!("/jobs/{name}"))["job"]["paused_at"].is_string());
    assert_eq!(site.ask(&format!("POST /jobs/{name}/resume")).status, 200);
    assert!(site.json(&format!("/jobs/{name}"))["job"]["paused_at"].is_null());
    // When a script is deleted, its job is too.
    std::fs::remove_file(site.project.path("scripts/main.lua")).unwrap();
    site.until("/jobs", |jobs| jobs == &json!([]));
    site.ask(&format!("POST /jobs/{name}/trigger")).refused(409);
    let log = site.json("/log?limit=500");
    let text = |line: &Value| line["text"].as_str().unwrap().to_owned();
    let lines: Vec<String> = log.as_array().unwrap().iter().map(text).collect();
    assert!(lines.iter().any(|line| line.starts_with("run cancelled")), "{lines:#?}");
    assert_eq!(site.json("/log?limit=1").as_array().unwrap().len(), 1);
    site.serving.stop().exits(0);
}

#[test]
fn what_is_wrong_is_said_in_the_same_words_everywhere() {
    let site = Site::start("");
    for (what, status, says) in [
        ("GET /", 404, "there is nothing at this address"),
        ("GET /nothing", 404, "there is nothing at this address"),
        ("GET /broadcasts/7", 404, "there is no broadcast 7"),
        ("GET /broadcasts/x", 400, "`x`"),
        ("GET /broadcasts/99999999999999999999", 400, "99999999999999999999"),
        ("GET /broadcasts/7/recipients", 404, "there is no broadcast 7"),
        ("GET /broadcasts/7/recipients?limit=1001", 400, "`limit` is 1001; it must be from 1 to 1000"),
        ("GET /broadcasts/7/recipients?after=-1", 400, "`after` is -1; it must be 0 or more"),
        ("GET /broadcasts/7/recipients?state=gone", 400, "unknown variant `gone`, expected one of"),
        ("GET /broadcasts/7/export?format=xml", 400, "unknown variant `xml`"),
        ("GET /broadcasts?before=0", 400, "`before` is 0"),
        ("GET /broadcasts?limit=many", 400, "limit: invalid digit"),
        ("GET /broadcasts?limit=1&limit=2", 400, "duplicate field `limit`"),
        ("GET /broadcasts?state=", 400, "unknown variant"),
        ("GET /broadcasts?unknown=1", 400, "unknown field `unknown`"),
        ("POST /broadcasts/7/explode", 400, "unknown variant `explode`"),
        ("POST /broadcasts/7/pause", 404, "there is no broadcast 7"),
        ("GET /jobs/none", 404, "there is no job `none`"),
        ("GET /jobs/%ff", 400, "UTF-8"),
        ("POST /jobs/none/trigger", 404, "there is no job `none`"),
        ("GET /log?limit=501", 400, "1 to 500"),
        ("GET /activity?quota=salt", 404, "there is no quota `salt`; the quotas are edits, group messages"),
        ("GET /activity?hours=25", 400, "1 to 24"),
        ("POST /scripts/run", 415, "application/json"),
    ] {
        let said = site.ask(what).refused(status);
        assert!(said.contains(says), "{what}: {said}");
    }
    site.until("/scripts", |scripts| !scripts.as_array().unwrap().is_empty());
    for (body, status, says) in [
        ("", 400, "EOF"),
        ("{", 400, "EOF"),
        ("[]", 400, "expected a map"),
        (r#"["main.lua", []]"#, 400, "expected a map"),
        ("{}", 400, "missing field `script`"),
        (r#"{"script":1}"#, 400, "expected a string"),
        (r#"{"script":"a","args":"b"}"#, 400, "`args` must be a list of texts"),
        (r#"{"script":"a","more":1}"#, 400, "unknown field `more`"),
        (r#"{"script":"a.lua"}"#, 404, "there is no script `a.lua`; the daemon has scripts/main.lua"),
    ] {
        let bearer = format!("Bearer {}", site.operate);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let said = site.ask_with("POST /scripts/run", &headers, body.as_bytes()).refused(status);
        assert!(said.contains(says), "{body}: {said}");
    }
    for (what, allow) in [
        ("POST /overview", "get,head"),
        ("PUT /broadcasts", "get,head"),
        ("DELETE /broadcasts/1", "get,head"),
        ("GET /broadcasts/1/pause", "post"),
        ("GET /scripts/run", "post"),
        ("OPTIONS /jobs", "get,head"),
        ("TRACE /jobs", "get,head"),
        ("BREW /jobs", "get,head"),
    ] {
        let answer = site.ask(what);
        answer.refused(405);
        assert_eq!(answer.header("allow"), Some(allow), "{what}");
    }
    let head = site.ask("HEAD /jobs");
    assert_eq!((head.status, head.body.as_str()), (200, ""), "{head:?}");
    site.serving.stop().exits(0);
}
