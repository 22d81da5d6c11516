//! A run of one host that waits while another host sends, or is gone.

use serde_json::json;

use super::has_server;
use crate::approval::{OVER_TWO, SCRIPT, approve, awaited, project_with, reached, system_user, token};
use crate::daemon::Serving;
use crate::support::service::Service;
use crate::support::{Project, until};
use crate::web::{Site, listening};

/// Makes a second host with the same files.
fn beside(first: &Project) -> Project {
    let second = first.beside();
    for name in ["scripts/main.lua", "groups.csv", "mooncast.toml"] {
        second.write(name, std::fs::read(first.path(name)).unwrap());
    }
    second
}

fn serve(project: &Project, service: &Service, roles: &str) -> Serving {
    let args = ["serve", "--listen", "127.0.0.1:0", "--roles", roles];
    Serving::start(project.command_against(service, &args))
}

#[test]
fn a_run_whose_broadcast_another_host_sends_is_cancelled_by_a_rejection() {
    if !has_server() {
        return;
    }
    let service = Service::accepting();
    let job = format!("{SCRIPT}\nrequire('schedule').every('10000h', {{ name = 'daily' }}, main)");
    let first = project_with(&job, OVER_TWO);
    let second = beside(&first);
    let (scheduler, sender) = (serve(&first, &service, "schedule"), serve(&second, &service, "send"));
    first.mooncast(&["jobs", "trigger", "daily"]).exits(0);
    until("it waits", || first.mooncast(&["runs", "list"]).stdout.contains("awaiting_approval"));
    second.mooncast(&["runs", "reject", "news", "--note", "too dear"]).exits(0);
    scheduler.says("run cancelled", 1);
    let shown = first.mooncast(&["jobs", "show", "daily"]).exits(0).prints("cancelled");
    shown.prints(&format!("was rejected by {}: too dear; nothing of it was sent", system_user()));
    assert_eq!(reached(&service), [] as [&str; 0]);
    scheduler.stop().exits(0);
    sender.stop().exits(0);
}

#[test]
fn a_run_that_is_held_to_a_plan_goes_on_on_another_host_with_the_same_plan() {
    if !has_server() {
        return;
    }
    let service = Service::accepting();
    let script = r#"
    function main(args)
      require("campaign").run { name = "news", run = "1", to = "groups.csv", from = "a", text = "hi", test = { "900" } }
    end"#;
    let first = project_with(script, OVER_TWO);
    let second = beside(&first);
    let bob = token(&first, "bob", &["--role", "approver"]);
    let site = Site::of_against(first, &service);
    site.until("/scripts", |scripts| scripts[0]["script"]["version"].is_string());
    let rehearsal = site.post("/scripts/rehearse", &json!({ "script": "main.lua", "args": [] })).json();
    let place = format!("/rehearsals/{}", rehearsal["id"]);
    let plan = site.until(&place, |found| found["state"] == "finished")["plan"].clone();
    let asked = site.post("/scripts/run", &json!({ "script": "main.lua", "args": [], "plan": plan }));
    assert_eq!(asked.status, 202, "{asked:?}");
    // Its test message is sent, and then it waits on the first host.
    awaited(&site);
    assert_eq!(reached(&service), ["900"]);
    let args = ["serve", "--listen", "127.0.0.1:0"];
    let (serving, address) = listening(second.command_against(&service, &args));
    let Site { project: _first, serving: dies, operate, read, .. } = site;
    dies.kill();
    let site = Site { project: second, serving, address, operate, read };
    site.until("/runs", |runs| runs[0]["attempt"] == 2 && runs[0]["state"] == "running");
    let broadcast = awaited(&site);
    assert_eq!(approve(&site, &broadcast, &bob).status, 200);
    let run = site.until("/runs", |runs| !runs[0]["finished_at"].is_null())[0].clone();
    assert_eq!((&run["state"], &run["plan"]), (&json!("done"), &plan), "{run:#}");
    assert_eq!(reached(&service), ["101", "102", "103", "900"], "each message is sent once");
    site.serving.stop().exits(0);
}
