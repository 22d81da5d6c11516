//! Runs of the command line as recorded runs: their rows, their output and what they sent; and that no daemon touches them.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::approval::system_user;
use crate::support::service::Service;
use crate::support::{Project, Ran, store, until};
use crate::web::{Site, request};

const SCRIPT: &str = "local log, task = require('log'), require('task')
function main(args)
  print('hello', args[1])
  if args[1] == 'quick' then return end
  if args[1] == 'looks' then error('nobody there') end
  log.warn('careful')
  im.broadcast { name = 'b', to = { 1, 2 }, message = { from = 'a', type = 'txt', body = { msg = 'x' } } }
  im.group_send { to = 3, from = 'a', type = 'txt', body = { msg = 'x' } }
  print('sent')
  if args[1] == 'waits' then task.sleep(1000000) end
  error('no such list')
end";

const NAME: &str = "run scripts/main.lua";

fn ended(mut command: Command) -> Ran {
    Ran::of(&command.output().unwrap())
}

/// The ids of the runs of a name, the newest first.
fn runs(project: &Project, name: &str) -> Vec<String> {
    let shown = project.mooncast(&["jobs", "show", name]).exits(0).stdout;
    let is_run = |line: &&str| line.starts_with("  2");
    let id = |line: &str| format!("{name}@{}", line.split_whitespace().next().unwrap());
    shown.lines().filter(is_run).map(id).collect()
}

fn address(id: &str) -> String {
    format!("/runs/{}", id.replace('/', "%2F").replace(' ', "%20").replace('@', "%40"))
}

#[test]
fn a_run_is_recorded_with_who_ran_it_its_output_and_what_it_sent() {
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT);
    let args = ["run", "scripts/main.lua", "Berlin", "token=abc"];
    ended(project.command_against(&service, &args)).exits(1).says("no such list");
    let id = runs(&project, NAME).remove(0);
    let logs = project.mooncast(&["jobs", "logs", NAME]).exits(0).stdout;
    let lines: Vec<&str> = logs.lines().collect();
    assert!(lines[0].ends_with(" print hello\tBerlin"), "{logs}");
    assert!(lines[1].contains(" warn  careful (scripts/main.lua:"), "{logs}");
    assert!(lines[2].ends_with(" print sent"), "{logs}");
    assert!(lines[3].contains(" error ") && lines[3].contains("no such list"), "{logs}");
    assert!(lines[4..].iter().any(|line| line.contains("scripts/main.lua:")), "{logs}");
    let shown = project.mooncast(&["jobs", "show", &id]).exits(0);
    let by = format!("on the command line, by {} at ", system_user());
    let shown = shown.prints(": failed").prints(&by).prints(r#"["Berlin","token=[hidden]"]"#);
    shown.prints("b/1").prints("sent to 2 of 2").prints("to 3: sent");
    project.mooncast(&["jobs", "show", NAME]).exits(0).prints(" at ").prints("no such list");
    project.mooncast(&["runs", "show", "b"]).exits(0).prints(&format!("job run: {id}"));

    let site = Site::of_against(project, &service);
    let detail = site.json(&address(&id));
    assert_eq!(detail["run"]["state"], "failed", "{detail:#}");
    assert_eq!(detail["run"]["command_line"]["user"], json!(system_user()));
    assert_eq!(detail["script"], "scripts/main.lua");
    assert_eq!(detail["broadcasts"][0]["job_runs"], json!([id]));
    assert_eq!(detail["sends"][0]["groups"], json!(["3"]));
    let output = site.json(&format!("{}/output", address(&id)));
    assert_eq!((&output["lines"][0]["text"], &output["over"]), (&json!("hello\tBerlin"), &json!(true)));
    let bearer = format!("Bearer {}", site.operate);
    let headers = [("authorization", bearer.as_str()), ("accept-language", "zh")];
    let page = format!("GET /run?id={}", id.replace(' ', "%20"));
    let page = request(&site.address, &page, &headers, b"").body;
    assert!(page.contains("命令行") && page.contains("no such list"), "{page}");
    // The operator of the command line saw its failure.
    assert_eq!(site.json("/overview")["needs"], json!([]));
    site.serving.stop().exits(0);
}

