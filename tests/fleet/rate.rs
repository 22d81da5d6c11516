//! Three hosts and one quota, at a service in a separate process that counts for itself.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::has_server;
use crate::daemon::Serving;
use crate::support::Project;
use crate::survival::random::soak;

const QUOTA: u64 = 400;
/// The simulator's first group.
const FIRST: u64 = 184_524_748_161_025;

/// A `mooncast sim`, and the variables that direct a host to it.
struct Outside {
    child: Child,
    variables: Vec<(String, String)>,
}

impl Outside {
    fn start(project: &Project, groups: u64) -> Self {
        let (quota, groups) = (QUOTA.to_string(), groups.to_string());
        let mut child = Project::start(project.command(&[
            "sim",
            "--strict",
            "--listen",
            "127.0.0.1:0",
            "--record",
            "received.jsonl",
            "--count",
            "sliding",
            "--counts-only",
            "--group-per-second",
            &quota,
            "--groups",
            &groups,
            "--members",
            "1",
            "--latency",
            "5ms-40ms",
        ]));
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let (mut variables, mut line) = (Vec::new(), String::new());
        while !line.contains("Ctrl-C ends it") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "it ended at once");
            if let Some((name, value)) =
                line.trim().strip_prefix("export ").and_then(|line| line.split_once('='))
            {
                variables.push((name.to_owned(), value.trim_matches(['"', '\'']).to_owned()));
            }
        }
        child.stdout = Some(said.into_inner());
        Self { child, variables }
    }

    /// Ends it. Returns its report.
    fn end(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let mut totals = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut totals).unwrap();
        assert!(self.child.wait().unwrap().success());
        totals
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn three_hosts_use_one_quota_are_refused_nothing_and_send_to_every_group_once() {
    if !has_server() {
        return;
    }
    let many = if soak() { 20_000 } else { 4_000 };
    let script = format!(
        "local groups = {{}}
        for i = 1, {many} do groups[i] = {FIRST} + i - 1 end
        require('schedule').every('10000h', {{ name = 'news' }}, function()
          im.broadcast {{ name = 'news', to = groups, message = {{ type = 'txt', body = {{ msg = 'hi' }} }} }}
        end)"
    );
    let settings = format!("[app.limits]\ngroup_per_second = {QUOTA}\n");
    let first = Project::with_script(&script).file("mooncast.toml", &settings);
    let (second, third) = (first.beside(), first.beside());
    let outside = Outside::start(&first, many);
    let mut hosts = Vec::new();
    for project in [&first, &second, &third] {
        project.write("scripts/main.lua", &script);
        project.write("mooncast.toml", &settings);
        let mut command = project.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs(outside.variables.iter().cloned());
        hosts.push(Serving::start(command));
    }
    let mut trigger = first.command(&["jobs", "trigger", "news"]);
    assert!(trigger.envs(outside.variables.iter().cloned()).status().unwrap().success());
    // The host that ends the broadcast reports it, and the others report that it has finished.
    for host in &hosts {
        host.says("broadcast finished", 1);
    }
    for host in hosts {
        host.stop().exits(0);
    }
    let totals = outside.end();
    assert!(!totals.contains("refused"), "{totals}");
    let record = std::fs::read_to_string(first.path("received.jsonl")).unwrap();
    let mut times = BTreeMap::<String, u32>::new();
    let mut instants = Vec::new();
    for line in record.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        *times.entry(line["group"].as_str().unwrap().to_owned()).or_default() += 1;
        instants.push(line["at"].as_u64().unwrap());
    }
    assert_eq!(times.len() as u64, many);
    assert!(times.values().all(|times| *times == 1), "some have it twice");
    let (from, to) = (*instants.iter().min().unwrap(), *instants.iter().max().unwrap());
    let percent = many * 1000 * 100 / (QUOTA * (to - from));
    println!("{many} groups at {QUOTA}/s by three hosts: {} ms, {percent} % of the quota used", to - from);
    // A short run pays as much for its start and its end as a long one, and others take the machine from it.
    assert!(percent >= 90 || !soak(), "{percent} % of the quota");
    // At most, the first second's permits come at once. More would exceed the quota.
    assert!(many * 1000 <= QUOTA * (to - from + 1_000), "{percent} % of the quota: it was passed");
}
