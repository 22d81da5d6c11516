//! A new plan keeps the stored one's groups, users, doubts and limits. It keeps nothing of a draft.

use std::collections::BTreeMap;

use crate::support::service::{Service, accept};
use crate::support::{Project, Ran};

fn file(all: impl IntoIterator<Item = u32>) -> String {
    all.into_iter().fold("group_id,name\n".to_owned(), |text, group| format!("{text}{group},n{group}\n"))
}

fn project(more: &str, groups: impl IntoIterator<Item = u32>) -> Project {
    let script = format!(
        "im.broadcast({{ name = 'news', to = 'groups.csv', rate = 50{more},
  message = function(row) return {{ type = 'txt', body = {{ msg = require('words') .. row.name }} }} end }})"
    );
    Project::with_script(script)
        .file("groups.csv", file(groups))
        .file("scripts/lib/words.lua", "return 'old '")
        .file("mooncast.toml", "[app.limits]\ngroup_per_second = 100000\n")
}

fn run(project: &Project, service: &Service, flags: &[&str]) -> Ran {
    let args = [&["run"], flags, &["scripts/main.lua"]].concat();
    Ran::of(&project.command_against(service, &args).output().unwrap())
}

/// Ends the process when it passes a fail point for the n-th time.
fn ends_at(project: &Project, service: &Service, point: &str, flags: &[&str]) {
    let args = [&["run"], flags, &["scripts/main.lua"]].concat();
    let mut command = project.command_against(service, &args);
    let ran = Ran::of(&command.env("MOONCAST_FAIL_POINT", point).output().unwrap());
    assert_eq!(ran.status, None, "{ran:#?}");
    service.wait_for_the_gone();
    project.wait_for_death();
}

/// Returns the texts of each group.
fn got(service: &Service) -> BTreeMap<String, Vec<String>> {
    let mut got: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in service.messages() {
        for group in message["to"].as_array().unwrap() {
            let text = message["body"]["msg"].as_str().unwrap_or_default().to_owned();
            got.entry(group.as_str().unwrap().to_owned()).or_default().push(text);
        }
    }
    got
}

/// Returns the states of each group's rows.
fn states(project: &Project) -> BTreeMap<String, Vec<String>> {
    let ran = project.mooncast(&["runs", "export", "news", "--format", "jsonl"]).exits(0);
    let mut states: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in ran.stdout.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let state = row["state"].as_str().unwrap().to_owned();
        states.entry(row["group_id"].as_str().unwrap().to_owned()).or_default().push(state);
    }
    states
}

fn went(ran: &Ran) {
    assert!([Some(0), Some(3)].contains(&ran.status), "{ran:#?}");
}

/// Checks that every group has at most one text, and that a group without one is in doubt, cancelled or skipped.
fn once(project: &Project, service: &Service) {
    let got = got(service);
    assert!(got.values().all(|texts| texts.len() == 1), "{got:?}");
    for (group, states) in states(project).into_iter().filter(|(group, _)| !group.is_empty()) {
        let known = ["sent", "in_doubt", "cancelled", "skipped", "rejected"];
        assert!(states.iter().all(|state| known.contains(&state.as_str())), "{group}: {states:?}");
        assert!(got.contains_key(&group) || !states.contains(&"sent".to_owned()), "{group}: {states:?}");
    }
}

#[test]
fn packed_calls_in_doubt_keep_all_their_groups_in_doubt() {
    let (project, service) = (project("", 1001..1031), Service::accepting());
    // Only groups with the same message share a call.
    project.write(
        "scripts/main.lua",
        "im.broadcast({ name = 'news', to = 'groups.csv', rate = 50, pack = 3,
  message = { type = 'txt', body = { msg = require('words') } } })",
    );
    ends_at(&project, &service, "after-request:3", &[]);
    project.write("scripts/lib/words.lua", "return 'new '");
    went(&run(&project, &service, &["--replan"]));
    once(&project, &service);
    let in_doubt = states(&project).values().flatten().filter(|state| *state == "in_doubt").count();
    assert!(in_doubt >= 3 && in_doubt.is_multiple_of(3), "{in_doubt}");
}

#[test]
fn doubts_are_held_though_the_broadcast_resends_them() {
    let (project, service) = (project(", in_doubt = 'resend'", 1001..1021), Service::accepting());
    ends_at(&project, &service, "after-request:8", &[]);
    project.write("scripts/lib/words.lua", "return 'new '");
    went(&run(&project, &service, &["--replan"]));
    once(&project, &service);
    assert!(states(&project).values().flatten().any(|state| state == "in_doubt"));
}

#[test]
fn excluded_groups_stay_left_out_of_a_new_plan() {
    let (project, service) =
        (project(", exclude = { broadcast = 'before' }", 1001..1021), Service::accepting());
    project.write(
        "scripts/before.lua",
        "im.broadcast({ name = 'before', to = { 1019, 2001 }, message = { type = 'txt', body = { msg = 'b' } } })",
    );
    let args = ["run", "scripts/before.lua"];
    Ran::of(&project.command_against(&service, &args).output().unwrap()).exits(0);
    let before = service.messages().len();
    ends_at(&project, &service, "after-request:5", &[]);
    project.write("groups.csv", file((1001..1021).chain(2001..2004)));
    went(&run(&project, &service, &["--replan"]));
    let later: Vec<String> = service.messages()[before..]
        .iter()
        .map(|message| message["to"][0].as_str().unwrap().to_owned())
        .collect();
    assert!(!later.contains(&"1019".to_owned()) && !later.contains(&"2001".to_owned()), "{later:?}");
    assert!(later.contains(&"2002".to_owned()), "{later:?}");
}

