//! Ramps and `stop_if`: a broadcast begins with few recipients, and pauses itself.

use std::process::Stdio;

use serde_json::Value;

use crate::support::service::{self, Service, json};
use crate::support::{Project, Ran, until};

fn script(count: usize, fields: &str) -> String {
    format!(
        r#"
        local groups = {{}}
        for i = 1, {count} do groups[i] = 100 + i end
        local report = im.broadcast {{
          name = "news", to = groups, {fields}, message = {{ from = "a", type = "txt", body = {{ msg = "hi" }} }},
        }}
        print(report.sent)"#
    )
}

#[test]
fn stages_and_their_pauses_pass_in_virtual_time() {
    for (fields, waits) in [
        ("ramp = { 1, 10, 100, pause = '5m' }", 2.0 * 300.0),
        ("ramp = { '10%', '50%', pause = '1h' }, pack = 3", 2.0 * 3600.0),
        ("ramp = { 40 }", 0.0),
    ] {
        let project = Project::with_script(script(40, fields));
        let ran = project.mooncast(&["rehearse", "--json", "--simulator", "scripts/main.lua"]).exits(0);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let broadcast = &report["broadcasts"][0];
        assert_eq!(broadcast["sent"], 40, "{fields}");
        let took = broadcast["seconds"].as_f64().unwrap();
        assert!((waits..waits + 30.0).contains(&took), "{fields}: {took}");
    }
}

#[test]
fn a_restart_keeps_the_stage_and_the_wait() {
    let service = Service::accepting();
    let project = Project::with_script(script(8, "ramp = { 2, 5, pause = '100h' }"));
    let begin = || {
        let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let shown = || project.mooncast(&["runs", "show", "news"]).stdout;
    let wait = || {
        let shown = shown();
        shown.lines().find(|line| line.contains("of its ramp is over")).map(str::to_owned)
    };
    let mut child = begin();
    until("the first stage is over", || wait().is_some());
    let first = wait().unwrap();
    assert!(first.contains("tage 1 of its ramp is over") && first.contains("until"), "{first}");
    assert_eq!(service.messages().len(), 2);
    child.kill().unwrap();
    child.wait().unwrap();
    project.wait_for_death();
    let mut child = begin();
    until("it waits again", || wait().is_some());
    assert_eq!(wait().unwrap(), first);
    assert_eq!(service.messages().len(), 2);
    child.kill().unwrap();
    child.wait().unwrap();
    project.wait_for_death();
    project.run_in_store("UPDATE broadcasts SET ramp_until = 1");
    let mut child = begin();
    until("the second stage is over", || wait().is_some_and(|line| line.contains("tage 2 of its ramp")));
    assert_eq!(service.messages().len(), 5);
    child.kill().unwrap();
    child.wait().unwrap();
    project.wait_for_death();
    project.run_in_store("UPDATE broadcasts SET ramp_until = 1");
    let ran = Ran::of(&begin().wait_with_output().unwrap());
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), "8\n"), "{ran:?}");
    assert_eq!(service.messages().len(), 8);
}

#[test]
fn a_condition_pauses_with_the_figures_and_a_resume_goes_on() {
    // The service refuses every fourth message.
    let service = Service::answering(|count, request| {
        if request.path.contains("/messages") && count % 4 == 3 {
            return json(400, r#"{"error":"illegal_argument"}"#);
        }
        service::accept(count, request)
    });
    let fields =
        "ramp = { 12, 36, pause = '1s' }, stop_if = 'rejected > 20% of 8', stop_after_failures = 100";
    let project = Project::with_script(script(36, fields));
    let ran = project.run_against(&service);
    assert_ne!(ran.status, Some(0));
    assert!(ran.stderr.contains("stop_if \"rejected > 20% of 8\": "), "{ran:?}");
    let sent = service.messages().len();
    assert!((8..=12).contains(&sent), "{sent}");
    project.mooncast(&["runs", "show", "news"]).exits(0).prints("is paused").prints("are rejected");
    // What was rejected before counts no longer; the next eight stop it again.
    project.run_against(&service);
    let more = service.messages().len();
    assert!(more >= sent + 8 && more < 36, "{sent}, {more}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let service = Service::accepting();
    for (fields, told) in [
        ("ramp = { 10, 1 }", "`ramp` must have stages that grow"),
        ("ramp = { 1, '10%' }", "`ramp` must have stages of one form"),
        ("ramp = {}", "`ramp` must have 1 to 20 stages"),
        ("ramp = { 1, pause = 'soon' }", "`ramp.pause` must be a time"),
        ("ramp = { 1, paus = '5m' }", "did you mean `pause`?"),
        ("stop_if = 'rejected > 2%'", "`stop_if` must be conditions like"),
        ("stop_if = 'failed > 2'", "must be one of rejected, in_doubt, missing"),
    ] {
        Project::with_script(script(2, fields)).run_against(&service).exits(1).says(told);
    }
    assert!(service.messages().is_empty());
}
