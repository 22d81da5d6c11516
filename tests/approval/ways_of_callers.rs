//! Ways past an approval over the API, the page, hooks and jobs: each ends with nothing received at the service.

use serde_json::{Value, json};

use super::{approve, awaited, hash, post, project_with, reached, token};
use crate::support::service::Service;
use crate::web::{Answer, Site, request};

/// A script, a job and a hook that send to three groups each.
const SCRIPT: &str = r#"
local function send(name, run)
  return im.broadcast {
    name = name, run = run, to = "groups.csv", message = { from = "a", type = "txt", body = { msg = "hi" } },
  }
end
local http, env, schedule = require("http"), require("env"), require("schedule")
schedule.every("10000h", { name = "job" }, function(job) send("by-job", job.run) end)
http.hook("orders", { secret = env.secret("SHOP_SECRET") }, function(_, job) send("by-hook", job.run) end)
function main() send("news") end
"#;

const SECRET: &str = "s3cr3t-of-the-shop";

const SETTINGS: &str = "[approval]\nover = 2\n[permissions]\nhooks = ['orders']\nsecrets = ['SHOP_SECRET']\n";

struct Desk {
    service: Service,
    site: Site,
    ways: usize,
}

impl Desk {
    #[track_caller]
    fn held(&mut self, way: &str) {
        assert_eq!(reached(&self.service), [] as [&str; 0], "{way}");
        println!("{way}");
        self.ways += 1;
    }

    /// A request that must be answered with this status.
    #[track_caller]
    fn answers(&mut self, way: &str, status: u16, answer: &Answer) {
        let accepted = status == 200 && answer.status == 202;
        assert!(accepted || answer.status == status, "{way}: {answer:?}");
        self.held(way);
    }
}

