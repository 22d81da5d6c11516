//! An app is one app, however the address of its service is spelled: its caps, its suppression list, its broadcasts and its
//! `once` keys stay with it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::service::Service;
use crate::support::{Project, Ran};

const SCRIPT: &str = r#"
local name, groups = ...
local to = {}
for group in groups:gmatch("%d+") do to[#to + 1] = group end
local report = im.broadcast {
  name = name, to = to, cap = { per_group = 1, within = "7d" },
  message = { from = "a", type = "txt", body = { msg = name } },
}
im.group_send({ to = "900", from = "a", type = "txt", body = { msg = "once" } }, { once = "greeting" })
print("sent", report.sent, "skipped", report.skipped)
"#;

/// The address of a service with a zero before its port.
fn respelled(service: &Service) -> String {
    let url = service.url();
    let (host, port) = url.rsplit_once(':').unwrap();
    format!("{host}:0{port}")
}

fn mooncast(project: &Project, service: &Service, address: &str, args: &[&str]) -> Ran {
    Ran::of(&project.command_against(service, args).env("MOONCAST_BASE_URL", address).output().unwrap())
}

/// The groups that got a message, with its text.
fn reached(service: &Service) -> BTreeSet<String> {
    let named = |message: Value| {
        let (to, text) = (message["to"][0].clone(), message["body"]["msg"].clone());
        format!("{}: {}", to.as_str().unwrap(), text.as_str().unwrap())
    };
    service.messages().into_iter().map(named).collect()
}

#[test]
fn another_spelling_of_an_address_is_the_same_app() {
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT);
    let (plain, other) = (service.url(), format!("{}//", respelled(&service)));
    mooncast(&project, &service, &plain, &["suppress", "add", "101"]).exits(0);
    mooncast(&project, &service, &plain, &["run", "scripts/main.lua", "first", "102 103"])
        .exits(0)
        .prints("sent\t2");
    mooncast(&project, &service, &other, &["suppress", "list"]).exits(0).prints("group 101");
    mooncast(&project, &service, &other, &["run", "scripts/main.lua", "second", "101 102 103 104"])
        .exits(0)
        .prints("sent\t1\tskipped\t3");
    // The same broadcast goes on, and the single message was sent.
    mooncast(&project, &service, &other, &["run", "scripts/main.lua", "first", "102 103"]).exits(0);
    let expected = ["102: first", "103: first", "104: second", "900: once"];
    assert_eq!(reached(&service), expected.map(str::to_owned).into());
    assert_eq!(service.messages().len(), 4);
    assert_eq!(project.in_store("SELECT count(*) FROM apps"), 1);
}

#[test]
fn what_an_older_program_stored_by_another_spelling_still_counts() {
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT);
    let plain = service.url();
    mooncast(&project, &service, &plain, &["suppress", "add", "101"]).exits(0);
    mooncast(&project, &service, &plain, &["run", "scripts/main.lua", "first", "102"])
        .exits(0)
        .prints("sent\t1");
    let older = format!("{}/org/app", respelled(&service));
    project.run_in_store(&format!("UPDATE apps SET key = '{older}'"));
    mooncast(&project, &service, &plain, &["run", "scripts/main.lua", "second", "101 102 103"])
        .exits(0)
        .prints("sent\t1\tskipped\t2");
    assert_eq!(reached(&service), ["102: first", "103: second", "900: once"].map(str::to_owned).into());
    assert_eq!(project.in_store(&format!("SELECT count(*) FROM apps WHERE key <> '{plain}/org/app'")), 0);
}

#[test]
fn what_two_spellings_stored_is_one_list_and_one_count() {
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT);
    let plain = service.url();
    let elsewhere = format!("{plain}/older");
    // Another app, which becomes the same app by another spelling, as an older program stored it.
    mooncast(&project, &service, &elsewhere, &["suppress", "add", "101"]).exits(0);
    mooncast(&project, &service, &elsewhere, &["suppress", "add", "105"]).exits(0);
    for (name, groups) in [("first", "102"), ("older", "106"), ("unfinished", "107")] {
        mooncast(&project, &service, &elsewhere, &["run", "scripts/main.lua", name, groups]).exits(0);
    }
    mooncast(&project, &service, &plain, &["suppress", "add", "105", "--expires", "1h"]).exits(0);
    mooncast(&project, &service, &plain, &["run", "scripts/main.lua", "first", "103"]).exits(0);
    let sent = service.messages().len();
    let older = format!("{}/org/app", respelled(&service));
    project.run_in_store(&format!(
        "UPDATE apps SET key = '{older}' WHERE key LIKE '%/older/org/app';
         UPDATE broadcasts SET state = 1, finished_at = NULL WHERE name = 'unfinished'"
    ));

    let listed = mooncast(&project, &service, &plain, &["suppress", "list", "--json"]).exits(0).stdout;
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let ids: Vec<&str> = listed.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["101", "105"], "{listed:?}");
    assert!(listed[1]["expires_at"].is_null(), "the later end stays: {listed:?}");
    mooncast(&project, &service, &plain, &["run", "scripts/main.lua", "second", "101 102 103 104 105 106"])
        .exits(0)
        .prints("sent\t1\tskipped\t5");
    // A message by `once` that both sent is not sent a third time, and each broadcast is still there.
    assert_eq!(service.messages().len(), sent + 1);
    let kept = format!(
        "SELECT count(*) FROM broadcasts b JOIN apps a ON a.id = b.app WHERE b.name = 'first' AND a.key = '{plain}/org/app'"
    );
    assert_eq!(project.in_store(&kept), 2);
    // What may be old waits for a person.
    mooncast(&project, &service, &plain, &["runs", "show", "unfinished"])
        .exits(0)
        .prints("paused")
        .prints(&format!("its app's address was spelled {older}"));
}
