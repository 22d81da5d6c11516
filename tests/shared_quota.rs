//! Two runs of one project at once: together they keep the quota, and both make progress.

use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, ChildStdout};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Project, Ran};

const SETTINGS: &str = "[app.limits]\ngroup_per_second = 100\n";

/// 150 messages from eight tasks. Each contains the name of its run.
const SCRIPT: &str = r#"
local task = require("task")
local left, tasks = 150, {}
for i = 1, 8 do
  tasks[i] = function()
    while left > 0 do
      left = left - 1
      im.group_send { to = "184524748161025", from = arg[1], type = "txt", body = { msg = "hi" } }
    end
  end
end
task.all(tasks)
"#;

/// Calls of `im.request` with a quota of their own.
const CALLS: &str = r#"
local task = require("task")
local left, tasks = 40, {}
for i = 1, 8 do
  tasks[i] = function()
    while left > 0 do
      left = left - 1
      im.request { method = "POST", path = "/chatgroups/184524748161025/ban", quota = { per_second = 20 } }
    end
  end
end
task.all(tasks)
print("made")
"#;

const GRANT: &str = "[permissions]\nrequests = ['POST /chatgroups/*/ban']\n";

/// A simulator, and its output, which it must be able to write to its end.
type Running = (Child, BufReader<ChildStdout>);

/// Starts a simulator with these rates. Returns the variables that lead to it too.
fn simulator(project: &Project, rates: &[&str]) -> (Running, Vec<(String, String)>) {
    let listen = ["sim", "--strict", "--listen", "127.0.0.1:0", "--record", "received.jsonl"];
    let mut simulator = Project::start(project.command(&[&listen[..], rates].concat()));
    let mut said = BufReader::new(simulator.stdout.take().unwrap());
    let mut variables = Vec::new();
    for line in said.by_ref().lines().map(Result::unwrap) {
        if let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
            variables.push((name.to_owned(), value.to_owned()));
        }
        if line.contains("Ctrl-C ends it") {
            break;
        }
    }
    ((simulator, said), variables)
}

fn end((mut simulator, _said): Running) {
    kill_process(Pid::from_child(&simulator), Signal::INT).unwrap();
    assert!(simulator.wait().unwrap().success());
}

#[test]
fn two_runs_share_a_quota_of_im_request_of_its_own() {
    let project = Project::with_script(CALLS).file("mooncast.toml", GRANT);
    let (simulator, variables) = simulator(&project, &["--count", "sliding", "--read-per-second", "20"]);
    let start = || {
        let mut command = project.command(&["run", "scripts/main.lua"]);
        command.envs(variables.iter().cloned());
        Project::start(command)
    };
    for run in [start(), start()] {
        let ran = Ran::of(&run.wait_with_output().unwrap()).exits(0).prints("made");
        // A refused call would be told.
        assert_eq!(ran.stderr, "");
    }
    end(simulator);
    assert_eq!(project.in_store("SELECT count(*) FROM sends WHERE state = 2"), 80);
}

#[test]
fn two_runs_on_one_ledger_are_refused_nothing_and_both_get_on() {
    let project = Project::with_script(SCRIPT).file("mooncast.toml", SETTINGS);
    let (simulator, variables) = simulator(&project, &["--count", "sliding", "--group-per-second", "100"]);
    let start = |who: &str| {
        let mut command = project.command(&["run", "scripts/main.lua", who]);
        command.envs(variables.iter().cloned());
        Project::start(command)
    };
    let runs = [start("one"), start("two")];
    for run in runs {
        Ran::of(&run.wait_with_output().unwrap()).exits(0).says("sent to 150 groups").never_says("refused");
    }
    end(simulator);
    let record = std::fs::read_to_string(project.path("received.jsonl")).unwrap();
    assert_eq!(record.lines().count(), 300);
    // Neither run waits until the other has ended.
    for who in [r#""one""#, r#""two""#] {
        let early = record.lines().take(200).filter(|line| line.contains(who)).count();
        assert!(early >= 20, "{who} has {early} of the first 200");
    }
}
