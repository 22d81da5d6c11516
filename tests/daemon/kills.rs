//! A daemon that is killed repeatedly in the middle of scheduled broadcasts. The service's own log says what each
//! group got.
//!
//! On a server: in the soak

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use super::Serving;
use crate::support::Project;
use crate::survival::random::{Random, deaths, seed, soak};
use crate::survival::server::Server;

/// Groups per scheduled time.
const GROUPS: usize = 100;

/// A scheduled time every two seconds. A group's number contains the scheduled time.
const SCRIPT: &str = r#"
local schedule = require("schedule")
local options = { name = "news", missed = "all", grace = "10h", overlap = "queue" }
schedule.every("2s", options, function(context)
  local groups = {}
  for i = 1, 100 do groups[i] = math.tointeger(context.scheduled_at) * 1000 + i end
  local message = { type = "txt", body = { msg = "once" } }
  local report = im.broadcast { name = "news", to = groups, message = message, rate = 400 }
  print(context.run, report.sent, report.in_doubt)
end)
"#;

fn command(project: &Project, server: &Server) -> Command {
    let mut command = project.command(&["serve"]);
    command
        .env("MOONCAST_BASE_URL", server.url())
        .env("MOONCAST_ORG", "org")
        .env("MOONCAST_APP", "app")
        .env("MOONCAST_TOKEN", "a-fixed-token");
    command
}

/// Returns the scheduled times in the ledger, with their states.
fn instants(project: &Project) -> Vec<(String, String)> {
    let shown = project.mooncast(&["jobs", "show", "news", "--limit", "100000"]).exits(0).stdout;
    let words = |line: &str| {
        let mut words = line.split_whitespace();
        let (run, state) = (words.next()?.to_owned(), words.next()?.trim_matches([',', ':']).to_owned());
        run.starts_with("20").then_some((run, state))
    };
    shown.lines().filter_map(words).collect()
}

/// Returns the state of each group of a scheduled time's broadcast.
fn groups(project: &Project, run: &str) -> BTreeMap<String, String> {
    let ran = project.mooncast(&["runs", "export", "news", "--run", run, "--format", "jsonl"]).exits(0);
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| row[field].as_str().unwrap().to_owned();
        (text("group_id"), text("state"))
    };
    ran.stdout.lines().map(row).collect()
}

#[test]
fn killed_in_the_middle_of_scheduled_broadcasts_every_instant_runs_and_no_group_has_it_twice() {
    let kills = if soak() { 100 } else { deaths(6) };
    let seed = seed();
    println!("MOONCAST_SEED={seed}");
    let random = Random::new(seed);
    let project = Project::new()
        .file("scripts/news.lua", SCRIPT)
        .file("mooncast.toml", "[app.limits]\ngroup_per_second = 1000000\n");
    let server = Server::faithful();
    let mut logs = Vec::new();
    for _ in 0..kills {
        let at = server.told().accepted + usize::try_from(random.below(2 * GROUPS as u64)).unwrap() + 1;
        server.kill_at([at]);
        let serving = Serving::launch(command(&project, &server));
        server.client(serving.child());
        let ran = serving.ended();
        assert_eq!(ran.status, None, "{ran:#?}");
        server.client_is_gone();
        logs.push(ran.stderr);
    }
    assert_eq!(server.told().kills, kills);
    // The last daemon runs until it has caught up.
    let serving = Serving::start(command(&project, &server));
    serving.prints("Z", 3);
    let began = std::time::Instant::now();
    let is_over = |state: &str| ["done", "undelivered", "interrupted"].contains(&state);
    while instants(&project).iter().filter(|(_, state)| !is_over(state)).count() > 1 {
        assert!(began.elapsed() < 3 * super::GUARD, "it never catches up, MOONCAST_SEED={seed}");
    }
    let ran = serving.stop().exits(0);
    logs.push(ran.stderr);

    let mut instants = instants(&project);
    instants.sort();
    let second = |run: &str| run.parse::<jiff::Timestamp>().unwrap().as_second();
    let (first, last) = (second(&instants[0].0), second(&instants[instants.len() - 1].0));
    let accepted = server.accepted();
    let (mut doubts, mut sent, mut open, mut interrupted) = (0, 0, 0, 0);
    for (index, (run, state)) in instants.iter().enumerate() {
        let context = format!("{run} {state}, MOONCAST_SEED={seed}");
        assert_eq!(
            second(run),
            first + 2 * i64::try_from(index).unwrap(),
            "an instant is missing: {context}"
        );
        if state == "interrupted" {
            // The daemon was killed twice during this run: it is not restarted a third time, which is reported. Its
            // planned messages were sent.
            let told = logs.iter().flat_map(|log| log.lines());
            let told =
                told.filter(|line| line.contains(run) && line.contains("died twice during this run")).count();
            assert!(told > 0, "it is told nowhere: {context}");
            interrupted += 1;
            continue;
        }
        if !["done", "undelivered"].contains(&state.as_str()) {
            // The stop may have interrupted the last runs.
            assert!(second(run) > last - 10 && ["running", "waiting"].contains(&state.as_str()), "{context}");
            open += 1;
            continue;
        }
        let groups = groups(&project, run);
        assert_eq!(groups.len(), GROUPS, "{context}");
        for (group, state) in groups {
            let times = accepted.get(&group).copied().unwrap_or(0);
            match state.as_str() {
                "sent" => assert_eq!(times, 1, "{context}: {group}"),
                "in_doubt" => assert!(times <= 1, "{context}: {group} has it {times} times"),
                _ => panic!("{context}: {group} is {state}"),
            }
            doubts += usize::from(state == "in_doubt");
            sent += usize::from(state == "sent");
        }
    }
    assert!(accepted.values().all(|times| *times == 1), "a group has it twice, MOONCAST_SEED={seed}");
    let again = logs
        .iter()
        .flat_map(|log| log.lines())
        .filter(|line| line.contains("run queued again after an interruption"))
        .count();
    assert!(again > 0, "{logs:#?}");
    println!(
        "killed {kills} times: {} instants, none missing and none twice; {sent} groups sent, {doubts} in doubt, {open} instants open at the end, {interrupted} interrupted by two deaths; {again} runs entered again (MOONCAST_SEED={seed})",
        instants.len()
    );
}