fn form(site: &Site, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let all = [&[("content-type", "application/x-www-form-urlencoded")], headers].concat();
    request(&site.address, &format!("POST {path}"), &all, body.as_bytes())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a line a way")]
fn no_caller_without_the_right_passes_it() {
    let service = Service::accepting();
    let project = project_with(SCRIPT, SETTINGS).file(".env-of-test", "");
    let [ann, olga, viola, bob] =
        [("ann", "approver"), ("olga", "operator"), ("viola", "viewer"), ("bob", "approver")]
            .map(|(name, role)| token(&project, name, &["--role", role]));
    let upper = token(&project, "ANN", &["--role", "admin"]);
    let late = token(&project, "late", &["--role", "approver", "--expires", "1ms"]);
    let gone = token(&project, "gone", &["--role", "approver"]);
    project.mooncast(&["tokens", "revoke", "gone"]).exits(0);
    let mut desk = {
        let shown = project.mooncast(&["tokens", "renew"]).exits(0).stdout;
        let (operate, read) =
            (super::super::web::token_in(&shown, "operate"), super::super::web::token_in(&shown, "read"));
        let mut command = project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]);
        command.env("SHOP_SECRET", SECRET);
        let (serving, address) = crate::web::listening(command);
        Desk { service, site: Site { project, serving, address, operate, read }, ways: 0 }
    };
    let asked = post(&desk.site, "/scripts/run", &ann, &json!({ "script": "scripts/main.lua" }));
    assert_eq!(asked.status, 202, "{asked:?}");
    let broadcast = awaited(&desk.site);
    desk.held("a script over the API");
    let (path, plan) = ("/broadcasts/1/approve", hash(&broadcast).to_owned());
    let seen = json!({ "plan": plan });

    for act in [
        "pause",
        "resume",
        "continue",
        "retry",
        "settle_as_sent",
        "settle_again",
        "ask_service",
        "settle_proven",
        "verify",
        "recall",
    ] {
        post(&desk.site, &format!("/broadcasts/1/{act}"), &olga, &json!({}));
        desk.held(&format!("{act} by an operator"));
        post(&desk.site, &format!("/broadcasts/1/{act}"), &bob, &json!({}));
        desk.held(&format!("{act} by an approver"));
    }
    post(&desk.site, "/broadcasts/1/resume", &olga, &json!({}));
    desk.site.until("/broadcasts/1", |page| page["broadcast"]["state"] == "awaiting_approval");
    let again = post(&desk.site, "/scripts/run", &olga, &json!({ "script": "scripts/main.lua" }));
    desk.answers("the script again by another person", 202, &again);
    let edit = post(&desk.site, "/broadcasts/1/edit", &olga, &json!({ "text": "x" }));
    desk.answers("an edit", 409, &edit);

    let read = desk.site.read.clone();
    for (who, token, status) in [
        ("who began it", &ann, 409),
        ("who began it, in another case, an admin", &upper, 409),
        ("an operator", &olga, 403),
        ("a viewer", &viola, 403),
        ("the read token", &read, 403),
        ("an expired token", &late, 401),
        ("a revoked token", &gone, 401),
        ("an unknown token", &"mooncast_approver_0000".to_owned(), 401),
        ("no token", &String::new(), 401),
    ] {
        let answer = post(&desk.site, path, token, &seen);
        desk.answers(&format!("approved by {who}"), status, &answer);
    }
    for (what, body, status) in [
        ("no body", Value::Null, 400),
        ("no hash", json!({}), 400),
        ("an empty hash", json!({ "plan": "" }), 409),
        ("the hash of another plan", json!({ "plan": "0".repeat(64) }), 409),
        ("the hash of the plan alone", json!({ "plan": broadcast["plan"] }), 409),
        ("a part of the hash", json!({ "plan": &plan[..32] }), 409),
        ("null as the hash", json!({ "plan": null }), 400),
        ("a list of hashes", json!({ "plan": [plan] }), 400),
        ("true as the hash", json!({ "plan": true }), 400),
        ("an unknown field", json!({ "plan": plan, "force": true }), 400),
        ("a note that is too long", json!({ "plan": plan, "note": "x".repeat(2000) }), 400),
        ("a number as the note", json!({ "plan": plan, "note": 7 }), 400),
    ] {
        let answer = post(&desk.site, path, &bob, &body);
        desk.answers(&format!("approved with {what}"), status, &answer);
    }
    let bearer = format!("Bearer {bob}");
    let by = ("authorization", bearer.as_str());
    let get = request(&desk.site.address, "GET /api/v1/broadcasts/1/approve", &[by], b"");
    desk.answers("a GET of the approval", 405, &get);
    let over = [by, ("x-http-method-override", "POST"), ("content-type", "application/json")];
    let get = request(&desk.site.address, "GET /api/v1/broadcasts/1/approve", &over, b"");
    desk.answers("a GET that claims to be a POST", 405, &get);
    let page = request(&desk.site.address, &format!("GET /broadcasts/1/approve?plan={plan}"), &[by], b"");
    desk.answers("the question of the page alone", 200, &page);
    for odd in ["Approve", "approve/", "%61pprove%2f", "APPROVE", "approve;x"] {
        let answer = post(&desk.site, &format!("/broadcasts/1/{odd}"), &olga, &seen);
        assert!(answer.status >= 400, "{odd}: {answer:?}");
        desk.held(&format!("an operator at the path {odd}"));
    }
    let site = &desk.site;
    let forms = [
        (
            "another origin",
            form(
                site,
                "/broadcasts/1/approve",
                &[by, ("origin", "http://evil.example")],
                &format!("plan={plan}"),
            ),
            403,
        ),
        (
            "another site",
            form(
                site,
                "/broadcasts/1/approve",
                &[by, ("sec-fetch-site", "cross-site")],
                &format!("plan={plan}"),
            ),
            403,
        ),
        (
            "an operator",
            form(
                site,
                "/broadcasts/1/approve",
                &[("authorization", &format!("Bearer {olga}"))],
                &format!("plan={plan}"),
            ),
            403,
        ),
        (
            "who began it",
            form(
                site,
                "/broadcasts/1/approve",
                &[("authorization", &format!("Bearer {ann}"))],
                &format!("plan={plan}"),
            ),
            409,
        ),
        ("an old plan", form(site, "/broadcasts/1/approve", &[by], "plan=0000"), 409),
        (
            "a header that no proxy sets",
            form(site, "/broadcasts/1/approve", &[("x-forwarded-user", "bob")], &format!("plan={plan}")),
            303,
        ),
    ];
    for (who, answer, status) in forms {
        desk.answers(&format!("the form of the page by {who}"), status, &answer);
    }
    let answer = post(&desk.site, "/broadcasts/99/approve", &bob, &seen);
    desk.answers("another broadcast's number", 404, &answer);

    // The broadcasts of jobs and hooks wait too. That of a hook names no person.
    let job = post(&desk.site, "/jobs/job/trigger", &olga, &json!({}));
    desk.answers("a job", 200, &job);
    desk.site.until("/broadcasts?state=awaiting_approval", |page| {
        page["broadcasts"].as_array().unwrap().len() == 2
    });
    desk.held("the job's broadcast");
    let signed = format!("sha256={}", crate::hooks::signature(SECRET, b"{}"));
    let hook = request(&desk.site.address, "POST /hooks/orders", &[("X-Signature-256", &signed)], b"{}");
    desk.answers("a hook", 202, &hook);
    let page = desk.site.until("/broadcasts?state=awaiting_approval", |page| {
        page["broadcasts"].as_array().unwrap().len() == 3
    });
    assert_eq!(page["broadcasts"][0]["name"], "by-hook");
    assert_eq!(page["broadcasts"][0]["approval"]["begun_by"], json!([]));
    assert_eq!(page["broadcasts"][1]["approval"]["begun_by"], json!(["olga"]));
    desk.held("the hook's broadcast");
    let replanned = post(&desk.site, "/broadcasts/1/replan", &olga, &json!({}));
    desk.answers("replan", 200, &replanned);
    desk.site.until("/broadcasts/1", |page| {
        page["broadcast"]["approval"]["begun_by"] == json!(["ann", "olga"])
            && page["broadcast"]["state"] == "awaiting_approval"
    });
    desk.held("replanned");
    println!("{} ways", desk.ways);
    assert!(desk.ways >= 60);

    // Of two approvals at once, one counts, and each recipient gets one message.
    let broadcast = awaited(&desk.site);
    let first = desk.site.json("/broadcasts/1")["broadcast"].clone();
    assert_ne!(broadcast["id"], first["id"]);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let site = &desk.site;
        let first = &first;
        let bobs =
            [&bob, &bob, &bob, &bob].map(|token| scope.spawn(move || approve(site, first, token).status));
        bobs.map(|one| one.join().unwrap()).to_vec()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    desk.site.until("/broadcasts/1", |page| page["broadcast"]["state"] == "finished");
    assert_eq!(reached(&desk.service), ["101", "102", "103"]);
    assert_eq!(approve(&desk.site, &first, &bob).status, 409);
    desk.site.serving.stop().exits(0);
}
