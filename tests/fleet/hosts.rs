//! What each host of a fleet does, how it is shown, and what only one host reports.

use rustix::process::Signal;
use serde_json::Value;

use super::has_server;
use crate::daemon::Serving;
use crate::support::service::{Service, json};
use crate::support::{Project, Ran, until};

const SCRIPT: &str = r#"
require("schedule").every("10000h", { name = "news" }, function()
  local groups = {}
  for i = 1, 30 do groups[i] = 1000 + i end
  local report = im.broadcast { name = "news", to = groups, message = { type = "txt", body = { msg = "hi" } } }
  print("reported", report.sent, report.in_doubt)
end)
"#;

const LIMITS: &str = "[app.limits]\ngroup_per_second = 1000\n";

fn serve(project: &Project, service: &Service, roles: &str) -> Serving {
    let args = ["serve", "--listen", "127.0.0.1:0", "--roles", roles];
    Serving::start(project.command_against(service, &args))
}

/// Makes a second host with the same files.
fn beside(first: &Project, script: &str, settings: &str) -> Project {
    let other = first.beside();
    other.write("scripts/main.lua", script);
    other.write("mooncast.toml", settings);
    other
}

fn hosts(project: &Project) -> (Option<i32>, Vec<Value>) {
    let ran = project.mooncast(&["hosts", "--json"]);
    (ran.status, serde_json::from_str(&ran.stdout).unwrap())
}

#[test]
fn who_only_schedules_has_others_send() {
    if !has_server() {
        return;
    }
    let service = Service::accepting();
    let first = Project::with_script(SCRIPT).file("mooncast.toml", LIMITS);
    let second = beside(&first, SCRIPT, LIMITS);
    let (scheduler, sender) = (serve(&first, &service, "schedule"), serve(&second, &service, "send"));

    let (status, shown) = hosts(&first);
    assert_eq!(status, Some(0), "{shown:?}");
    let mut roles: Vec<_> = shown.iter().map(|host| host["roles"][0].as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["schedule", "send"]);
    assert!(shown.iter().all(|host| host["alive"] == true && host["differs"] == false), "{shown:?}");

    first.mooncast(&["jobs", "trigger", "news"]).exits(0);
    // The script gets the final report, although its host has sent no messages.
    scheduler.prints("reported\t30\t0", 1);
    sender.says("a broadcast continues where it stopped", 1);
    sender.says("broadcast finished", 1);
    assert_eq!(service.messages().len(), 30);
    assert!(sender.printed().is_empty());
    scheduler.stop().exits(0).never_says("continues where it stopped");
    sender.stop().exits(0).never_says("run started");
    assert_eq!(hosts(&first).1, [] as [Value; 0], "who has stopped is none");
}

#[test]
fn a_host_with_other_scripts_is_shown_and_leaves_the_job_to_those_that_have_the_version_in_force() {
    if !has_server() {
        return;
    }
    let service = Service::accepting();
    let first = Project::with_script(SCRIPT).file("mooncast.toml", LIMITS);
    let other = SCRIPT.replace("reported", "of the other version");
    let (second, third) = (beside(&first, SCRIPT, LIMITS), beside(&first, &other, LIMITS));
    let serving = [&first, &second, &third].map(|project| serve(project, &service, "schedule,send"));
    let (status, shown) = hosts(&first);
    assert_eq!(status, Some(3));
    let differ: Vec<_> = shown.iter().filter(|host| host["differs"] == true).collect();
    assert_eq!(differ.len(), 1, "{shown:?}");
    assert_eq!(differ[0]["pid"].as_u64().unwrap(), u64::from(serving[2].child().id()));
    Ran::of(&first.command(&["hosts"]).output().unwrap())
        .exits(3)
        .prints("alive, but its scripts differ from those of most hosts");

    first.mooncast(&["jobs", "trigger", "news"]).exits(0);
    // Whichever host has it.
    let over = || first.mooncast(&["jobs", "list"]).exits(0).stdout.contains("done ");
    until("the run ends well", over);
    let [one, two, three] = serving.map(|host| host.stop().exits(0).stdout);
    assert_eq!(service.messages().len(), 30);
    assert_eq!([&one, &two].into_iter().filter(|printed| printed.contains("reported\t30")).count(), 1);
    assert_eq!(three, "", "it sends, but does not run the job");
}

#[test]
fn a_run_that_others_have_taken_over_is_ended_where_it_was() {
    if !has_server() {
        return;
    }
    let service = Service::accepting();
    let script = "local schedule, fs, task = require('schedule'), require('fs'), require('task')
        schedule.every('10000h', { name = 'news' }, function()
          if fs.exists('stuck') then task.sleep(3600) end
          print('ends')
        end)";
    let first = Project::with_script(script).file("mooncast.toml", LIMITS).file("stuck", "");
    let second = beside(&first, script, LIMITS);
    let one = serve(&first, &service, "schedule,send");
    first.mooncast(&["jobs", "trigger", "news"]).exits(0);
    one.says("run started", 1);
    let two = serve(&second, &service, "schedule,send");
    one.signal(Signal::STOP);
    two.prints("ends", 1);
    one.signal(Signal::CONT);
    one.says("stopping this run: this host sent no heartbeat for too long", 1);
    // The run does not count as running there either.
    two.stop().exits(0);
    std::fs::remove_file(first.path("stuck")).unwrap();
    first.mooncast(&["jobs", "trigger", "news"]).exits(0);
    one.prints("ends", 1);
    one.stop().exits(0).never_says("skipped");
}

#[test]
fn what_goes_wrong_is_told_once_and_not_once_a_host() {
    if !has_server() {
        return;
    }
    let service = Service::accepting();
    let webhook = Service::answering(|_, _| json(204, ""));
    let broken = "error('nobody can run this')";
    let settings = format!("{LIMITS}[alerts]\nurl = \"{}/alerts\"\n", webhook.url());
    let first = Project::with_script(broken).file("mooncast.toml", &settings);
    let second = beside(&first, broken, &settings);
    let serving = [&first, &second].map(|project| serve(project, &service, "schedule,send"));
    webhook.wait_for(1);
    for host in serving {
        // All reports are made by the end, or at the next start.
        host.stop().exits(0);
    }
    first.schema().run("DO $$ BEGIN ASSERT (SELECT count(*) FROM alerts) = 1; END $$");
    let told = webhook.requests();
    assert_eq!(told.len(), 1, "{:?}", told.iter().map(|one| one.json().to_string()).collect::<Vec<_>>());
}

#[test]
fn a_role_that_there_is_not_is_refused() {
    let project = Project::with_script(SCRIPT);
    project
        .mooncast(&["serve", "--simulator", "--roles", "schedule,sing"])
        .exits(2)
        .says("`sing` is not a role; the roles are schedule, send and page");
    let project = project.file("mooncast.toml", "[serve]\nroles = []\n");
    project.mooncast(&["serve", "--simulator"]).exits(2).says("a host without a role does nothing");
}
