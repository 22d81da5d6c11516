//! Inputs that change while a daemon is down, or under a broadcast that it drives.
//!
//! On a server: in the soak

use std::collections::BTreeMap;

use rustix::process::Signal;

use crate::daemon::Serving;
use crate::support::service::Service;
use crate::support::{Project, Ran, until};

/// A job's broadcast from a file, a template and a module.
const JOB: &str = r#"
local schedule, fs = require("schedule"), require("fs")
local words = require("words")
schedule.every("10000h", { name = "news" }, function()
  local hello = fs.read("hello.txt")
  im.broadcast({ name = "news", run = "1", to = "groups.csv", rate = 20,
    message = function(row) return { type = "txt", body = { msg = words .. hello .. row.group_id } } end })
  print("over")
end)
"#;

fn groups(all: impl IntoIterator<Item = u32>) -> String {
    all.into_iter().fold("group_id\n".to_owned(), |text, group| format!("{text}{group}\n"))
}

fn project(script: &str) -> Project {
    Project::with_script(script)
        .file("groups.csv", groups(1001..1041))
        .file("hello.txt", "hello ")
        .file("scripts/lib/words.lua", "return 'old '")
        .file("mooncast.toml", "[app.limits]\ngroup_per_second = 100000\n")
}

fn serve(project: &Project, service: &Service) -> Serving {
    Serving::start(project.command_against(service, &["serve", "--listen", "nowhere"]))
}

fn mooncast(project: &Project, service: &Service, args: &[&str]) -> Ran {
    Ran::of(&project.command_against(service, args).output().unwrap())
}

/// Kills a daemon while it sends a broadcast.
fn killed(script: &str) -> (Project, Service) {
    let (project, service) = (project(script), Service::accepting());
    let serving = serve(&project, &service);
    mooncast(&project, &service, &["jobs", "trigger", "news"]).exits(0);
    service.wait_for(8);
    serving.kill();
    service.wait_for_the_gone();
    project.wait_for_death();
    (project, service)
}

/// Returns the number of messages of each group, and the texts after the first `before` messages.
fn got(service: &Service, before: usize) -> (BTreeMap<String, usize>, Vec<String>) {
    let (mut times, mut texts) = (BTreeMap::new(), Vec::new());
    for (number, message) in service.messages().into_iter().enumerate() {
        *times.entry(message["to"][0].as_str().unwrap().to_owned()).or_default() += 1;
        if number >= before {
            texts.push(message["body"]["msg"].as_str().unwrap().to_owned());
        }
    }
    (times, texts)
}

/// Checks that no message leaves after a start and that the change is reported.
fn held(project: &Project, service: &Service, what: &str) -> (Serving, usize) {
    let before = service.messages().len();
    let serving = serve(project, service);
    serving.says("cannot send the broadcast: inputs changed", 1);
    serving.says(what, 1);
    // The restarted run has also compared.
    serving.says("run failed", 1);
    let show = mooncast(project, service, &["runs", "show", "news"]).exits(0);
    show.prints("is paused").prints("inputs changed").prints(what).prints("--continue").prints("--replan");
    assert_eq!(service.messages().len(), before);
    (serving, before)
}

