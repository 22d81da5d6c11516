//! Approvals, from outside: a broadcast waits for another person, is sent once after it, and nothing leads past it.

mod goes_on;
mod people;
mod rejected;
mod singles;
mod texts;
mod ways;
mod ways_of_callers;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::service::Service;
use crate::support::{Project, Ran, until};
use crate::web::{Answer, Site, request};

/// A broadcast to three groups.
pub const SCRIPT: &str = r#"
function main()
  local report = im.broadcast {
    name = "news", to = "groups.csv", message = { from = "a", type = "txt", body = { msg = "hi" } },
  }
  print("sent", report.sent)
end
"#;

/// Broadcasts with more than two recipients need an approval.
pub const OVER_TWO: &str = "[approval]\nover = 2\n";

/// Runs the script.
pub const RUN: [&str; 2] = ["run", "scripts/main.lua"];

/// A project whose script sends to three groups, and whose settings demand an approval.
pub fn project() -> Project {
    project_with(SCRIPT, OVER_TWO)
}

pub fn project_with(script: &str, settings: &str) -> Project {
    Project::with_script(script)
        .file("groups.csv", "group_id\n101\n102\n103\n")
        .file("mooncast.toml", settings)
}

/// Creates a token in a project's ledger, and returns it.
pub fn token(project: &Project, name: &str, more: &[&str]) -> String {
    let shown = project.mooncast(&[&["tokens", "add", name, "--json"], more].concat()).exits(0).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    shown["token"].as_str().unwrap().to_owned()
}

/// Posts JSON to the API.
pub fn post(site: &Site, path: &str, token: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    request(&site.address, &format!("POST /api/v1{path}"), &headers, body.to_string().as_bytes())
}

/// The newest broadcast that waits for an approval, once there is one.
pub fn awaited(site: &Site) -> Value {
    let awaiting = "/broadcasts?state=awaiting_approval";
    site.until(awaiting, |page| page["broadcasts"][0]["waits_for"]["kind"] == "approval");
    let id = site.json(awaiting)["broadcasts"][0]["id"].clone();
    site.json(&format!("/broadcasts/{id}"))["broadcast"].clone()
}

/// The hash of what is to be approved.
pub fn hash(broadcast: &Value) -> &str {
    broadcast["approval"]["hash"].as_str().unwrap()
}

pub fn approve(site: &Site, broadcast: &Value, token: &str) -> Answer {
    let path = format!("/broadcasts/{}/approve", broadcast["id"]);
    post(site, &path, token, &json!({ "plan": hash(broadcast) }))
}

/// The groups that got a message, sorted.
pub fn reached(service: &Service) -> Vec<String> {
    let to = |message: Value| message["to"].as_array().unwrap().clone();
    let name = |group: Value| group.as_str().unwrap().to_owned();
    let mut reached: Vec<String> = service.messages().into_iter().flat_map(to).map(name).collect();
    reached.sort_unstable();
    reached
}

