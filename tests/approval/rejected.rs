//! A run ends as `cancelled` when one of its broadcasts is rejected or cancelled while it waits, and says by whom and why.

use std::io::Read as _;

use serde_json::{Value, json};

use super::{OVER_TWO, SCRIPT, awaited, hash, post, project_with, reached, system_user, token};
use crate::support::service::Service;
use crate::support::{Project, until};
use crate::web::{Site, request};

/// Begins the reason of a run whose broadcast bob rejected.
const BY_BOB: &str = "broadcast `news` (run 1) was rejected by bob: the price is wrong; nothing of it was sent, and nothing is sent now. To send it, correct it";

/// Sends to one group, which needs no approval, and then to three.
const TWO: &str = r#"
function main(args)
  local message = { from = "a", type = "txt", body = { msg = "hi" } }
  im.broadcast { name = args[1] or "first", to = { "201" }, message = message }
  im.broadcast { name = "news", to = "groups.csv", message = message }
end
"#;

/// Has a script of the project run, and waits until its broadcast waits. Returns the broadcast.
fn waits(site: &Site, token: &str) -> Value {
    let asked = post(site, "/scripts/run", token, &json!({ "script": "scripts/main.lua" }));
    assert_eq!(asked.status, 202, "{asked:?}");
    awaited(site)
}

/// Waits until the newest run has ended, and returns it.
fn ended(site: &Site) -> Value {
    site.until("/runs", |runs| !runs[0]["finished_at"].is_null())[0].clone()
}

fn people(project: &Project) -> (String, String) {
    let add = |name, role| token(project, name, &["--role", role]);
    (add("ann", "operator"), add("bob", "approver"))
}

#[test]
fn a_run_whose_broadcast_is_rejected_while_it_waits_is_cancelled() {
    let (service, receiver) = (Service::accepting(), Service::accepting());
    let project =
        project_with(TWO, &format!("{OVER_TWO}[[alerts]]\nname = \"a\"\nurl = \"{}\"\n", receiver.url()));
    let (ann, bob) = people(&project);
    let site = Site::of_against(project, &service);
    let broadcast = waits(&site, &ann);
    let place = format!("/broadcasts/{}/reject", broadcast["id"]);
    let answer =
        post(&site, &place, &bob, &json!({ "plan": hash(&broadcast), "note": "the price is wrong" }));
    assert_eq!(answer.status, 200, "{answer:?}");
    let run = ended(&site);
    assert_eq!(run["state"], "cancelled", "{run:#}");
    assert!(run["note"].as_str().unwrap().starts_with(BY_BOB), "{run:#}");
    assert_eq!(run["reason"]["code"], "rejected_before");
    let id = run["id"].as_str().unwrap();
    let shown = site.project.mooncast(&["jobs", "show", id]).exits(0).prints(": cancelled");
    shown.prints("was rejected by bob: the price is wrong").prints("first/1").prints("news/1");
    site.project
        .mooncast(&["jobs", "logs", id])
        .exits(0)
        .prints("cancelled: broadcast `news` (run 1) was rejected");
    let bearer = format!("Bearer {bob}");
    let headers = [("authorization", bearer.as_str()), ("accept-language", "zh")];
    let page = format!("GET /run?id={}", id.replace('@', "%40").replace(' ', "%20"));
    let page = request(&site.address, &page, &headers, b"").body;
    assert!(page.contains("被 bob 驳回：the price is wrong；没有发送任何消息"), "{page}");
    let told = || receiver.requests().iter().map(|one| one.json()["text"].to_string()).collect::<Vec<_>>();
    let said =
        "was cancelled, and only 0 of 3 recipients got the message: rejected by bob: the price is wrong";
    until("the alert", || told().iter().any(|text| text.contains(said)));
    assert_eq!(reached(&service), ["201"]);
    // A run after the rejection ends in the same way, also where it sends something else.
    post(&site, "/scripts/run", &ann, &json!({ "script": "scripts/main.lua", "args": ["second"] }));
    let both = |runs: &Value| runs.as_array().unwrap().len() == 2 && !runs[0]["finished_at"].is_null();
    let run = site.until("/runs", both)[0].clone();
    assert_eq!(run["state"], "cancelled", "{run:#}");
    assert!(run["note"].as_str().unwrap().starts_with(BY_BOB), "{run:#}");
    assert_eq!(reached(&service), ["201", "201"]);
    site.serving.stop().exits(0);
}

#[test]
fn a_command_whose_broadcast_is_rejected_while_it_waits_is_recorded_as_cancelled() {
    let service = Service::accepting();
    let project = project_with(SCRIPT, OVER_TWO);
    let (_, bob) = people(&project);
    let site = Site::of_against(project, &service);
    let mut child = Project::start(site.project.command_against(&service, &super::RUN));
    let broadcast = awaited(&site);
    let answer = post(
        &site,
        "/broadcasts/1/reject",
        &bob,
        &json!({ "plan": hash(&broadcast), "note": "the price is wrong" }),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b"sent\t0\n"[..]), "{said}");
    assert!(said.contains(BY_BOB), "{said}");
    let run = ended(&site);
    assert_eq!(run["state"], "cancelled", "{run:#}");
    assert!(run["note"].as_str().unwrap().starts_with(BY_BOB), "{run:#}");
    assert_eq!(reached(&service), [] as [&str; 0]);
    site.serving.stop().exits(0);
}

#[test]
fn a_run_that_was_killed_while_it_waited_is_cancelled_by_a_rejection_in_between() {
    let service = Service::accepting();
    let project = project_with(TWO, OVER_TWO);
    let (ann, _) = people(&project);
    let site = Site::of_against(project, &service);
    waits(&site, &ann);
    let Site { project, serving, .. } = site;
    serving.kill();
    project.wait_for_death();
    project.mooncast(&["runs", "reject", "news", "--note", "too dear"]).exits(0);
    let site = Site::of_against(project, &service);
    let run = ended(&site);
    assert_eq!((&run["state"], &run["attempt"]), (&json!("cancelled"), &json!(2)), "{run:#}");
    let said = format!("broadcast `news` (run 1) was rejected by {}: too dear; nothing of it", system_user());
    assert!(run["note"].as_str().unwrap().starts_with(&said), "{run:#}");
    assert_eq!(reached(&service), ["201"]);
    site.serving.stop().exits(0);
}

#[test]
fn a_run_whose_broadcast_is_cancelled_says_by_whom() {
    let service = Service::accepting();
    let project = project_with(SCRIPT, OVER_TWO);
    let (ann, bob) = people(&project);
    let site = Site::of_against(project, &service);
    waits(&site, &ann);
    // The second cancel changes nothing.
    for token in [&ann, &bob] {
        post(&site, "/broadcasts/1/cancel", token, &Value::Null);
    }
    let run = ended(&site);
    assert_eq!(run["state"], "cancelled", "{run:#}");
    assert!(
        run["note"]
            .as_str()
            .unwrap()
            .starts_with("broadcast `news` (run 1) was cancelled by ann; nothing of it"),
        "{run:#}"
    );
    assert_eq!(run["reason"]["code"], "cancelled_by_before");
    assert_eq!(site.json("/broadcasts/1")["broadcast"]["note"], "cancelled by ann");
    site.project.mooncast(&["runs", "show", "news"]).exits(0).prints("because: cancelled by ann");
    assert_eq!(reached(&service), [] as [&str; 0]);
    site.serving.stop().exits(0);
}