fn ends(project: &Project, service: &Service) {
    until("it is over", || {
        mooncast(project, service, &["runs", "show", "news"]).stdout.contains(" is finished")
    });
    let (times, _) = got(service, 0);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

fn continued(serving: Serving, project: &Project, service: &Service, before: usize) {
    mooncast(project, service, &["runs", "resume", "news", "--continue"])
        .exits(0)
        .prints("continues in the daemon");
    ends(project, service);
    let (_, texts) = got(service, before);
    assert!(!texts.is_empty() && texts.iter().all(|text| text.starts_with("old hello ")), "{texts:?}");
    serving.signal(Signal::TERM);
    serving.ended().exits(0);
}

fn replanned(serving: Serving, project: &Project, service: &Service, before: usize) -> Vec<String> {
    mooncast(project, service, &["runs", "resume", "news", "--replan"]).exits(0).prints("gets a new plan");
    ends(project, service);
    serving.signal(Signal::TERM);
    serving.ended().exits(0);
    got(service, before).1
}

#[test]
fn a_list_that_changed_while_the_daemon_was_down_is_asked_about_and_continues_as_stored() {
    let (project, service) = killed(JOB);
    project.write("groups.csv", groups(3001..3011));
    let (serving, before) = held(&project, &service, "the audience groups.csv");
    continued(serving, &project, &service, before);
}

#[test]
fn a_list_that_changed_while_the_daemon_was_down_is_planned_anew() {
    let (project, service) = killed(JOB);
    project.write("groups.csv", groups((1001..1031).chain(2001..2011)));
    let (serving, before) = held(&project, &service, "the audience groups.csv");
    let texts = replanned(serving, &project, &service, before);
    for group in 2001..2011 {
        assert!(texts.contains(&format!("old hello {group}")), "{group}: {texts:?}");
    }
    assert!(!texts.iter().any(|text| text.ends_with("1035")), "{texts:?}");
}

#[test]
fn a_template_that_changed_while_the_daemon_was_down_is_planned_anew() {
    let (project, service) = killed(JOB);
    project.write("hello.txt", "welcome ");
    let (serving, before) = held(&project, &service, "the file hello.txt");
    let texts = replanned(serving, &project, &service, before);
    assert!(!texts.is_empty() && texts.iter().all(|text| text.starts_with("old welcome ")), "{texts:?}");
}

#[test]
fn a_module_that_changed_while_the_daemon_was_down_is_planned_anew() {
    let (project, service) = killed(JOB);
    project.write("scripts/lib/words.lua", "return 'new '");
    let (serving, before) = held(&project, &service, "the module words");
    let texts = replanned(serving, &project, &service, before);
    assert!(!texts.is_empty() && texts.iter().all(|text| text.starts_with("new hello ")), "{texts:?}");
}

#[test]
fn a_script_that_changed_while_the_daemon_was_down_continues_as_stored() {
    let (project, service) = killed(JOB);
    project.write("scripts/main.lua", JOB.replace("words ..", "'never ' .."));
    let (serving, before) = held(&project, &service, "the script");
    continued(serving, &project, &service, before);
}

#[test]
fn what_did_not_change_goes_on_by_itself() {
    let (project, service) = killed(JOB);
    let serving = serve(&project, &service);
    ends(&project, &service);
    serving.stop().exits(0);
}

#[test]
fn a_broadcast_whose_script_is_gone_is_paused_and_told() {
    let (project, service) = killed(JOB);
    let before = service.messages().len();
    std::fs::remove_file(project.path("scripts/main.lua")).unwrap();
    project.write("scripts/other.lua", "local x = 1");
    let serving = serve(&project, &service);
    serving.says("cannot send the broadcast: inputs changed: changed: the script", 1);
    serving.says("run failed", 1);
    assert_eq!(service.messages().len(), before);
    let refused = mooncast(&project, &service, &["runs", "resume", "news", "--replan"]);
    assert_ne!(refused.status, Some(0), "{refused:#?}");
    refused.says("no script declares the job `news`");
    continued(serving, &project, &service, before);
}

#[test]
fn a_new_run_after_its_script_changed_under_a_live_daemon_pauses_the_broadcast() {
    let job = |text: &str| {
        format!(
            "local schedule = require('schedule')
            for _, name in ipairs({{ 'first', 'second' }}) do
              schedule.every('10000h', {{ name = name }}, function()
                im.broadcast({{ name = 'news', run = '1', to = 'groups.csv', rate = 4,
                  message = {{ type = 'txt', body = {{ msg = '{text}' }} }} }})
              end)
            end"
        )
    };
    let (project, service) = (project(&job("old")), Service::accepting());
    let serving = serve(&project, &service);
    mooncast(&project, &service, &["jobs", "trigger", "first"]).exits(0);
    service.wait_for(2);
    project.write("scripts/main.lua", job("new"));
    serving.says("script loaded in a new version", 1);
    mooncast(&project, &service, &["jobs", "trigger", "second"]).exits(0);
    serving.says("was started from other inputs", 1);
    let show = mooncast(&project, &service, &["runs", "show", "news"]).exits(0);
    show.prints("is paused").prints("the script").prints("\"old\"").prints("\"new\"");
    let before = service.messages().len();
    mooncast(&project, &service, &["runs", "resume", "news", "--replan"]).exits(0);
    until("the new text leaves", || got(&service, before).1.contains(&"new".to_owned()));
    mooncast(&project, &service, &["runs", "cancel", "news"]).exits(0);
    let (times, _) = got(&service, 0);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    serving.stop().exits(0);
}