/// Runs a command that waits for an approval, until it says so. Then interrupts it, and waits for its end.
#[track_caller]
pub fn waits(mut command: Command) -> Ran {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("awaits approval") {
        if err.read_line(&mut said).unwrap() == 0 {
            let output = child.wait_with_output().unwrap();
            panic!("it does not wait: {said} {output:?}");
        }
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    err.read_to_string(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    Ran { stderr: said, ..Ran::of(&output) }
}

/// The user of the system who runs the tests.
pub fn system_user() -> String {
    let login = std::fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let login = login.trim().parse::<u32>().ok().filter(|uid| *uid != u32::MAX);
    let mut command = Command::new("id");
    command.arg("-un").args(login.map(|uid| uid.to_string()));
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn a_run_waits_for_another_person_and_then_sends_each_message_once() {
    let service = Service::accepting();
    let project = project();
    let bob = token(&project, "bob", &["--role", "approver"]);
    let mut child = Project::start(project.command_against(&service, &["run", "scripts/main.lua"]));
    let shown = || project.mooncast(&["runs", "show", "news"]).stdout;
    until("it waits", || shown().contains("now: awaits approval by another person"));
    let user = system_user();
    let shown = shown();
    for told in [
        "news/1 (number 1) is awaiting_approval".to_owned(),
        format!("awaits approval: 3 recipients, begun by {user}; another person with the role approver"),
        "mooncast runs approve news --run 1".to_owned(),
    ] {
        assert!(shown.contains(&told), "no {told:?} in {shown}");
    }
    project.mooncast(&["runs", "list"]).exits(0).prints("awaiting_approval news/1");
    // The command line knows the user from the system, whatever the variables say.
    let mut own = project.command(&["runs", "approve", "news"]);
    own.envs([("USER", "bob"), ("LOGNAME", "bob"), ("SUDO_USER", "bob")]);
    let own = Ran::of(&own.output().unwrap());
    assert_ne!(own.status, Some(0), "{own:?}");
    assert!(own.stderr.contains(&format!("{user} began news/1 or changed its plan")), "{own:?}");
    assert_eq!(reached(&service), [] as [&str; 0]);

    let site = Site::of_against(project, &service);
    let broadcast = awaited(&site);
    assert_eq!(broadcast["approval"]["begun_by"], json!([user]));
    assert_eq!(broadcast["approval"]["recipients"], 3);
    let answer = approve(&site, &broadcast, &bob);
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"sent\t3\n"[..]), "{said}");
    assert_eq!(reached(&service), ["101", "102", "103"]);
    let broadcast = site.json("/broadcasts/1")["broadcast"].clone();
    assert_eq!(broadcast["approval"]["approved_by"], "bob");
    assert_eq!(broadcast["approval"]["awaited"], false);
    let audit = site.project.mooncast(&["audit", "list", "--json"]).exits(0).stdout;
    let approved: Vec<&str> = audit.lines().filter(|line| line.contains("broadcast.approve")).collect();
    assert!(approved.last().unwrap().contains(hash(&broadcast)), "{approved:?}");
    site.serving.stop().exits(0);
}

#[test]
fn a_broadcast_that_the_daemon_runs_waits_and_its_alert_is_posted_once_a_plan() {
    let (service, receiver) = (Service::accepting(), Service::accepting());
    let settings = format!("{OVER_TWO}[alerts]\nurl = \"{}/hook\"\n", receiver.url());
    let project = project_with(SCRIPT, &settings);
    let ann = token(&project, "ann", &["--role", "approver"]);
    let site = Site::of_against(project, &service);
    let asked = post(&site, "/scripts/run", &ann, &json!({ "script": "scripts/main.lua" }));
    assert_eq!(asked.status, 202, "{asked:?}");
    let broadcast = awaited(&site);
    assert_eq!(broadcast["approval"]["begun_by"], json!(["ann"]));
    until("the alert", || !receiver.requests().is_empty());
    let alert = receiver.requests()[0].json();
    assert_eq!(alert["event"], "awaiting_approval", "{alert}");
    let text = alert["text"].as_str().unwrap();
    assert!(text.contains("to 3 recipients, waits for an approval; ann began it"), "{text}");
    let next = alert["next"].as_str().unwrap();
    assert!(next.contains("/broadcasts/1") && next.contains("mooncast runs approve 'news'"), "{next}");
    // After a restart, nothing is posted again and nothing is sent.
    let Site { project, serving, .. } = site;
    serving.kill();
    project.wait_for_death();
    let site = Site::of_against(project, &service);
    let broadcast = awaited(&site);
    assert_eq!(reached(&service), [] as [&str; 0]);
    assert_eq!(approve(&site, &broadcast, &ann).status, 409);
    // The user of the command line is another person.
    site.project.mooncast(&["runs", "approve", "news", "--plan", hash(&broadcast), "--note", "go"]).exits(0);
    site.until("/broadcasts/1", |page| page["broadcast"]["state"] == "finished");
    assert_eq!(reached(&service), ["101", "102", "103"]);
    assert_eq!(site.json("/broadcasts/1")["broadcast"]["approval"]["note"], "go");
    assert_eq!(receiver.requests().len(), 1);
    site.serving.stop().exits(0);
}

#[test]
fn the_alert_links_to_the_page_that_the_settings_name() {
    let (service, receiver) = (Service::accepting(), Service::accepting());
    let url = receiver.url();
    let settings = format!(
        "{OVER_TWO}[alerts]\nurl = \"{url}/hook\"\n[serve]\npublic_url = \"https://mooncast.example.com/\"\n"
    );
    let site = Site::of_against(project_with(SCRIPT, &settings), &service);
    post(&site, "/scripts/run", &site.operate, &json!({ "script": "scripts/main.lua" }));
    awaited(&site);
    until("the alert", || !receiver.requests().is_empty());
    let next = receiver.requests()[0].json()["next"].as_str().unwrap().to_owned();
    assert!(next.contains("on the page at https://mooncast.example.com/broadcasts/1 and approve"), "{next}");
    site.serving.stop().exits(0);
    for wrong in [
        "mooncast.example.com",
        "ftp://mooncast.example.com",
        "https://",
        "https://:443",
        "https://mooncast.example.com/page",
        "https://mooncast.example.com/..",
        "https://mooncast.example.com//",
        "https://mooncast.example.com?x",
        "https://mooncast.example.com#x",
        "https://ann@mooncast.example.com",
        "https://mooncast.example.com:https",
        "https://mooncast.example.com\\\\evil.example",
        "https://mooncast .example.com",
        "javascript:alert(1)",
    ] {
        crate::web::refused(&format!("public_url = \"{wrong}\""))
            .exits(2)
            .says("[serve] public_url")
            .says("a scheme and a host without a path");
    }
    let scripts =
        "[approval.scripts]\n\"scripts/main.lua\" = { over = 1 }\n\"scripts/gone.lua\" = { over = 1 }\n";
    let project = project_with(SCRIPT, scripts);
    let told = "mooncast.toml: [approval.scripts] \"scripts/gone.lua\" names no script of this project";
    let checked = project.mooncast(&["check"]).exits(1).prints(told).prints("1 problem");
    assert!(!checked.stdout.contains("\"scripts/main.lua\" names"), "{checked:?}");
    project.mooncast(&["check", "scripts/main.lua"]).exits(0);
}

#[test]
fn a_rejected_broadcast_is_cancelled_with_the_reason() {
    let service = Service::accepting();
    let project = project();
    let (ann, bob) =
        (token(&project, "ann", &["--role", "operator"]), token(&project, "bob", &["--role", "approver"]));
    let site = Site::of_against(project, &service);
    post(&site, "/scripts/run", &ann, &json!({ "script": "scripts/main.lua" }));
    let broadcast = awaited(&site);
    let reject = |body: &Value| post(&site, "/broadcasts/1/reject", &bob, body);
    reject(&json!({ "plan": hash(&broadcast) })).refused(400);
    reject(&json!({ "plan": "0", "note": "no" })).refused(409);
    let answer = reject(&json!({ "plan": hash(&broadcast), "note": "the price is wrong" }));
    assert_eq!(answer.status, 200, "{answer:?}");
    let page = site.until("/broadcasts/1", |page| page["broadcast"]["state"] == "cancelled");
    assert_eq!(page["broadcast"]["note"], "rejected by bob: the price is wrong");
    assert!(approve(&site, &broadcast, &bob).refused(409).contains("does not wait for an approval"));
    assert_eq!(reached(&service), [] as [&str; 0]);
    // The next run says so, and not that it was sent.
    let said = "broadcast `news` (run 1) was rejected by bob: the price is wrong; nothing of it was sent, and nothing is sent now. To send it, correct it and set `run` to a new value";
    post(&site, "/scripts/run", &ann, &json!({ "script": "scripts/main.lua" }));
    let runs = site.until("/runs", |runs| {
        runs.as_array()
            .is_some_and(|runs| runs.len() == 2 && runs.iter().all(|run| !run["finished_at"].is_null()))
    });
    assert_eq!(runs[0]["state"], "cancelled", "{runs:#}");
    assert!(runs[0]["note"].as_str().unwrap().starts_with(said), "{runs:#}");
    assert_eq!(runs[0]["reason"]["code"], "rejected_before");
    assert_eq!(runs[0]["reason"]["params"]["who"], "bob");
    let page = format!("/run?id={}", runs[0]["id"].as_str().unwrap().replace('@', "%40").replace(' ', "%20"));
    let bearer = format!("Bearer {bob}");
    let shown = request(
        &site.address,
        &format!("GET {page}"),
        &[("authorization", bearer.as_str()), ("accept-language", "zh")],
        b"",
    );
    assert!(shown.body.contains("被 bob 驳回：the price is wrong；没有发送任何消息"), "{}", shown.body);
    site.serving.stop().exits(0);
    site.project.mooncast(&["runs", "show", "news"]).exits(0).prints("because: rejected by bob");
    let again = Ran::of(&site.project.command_against(&service, &RUN).output().unwrap());
    assert!(again.stderr.contains(said) && !again.stderr.contains("sent before"), "{again:?}");
    assert_eq!(again.status, Some(3), "{again:?}");
    let rehearsed =
        site.project.command_against(&service, &["rehearse", "scripts/main.lua"]).output().unwrap();
    Ran::of(&rehearsed).prints("It was rejected or cancelled before");
    assert_eq!(reached(&service), [] as [&str; 0]);
}

#[test]
fn changed_inputs_are_named_in_the_readers_language() {
    let service = Service::accepting();
    let project = project();
    waits(project.command_against(&service, &RUN));
    project.write("groups.csv", "group_id\n101\n102\n103\n104\n");
    let refused = Ran::of(&project.command_against(&service, &RUN).output().unwrap());
    assert!(
        refused.stderr.contains("was started from other inputs: changed: the audience groups.csv"),
        "{refused:?}"
    );
    let site = Site::of_against(project, &service);
    let broadcast = site.json("/broadcasts/1");
    assert_eq!(broadcast["broadcast"]["changes"]["inputs"], json!(["the audience groups.csv"]));
    let bearer = format!("Bearer {}", site.operate);
    let headers = [("authorization", bearer.as_str()), ("accept-language", "zh")];
    let shown = |place: &str| request(&site.address, &format!("GET {place}"), &headers, b"").body;
    let page = shown("/broadcasts/1");
    assert!(page.contains("名单 groups.csv") && !page.contains("the audience"), "{page}");
    let id = site.json("/runs")[0]["id"].as_str().unwrap().replace(' ', "%20").replace('@', "%40");
    let page = shown(&format!("/run?id={id}"));
    assert!(page.contains("是用别的输入开始的：变动：名单 groups.csv；新增接收方：1 (104)"), "{page}");
    assert_eq!(reached(&service), [] as [&str; 0]);
    site.serving.stop().exits(0);
}

#[test]
fn what_was_cancelled_by_hand_was_not_sent_before() {
    let service = Service::accepting();
    let project = project();
    waits(project.command_against(&service, &RUN));
    project.mooncast(&["runs", "cancel", "news"]).exits(0);
    let again = Ran::of(&project.command_against(&service, &RUN).output().unwrap());
    assert!(
        again.stderr.contains(&format!("was cancelled by {}; nothing of it was sent", system_user())),
        "{again:?}"
    );
    assert!(!again.stderr.contains("sent before"), "{again:?}");
}

#[test]
fn what_needs_no_approval_is_sent_at_once() {
    for (script, settings) in [
        (SCRIPT.to_owned(), ""),
        (SCRIPT.to_owned(), "[approval]\nover = 3\n"),
        (SCRIPT.to_owned(), "[approval.scripts]\n\"scripts/other.lua\" = { always = true }\n"),
        (SCRIPT.replace("message =", "approval = { over = 3 }, message ="), ""),
        (SCRIPT.replace("message =", "approval = false, message ="), ""),
    ] {
        let service = Service::accepting();
        let project = project_with(&script, settings);
        project.run_against(&service).exits(0).prints("sent\t3");
        assert_eq!(reached(&service).len(), 3);
    }
}

#[test]
fn scripts_and_settings_ask_for_an_approval() {
    for (script, settings) in [
        (SCRIPT.replace("message =", "approval = true, message ="), ""),
        (SCRIPT.replace("message =", "approval = { over = 2 }, message ="), "[approval]\nover = 100\n"),
        (SCRIPT.replace("message =", "approval = { over = 50 }, message ="), OVER_TWO),
        (SCRIPT.to_owned(), "[approval]\nalways = true\n"),
        (
            SCRIPT.to_owned(),
            "[approval]\nover = 9\n[approval.scripts]\n\"scripts/main.lua\" = { over = 2 }\n",
        ),
        (SCRIPT.to_owned(), "[approval.scripts]\n\"scripts/main.lua\" = { always = true }\n"),
    ] {
        let service = Service::accepting();
        let project = project_with(&script, settings);
        waits(project.command_against(&service, &["run", "scripts/main.lua"])).exits(130);
        assert_eq!(reached(&service), [] as [&str; 0], "{script} {settings}");
    }
    let refused = SCRIPT.replace("message =", "approval = false, message =");
    let service = Service::accepting();
    project_with(&refused, OVER_TWO)
        .run_against(&service)
        .exits(1)
        .says("`approval = false` cannot lift what [approval] in mooncast.toml demands");
    let project =
        project_with(SCRIPT, "[approval]\nover = 10\n[approval.scripts]\n\"a.lua\" = { over = 11 }\n");
    project.run_against(&service).exits(2).says("can only be stricter");
    assert_eq!(service.requests().len(), 0);
}

#[test]
fn a_rehearsal_and_a_test_group_wait_for_nothing() {
    let service = Service::accepting();
    let script = r#"require("campaign").run {
      name = "news", to = "groups.csv", text = "hi", from = "a", test = { "900" }, approval = true,
    }"#;
    let project = project_with(script, "");
    project.mooncast(&["rehearse", "--json", "scripts/main.lua"]).exits(0).prints("\"sent\": 3");
    waits(project.command_against(&service, &["run", "scripts/main.lua"])).exits(130);
    assert_eq!(reached(&service), ["900"], "the approver looks at the test");
    project
        .mooncast(&["runs", "show", "news"])
        .exits(0)
        .prints("sent to its test groups: yes")
        .prints("groups looked up before: no")
        .prints("first recipients: 101, 102, 103")
        .prints("message to 101: \"hi\"");
    Ran::of(
        &project.command_against(&service, &["run", "--test-only", "scripts/main.lua"]).output().unwrap(),
    );
    assert_eq!(reached(&service), ["900"], "once");
    // A rehearsal beside a broadcast that waits.
    project.mooncast(&["rehearse", "--json", "scripts/main.lua"]).exits(0).prints("\"sent\": 3");
}