#[test]
fn a_run_that_only_looks_makes_no_ledger_and_is_recorded_where_there_is_one() {
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT);
    let looks = |project: &Project| {
        ended(
            project.command_against(&service, &["run", "scripts/main.lua", "looks", "token=canary-of-args"]),
        )
    };
    looks(&project).exits(1);
    if store::server().is_none() {
        assert!(!project.path(".mooncast/ledger.db").exists());
        ended(project.command_against(&service, &["run", "scripts/main.lua"])).exits(1);
        looks(&project).exits(1);
    }
    let id = runs(&project, NAME).remove(0);
    project.mooncast(&["jobs", "show", &id]).exits(0).prints(": failed").prints("nobody there");
    let logs = project.mooncast(&["jobs", "logs", NAME]).exits(0);
    logs.prints("print hello\tlooks").prints("nobody there");
    assert!(!project.keeps("canary-of-args"));
    // Code from standard input, evaluated code, a script elsewhere, and a job of a script have their names.
    project.write("other.lua", "print('elsewhere')");
    project.write(
        "scripts/jobs.lua",
        "require('schedule').every('10000h', { name = 'daily' }, function() print('as a job') end)",
    );
    ended(project.command_against(&service, &["run", "other.lua"])).exits(0);
    ended(project.command_against(&service, &["eval", "--yes", "1 + 1"])).exits(0);
    ended(project.command_against(&service, &["run", "scripts/jobs.lua", "--job", "daily"])).exits(0);
    let mut piped = project.command_against(&service, &["run", "-"]);
    let file = std::fs::File::open(project.path("other.lua")).unwrap();
    piped.stdin(file);
    ended(piped).exits(0);
    for (name, said) in [
        ("run ./other.lua", "elsewhere"),
        ("run eval", "2"),
        ("run -", "elsewhere"),
        ("run scripts/jobs.lua", "as a job"),
    ] {
        project.mooncast(&["jobs", "logs", name]).exits(0).prints(said);
    }
    let id = runs(&project, "run scripts/jobs.lua").remove(0);
    project.mooncast(&["jobs", "show", &id]).exits(0).prints(": done").prints("only the job daily");
    project.mooncast(&["jobs"]).exits(0).prints("run ./other.lua");
    // It is no run of the job.
    assert!(!project.mooncast(&["jobs"]).stdout.lines().any(|line| line.starts_with("daily")));
}

#[test]
fn a_killed_run_is_interrupted_and_stands_in_no_daemon_s_way() {
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT);
    let mut child = Project::start(project.command_against(&service, &["run", "scripts/main.lua", "waits"]));
    let logs = || project.mooncast(&["jobs", "logs", NAME]).stdout;
    until("it has written its output", || logs().contains("print sent"));
    let id = runs(&project, NAME).remove(0);
    let site = Site::of_against(project, &service);
    site.until("/scripts", |scripts| scripts[0]["script"]["version"].is_string());
    assert_eq!(site.json(&address(&id))["run"]["state"], "running");
    // The daemon runs the same script meanwhile.
    let asked = site.post("/scripts/run", &json!({ "script": "main.lua", "args": ["quick"] }));
    assert_eq!(asked.status, 202, "{asked:?}");
    let states = |runs: &Value| -> Vec<String> {
        let runs = runs.as_array().unwrap();
        runs.iter().map(|run| run["state"].as_str().unwrap().to_owned()).collect()
    };
    site.until("/runs", |runs| states(runs) == ["done", "running"]);
    child.kill().unwrap();
    child.wait().unwrap();
    until("its process is known to be dead", || states(&site.json("/runs")) == ["done", "interrupted"]);
    let shown = site.project.mooncast(&["jobs", "show", &id]).exits(0);
    shown
        .prints(": interrupted")
        .prints("its process ended before the run did")
        .prints("attempt 1")
        .prints("print sent");
    assert_eq!(service.messages().len(), 3, "nothing is sent again");
    assert_eq!(site.json("/overview")["needs"], json!([]));
    site.serving.stop().exits(0);
}

#[test]
fn a_killed_run_is_shown_as_interrupted_without_a_daemon() {
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT);
    let mut child = Project::start(project.command_against(&service, &["run", "scripts/main.lua", "waits"]));
    let shown = || project.mooncast(&["jobs", "show", NAME]).stdout;
    until("it is recorded", || shown().contains(" running"));
    child.kill().unwrap();
    child.wait().unwrap();
    until("its process is known to be dead", || shown().contains(" interrupted"));
}

#[test]
fn an_interrupted_run_says_so() {
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT);
    let mut child = Project::start(project.command_against(&service, &["run", "scripts/main.lua", "waits"]));
    let shown = || project.mooncast(&["jobs", "show", NAME]).stdout;
    until("it is recorded", || shown().contains(" running"));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(
        shown().contains(" interrupted") && shown().contains("interrupted by Ctrl-C or a signal"),
        "{}",
        shown()
    );
    project.mooncast(&["jobs", "logs", NAME]).exits(0).prints("host  interrupted by Ctrl-C or a signal");
}

#[test]
fn a_ledger_that_cannot_be_written_keeps_no_script_from_looking() {
    if store::server().is_some() {
        return;
    }
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT).file(".mooncast/ledger.db", "this is no ledger at all");
    let ran = ended(project.command_against(&service, &["run", "scripts/main.lua", "quick"])).exits(0);
    ran.prints("hello\tquick").says("not recorded");
}
