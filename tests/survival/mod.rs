//! Broadcasts that survive anything: killed, faulted and raced, judged by what a service outside the process accepted.

mod clock;
mod disk;
mod full;
mod kills;
mod pairs;
pub(crate) mod random;
mod replan;
pub(crate) mod server;
pub(crate) mod shim;

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::support::{Project, Ran, store};
use server::Server;

/// A recipient as `runs export` tells of it.
#[derive(Debug)]
struct Row {
    state: String,
    has_id: bool,
    /// What the export says of its attempts and its error.
    why: String,
}

/// A script that broadcasts to the groups `1001` and on.
fn script(recipients: usize, more: &str) -> String {
    format!(
        r#"
local groups = {{}}
for i = 1, {recipients} do groups[i] = 1000 + i end
local report = im.broadcast {{
  name = "news", to = groups, message = {{ type = "txt", body = {{ msg = "once" }} }}{more}
}}
print(report.total, report.sent, report.rejected, report.in_doubt, report.already)
"#
    )
}

/// A project that sends with its quota lifted.
fn project(recipients: usize, more: &str) -> Project {
    Project::with_script(script(recipients, more)).file("mooncast.toml", settings("30s"))
}

/// Settings that lift the quota, and say how long an answer is waited for.
fn settings(patience: &str) -> String {
    format!("[app.limits]\ngroup_per_second = 1000000\n[app.timeouts]\nread = \"{patience}\"\n")
}

/// The command, led to the server.
pub(crate) fn command(project: &Project, server: &Server, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command
        .env("MOONCAST_BASE_URL", server.url())
        .env("MOONCAST_ORG", "org")
        .env("MOONCAST_APP", "app")
        .env("MOONCAST_TOKEN", "a-fixed-token");
    command
}

/// The command that runs the script.
fn run(project: &Project, server: &Server) -> Command {
    command(project, server, &["run", "scripts/main.lua"])
}

pub(crate) fn ended(mut command: Command) -> Ran {
    Ran::of(&command.output().unwrap())
}

/// Each group's row of the broadcast, as the ledger has it; none where there is no plan yet.
fn rows(project: &Project) -> BTreeMap<String, Row> {
    let ran = project.mooncast(&["runs", "export", "news", "--format", "jsonl"]);
    if ran.status != Some(0) {
        assert!(ran.stderr.contains("no broadcast") || ran.stderr.contains("nothing was sent"), "{ran:#?}");
        return BTreeMap::new();
    }
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| row[field].as_str().map(str::to_owned);
        (
            text("group_id").unwrap(),
            Row {
                state: text("state").unwrap(),
                has_id: text("message_id").is_some(),
                why: format!("{} attempts, {}", row["attempts"], row["error"]),
            },
        )
    };
    ran.stdout.lines().map(row).collect()
}

fn in_state(rows: &BTreeMap<String, Row>, state: &str) -> usize {
    rows.values().filter(|row| row.state == state).count()
}

/// What holds whenever no process runs, with `in_doubt = "hold"`: whoever has the message has an intent on disk, nobody
/// has it twice, and what is told of each is true.
fn nothing_silent(rows: &BTreeMap<String, Row>, server: &Server, context: &str) {
    let accepted = server.accepted();
    for (group, times) in &accepted {
        assert_eq!(*times, 1, "{context}: group {group} got it {times} times");
        let state = rows.get(group).map_or("no row", |row| row.state.as_str());
        assert!(
            ["sending", "sent", "in_doubt"].contains(&state),
            "{context}: group {group} has it, and the ledger says {state}"
        );
    }
    for (group, row) in rows {
        assert_eq!(row.has_id, row.state == "sent", "{context}: {group} {row:?}");
        assert!(
            row.state != "sent" || accepted.contains_key(group),
            "{context}: {group} never got it: {row:?}"
        );
    }
}

/// What holds at the end besides: nobody is lost.
fn nobody_lost(rows: &BTreeMap<String, Row>, many: usize, context: &str) {
    assert_eq!(rows.len(), many, "{context}");
    for (group, row) in rows {
        assert!(["sent", "in_doubt", "rejected"].contains(&row.state.as_str()), "{context}: {group} {row:?}");
    }
}

/// What a person reads of a failure: a sentence of a line, and no panic.
#[track_caller]
fn readable(ran: &Ran, context: &str) {
    for word in ["panicked", "RUST_BACKTRACE", "unwrap", "SIGSEGV"] {
        assert!(!ran.stderr.contains(word), "{context}: {ran:#?}");
    }
    if ![Some(0), Some(3)].contains(&ran.status) {
        let told = ran.stderr.lines().any(|line| line.contains("error: ") && line.len() > 20);
        assert!(told, "{context}: {ran:#?}");
    }
    // One thing that is wrong is not told for every recipient.
    assert!(ran.stderr.lines().count() < 20, "{context}: {ran:#?}");
}

/// What `runs resume` says where somebody else drives the broadcast.
pub(crate) fn left_to() -> &'static str {
    if store::server().is_some() {
        "goes on in the hosts that drive it"
    } else {
        "goes on in the process that drives it"
    }
}

/// A project whose broadcast was killed half-way.
fn half_sent(many: usize) -> (Project, Server) {
    let (project, server) = (project(many, ""), Server::faithful());
    server.kill_at([many / 2]);
    let child = Project::start(run(&project, &server));
    server.client(&child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), None);
    server.client_is_gone();
    assert_eq!(server.told().kills, 1);
    (project, server)
}

/// A run that met a fault: it succeeded all the same, or said which file failed it.
fn clear(ran: &Ran, context: &str) {
    readable(ran, context);
    match ran.status {
        Some(0 | 3) => {}
        Some(1 | 2) => assert!(
            ran.stderr.contains(".mooncast") || ran.stderr.contains("postgres://"),
            "{context}: {ran:#?}"
        ),
        _ => panic!("{context}: {ran:#?}"),
    }
}

/// The fault is gone: the same call goes on to the end.
fn goes_on(project: &Project, server: &Server, many: usize, context: &str) {
    nothing_silent(&rows(project), server, context);
    let ran = ended(run(project, server));
    assert!([Some(0), Some(3)].contains(&ran.status), "{context}: {ran:#?}");
    let rows = rows(project);
    nothing_silent(&rows, server, context);
    nobody_lost(&rows, many, context);
}