#[test]
fn a_new_plan_over_max_recipients_is_refused_and_the_stored_one_stays() {
    let (project, service) = (project(", max_recipients = 20", 1001..1021), Service::accepting());
    ends_at(&project, &service, "after-request:5", &[]);
    project.write("groups.csv", file(1001..1041));
    let before = service.messages().len();
    let ran = run(&project, &service, &["--replan"]);
    assert_ne!(ran.status, Some(0), "{ran:#?}");
    ran.says("max_recipients");
    assert_eq!(service.messages().len(), before);
    project.write("groups.csv", file(1001..1021));
    went(&run(&project, &service, &["--continue"]));
    once(&project, &service);
}

#[test]
fn a_line_that_becomes_bad_is_left_out_of_a_new_plan_and_named() {
    let (project, service) = (project(", skip_bad = true", 1001..1021), Service::accepting());
    ends_at(&project, &service, "after-request:5", &[]);
    project.write("groups.csv", format!("{}bad id,x\n", file(1001..1020)));
    went(&run(&project, &service, &["--replan"]).says("1 bad line was skipped"));
    once(&project, &service);
    let skipped = project.mooncast(&["runs", "export", "news", "--state", "skipped", "--format", "jsonl"]);
    assert_eq!(skipped.exits(0).stdout.lines().count(), 1);
    let last = &states(&project)["1020"];
    assert!(["cancelled", "sent", "in_doubt"].contains(&last[0].as_str()), "{last:?}");
}

#[test]
fn test_messages_are_those_of_the_new_plan_and_not_sent_to_the_audience_twice() {
    let campaign = |text: &str| {
        format!(
            "require('campaign').run({{ name = 'news', to = 'groups.csv', text = '{text} {{{{ name }}}}', rate = 50, test = {{ '9001' }}, test_as = {{ name = 'x' }} }})"
        )
    };
    let (project, service) = (project("", 1001..1021), Service::accepting());
    project.write("scripts/main.lua", campaign("old"));
    ends_at(&project, &service, "after-request:8", &[]);
    project.write("scripts/main.lua", campaign("new"));
    let before = service.messages().len();
    let ran = run(&project, &service, &[]);
    ran.exits(2).says("--replan");
    assert_eq!(service.messages().len(), before, "the test went out before the question");
    went(&run(&project, &service, &["--replan"]));
    let got = got(&service);
    let twice = got.iter().find(|(group, texts)| *group != "9001" && texts.len() != 1);
    assert!(twice.is_none(), "{twice:?}");
    assert!(
        service.messages()[before..]
            .iter()
            .all(|one| one["body"]["msg"].as_str().unwrap().starts_with("new"))
    );
}

#[test]
fn a_rehearsal_says_that_changed_inputs_would_be_refused() {
    let (project, service) = (project("", 1001..1021), Service::accepting());
    ends_at(&project, &service, "after-request:8", &[]);
    project.write("scripts/lib/words.lua", "return 'new '");
    let before = service.messages().len();
    let args = ["rehearse", "scripts/main.lua"];
    let ran = Ran::of(&project.command_against(&service, &args).output().unwrap());
    assert_ne!(ran.status, Some(0), "{ran:#?}");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    for text in ["started from other inputs", "the module words", "--continue", "--replan"] {
        assert!(said.contains(text), "no {text:?} in {said}");
    }
    assert_eq!(service.messages().len(), before);
    // The command asks about the stored plan and does not change it.
    let show = project.mooncast(&["runs", "show", "news"]).exits(0);
    show.prints("interrupted");
}

#[test]
fn a_draft_that_a_killed_process_left_is_gone_with_the_next_run() {
    let (project, service) = (project("", 1001..1021), Service::accepting());
    ends_at(&project, &service, "after-request:8", &[]);
    project.write("scripts/lib/words.lua", "return 'new '");
    ends_at(&project, &service, "before-replan:1", &["--replan"]);
    let count = |project: &Project| project.in_store("SELECT count(*) FROM broadcasts WHERE draft");
    assert_eq!(count(&project), 1);
    project.write(
        "scripts/other.lua",
        "im.broadcast({ name = 'other', to = { 1 }, message = { type = 'txt', body = { msg = 'x' } } })",
    );
    let args = ["run", "scripts/other.lua"];
    Ran::of(&project.command_against(&service, &args).output().unwrap()).exits(0);
    assert_eq!(count(&project), 0);
    went(&run(&project, &service, &["--replan"]));
    once(&project, &service);
}

#[test]
fn a_draft_that_a_killed_process_left_is_gone_with_prune() {
    let (project, service) = (project("", 1001..1021), Service::answering(accept));
    ends_at(&project, &service, "after-request:8", &[]);
    project.write("scripts/lib/words.lua", "return 'new '");
    ends_at(&project, &service, "in-draft:1", &["--replan"]);
    let count = |project: &Project| project.in_store("SELECT count(*) FROM broadcasts WHERE draft");
    assert_eq!(count(&project), 1);
    project.mooncast(&["runs", "prune", "--older-than", "90"]).exits(0);
    assert_eq!(count(&project), 0);
}
