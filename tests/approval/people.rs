//! Another person must approve: the same one is known at every door and in every case.

use serde_json::{Value, json};

use super::{approve, awaited, hash, post, project_with, reached, system_user, token};
use crate::support::service::Service;
use crate::web::{Answer, Site, request};

/// A job beside the script, so that every door can begin a broadcast. Its runs wait for each other: the one before ends a
/// moment after its broadcast.
const SCRIPT: &str = r#"
require("schedule").every("10000h", { name = "job", overlap = "queue" }, function(job)
  im.broadcast {
    name = "news", run = job.run, to = "groups.csv", message = { from = "a", type = "txt", body = { msg = "hi" } },
  }
end)
"#;

const SETTINGS: &str = "[approval]\nover = 2
[serve]
hosts = ['mooncast.example']
trusted_proxies = ['127.0.0.1']
user_header = 'X-Forwarded-User'
[serve.users]
'*' = 'approver'
";

/// Where somebody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    CommandLine,
    Token,
    Proxy,
    PageByToken,
    PageByProxy,
}

const DOORS: [Door; 5] = [Door::CommandLine, Door::Token, Door::Proxy, Door::PageByToken, Door::PageByProxy];

/// Posts as somebody: by this token, or as this user of the proxy.
fn ask(site: &Site, path: &str, who: (&str, &str), kind: &str, body: &[u8]) -> Answer {
    let own = ("origin", "https://mooncast.example");
    let headers = [who, ("host", "mooncast.example"), own, ("content-type", kind), ("accept-language", "en")];
    request(&site.address, &format!("POST {path}"), &headers, body)
}

struct Person<'a> {
    name: &'a str,
    token: String,
}

impl Person<'_> {
    /// The header by which this door knows the person.
    fn header(&self, door: Door) -> (&'static str, String) {
        match door {
            Door::Proxy | Door::PageByProxy => ("x-forwarded-user", self.name.to_owned()),
            _ => ("authorization", format!("Bearer {}", self.token)),
        }
    }

    fn begins(&self, site: &Site, door: Door) {
        if door == Door::CommandLine {
            site.project.mooncast(&["jobs", "trigger", "job"]).exits(0);
            return;
        }
        let (header, value) = self.header(door);
        let path = match door {
            Door::Token | Door::Proxy => "/api/v1/jobs/job/trigger",
            _ => "/job/trigger?name=job",
        };
        let answer = ask(site, path, (header, &value), "application/x-www-form-urlencoded", b"");
        assert!(matches!(answer.status, 200 | 303), "{door:?}: {answer:?}");
    }

    /// Tries to approve. Returns whether it was refused because this person began it.
    fn is_refused(&self, site: &Site, door: Door, broadcast: &Value) -> bool {
        let (id, plan) = (broadcast["id"].to_string(), hash(broadcast));
        if door == Door::CommandLine {
            let ran = site.project.mooncast(&["runs", "approve", &id]);
            assert!(ran.status == Some(0) || ran.stderr.contains("or changed its plan"), "{ran:?}");
            return ran.status != Some(0);
        }
        let (header, value) = self.header(door);
        let answer = match door {
            Door::Token | Door::Proxy => {
                let path = format!("/api/v1/broadcasts/{id}/approve");
                let body = json!({ "plan": plan }).to_string();
                ask(site, &path, (header, &value), "application/json", body.as_bytes())
            }
            _ => {
                let path = format!("/broadcasts/{id}/approve");
                let body = format!("plan={plan}");
                let kind = "application/x-www-form-urlencoded";
                ask(site, &path, (header, &value), kind, body.as_bytes())
            }
        };
        match answer.status {
            200 | 303 => false,
            409 => {
                assert!(answer.body.contains("or changed its plan"), "{door:?}: {answer:?}");
                true
            }
            _ => panic!("{door:?}: {answer:?}"),
        }
    }
}

#[test]
fn who_began_it_cannot_approve_it_by_any_pair_of_doors() {
    let service = Service::accepting();
    let project = project_with(SCRIPT, SETTINGS);
    let user = system_user();
    let upper = user.to_uppercase();
    let one = Person { name: &user, token: token(&project, &user, &["--role", "approver"]) };
    let same = Person { name: &upper, token: token(&project, &upper, &["--role", "approver"]) };
    let other = Person { name: "bob", token: token(&project, "bob", &["--role", "approver"]) };
    let site = Site::of_against(project, &service);
    let mut pairs = 0;
    for begins in DOORS {
        one.begins(&site, begins);
        let broadcast = awaited(&site);
        for approves in DOORS {
            for person in [&one, &same] {
                assert!(person.is_refused(&site, approves, &broadcast), "{begins:?}, {approves:?}");
                pairs += 1;
            }
        }
        assert_eq!(reached(&service), [] as [&str; 0], "{begins:?}");
        let end = json!({ "plan": hash(&broadcast), "note": "the next one" });
        let path = format!("/broadcasts/{}/reject", broadcast["id"]);
        assert_eq!(post(&site, &path, &other.token, &end).status, 200);
        let path = format!("/broadcasts/{}", broadcast["id"]);
        site.until(&path, |page| page["broadcast"]["over"] == true);
    }
    println!("{pairs} pairs of doors and spellings, each refused");
    assert!(pairs >= 50);
    // Another person may, at each door but the command line, whose user is the first one.
    let mut sent = 0;
    for approves in [Door::Token, Door::Proxy, Door::PageByToken, Door::PageByProxy] {
        one.begins(&site, Door::CommandLine);
        let broadcast = awaited(&site);
        assert!(!other.is_refused(&site, approves, &broadcast), "{approves:?}");
        let path = format!("/broadcasts/{}", broadcast["id"]);
        site.until(&path, |page| page["broadcast"]["state"] == "finished");
        sent += 3;
        assert_eq!(reached(&service).len(), sent, "{approves:?}");
    }
    site.serving.stop().exits(0);
}

#[test]
fn whoever_changes_the_plan_cannot_approve_it_either() {
    let service = Service::accepting();
    let script = super::SCRIPT;
    let project = project_with(script, super::OVER_TWO);
    let people = ["ann", "bob", "cid"].map(|name| token(&project, name, &["--role", "approver"]));
    let [ann, bob, cid] = &people;
    let site = Site::of_against(project, &service);
    post(&site, "/scripts/run", ann, &json!({ "script": "scripts/main.lua" }));
    let first = awaited(&site);
    site.project.write("groups.csv", "group_id\n101\n102\n103\n104\n");
    assert_eq!(post(&site, "/broadcasts/1/replan", bob, &json!({})).status, 200);
    let is_new = |page: &Value| {
        let broadcast = &page["broadcast"];
        broadcast["state"] == "awaiting_approval" && hash(broadcast) != hash(&first)
    };
    let changed = site.until("/broadcasts/1", is_new)["broadcast"].clone();
    assert_eq!(changed["approval"]["begun_by"], json!(["ann", "bob"]));
    for own in [ann, bob] {
        assert!(approve(&site, &changed, own).refused(409).contains("or changed its plan"));
    }
    assert!(approve(&site, &first, cid).refused(409).contains("is not the one that you saw"));
    assert_eq!(reached(&service), [] as [&str; 0]);
    assert_eq!(approve(&site, &changed, cid).status, 200);
    site.until("/broadcasts/1", |page| page["broadcast"]["state"] == "finished");
    assert_eq!(reached(&service), ["101", "102", "103", "104"]);
    site.serving.stop().exits(0);
}
