//! Broadcasts that are killed, disturbed and raced. The test compares the ledger with what an independent service
//! accepted.

mod callbacks;
mod clock;
mod disk;
mod full;
mod history;
mod kills;
mod large_history;
mod pairs;
pub(crate) mod random;
mod reconcile;
mod replan;
pub(crate) mod server;
pub(crate) mod shim;

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::support::{Project, Ran};
use server::Server;

/// A recipient in the output of `runs export`.
#[derive(Debug)]
struct Row {
    state: String,
    has_id: bool,
    /// The export's attempts and error.
    why: String,
}

/// A script that broadcasts to the groups from `1001` on.
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

/// A project without a quota.
fn project(recipients: usize, more: &str) -> Project {
    Project::with_script(script(recipients, more)).file("mooncast.toml", settings("30s"))
}

/// Settings without a quota, and with this timeout for an answer.
fn settings(patience: &str) -> String {
    format!("[app.limits]\ngroup_per_second = 1000000\n[app.timeouts]\nread = \"{patience}\"\n")
}

/// Returns the command, directed to the server.
pub(crate) fn command(project: &Project, server: &Server, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command
        .env("MOONCAST_BASE_URL", server.url())
        .env("MOONCAST_ORG", "org")
        .env("MOONCAST_APP", "app")
        .env("MOONCAST_TOKEN", "a-fixed-token");
    command
}

/// Returns the command that runs the script.
fn run(project: &Project, server: &Server) -> Command {
    command(project, server, &["run", "scripts/main.lua"])
}

pub(crate) fn ended(mut command: Command) -> Ran {
    Ran::of(&command.output().unwrap())
}

/// Returns each group's row of the broadcast in the ledger. Empty if there is no plan yet.
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

/// Checks what holds whenever no process runs, with `in_doubt = "hold"`: every group that got the message has an
/// intent on disk, no group got it twice, and every reported state is true.
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

/// Checks what also holds at the end: no recipient is lost.
fn nobody_lost(rows: &BTreeMap<String, Row>, many: usize, context: &str) {
    assert_eq!(rows.len(), many, "{context}");
    for (group, row) in rows {
        assert!(["sent", "in_doubt", "rejected"].contains(&row.state.as_str()), "{context}: {group} {row:?}");
    }
}

/// Checks that a failure is a sentence on one line and not a panic.
#[track_caller]
fn readable(ran: &Ran, context: &str) {
    for word in ["panicked", "RUST_BACKTRACE", "unwrap", "SIGSEGV"] {
        assert!(!ran.stderr.contains(word), "{context}: {ran:#?}");
    }
    if ![Some(0), Some(3)].contains(&ran.status) {
        let told = ran.stderr.lines().any(|line| line.contains("error: ") && line.len() > 20);
        assert!(told, "{context}: {ran:#?}");
    }
    // A fault is not reported once per recipient.
    assert!(ran.stderr.lines().count() < 20, "{context}: {ran:#?}");
}

/// The text of `runs resume` for a broadcast that another process drives.
pub(crate) const LEFT_TO: &str = "continues in the process that sends it";

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

/// Checks that a run with a fault succeeded, or named the file that failed.
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

/// Checks that after the fault the same call continues to the end.
fn goes_on(project: &Project, server: &Server, many: usize, context: &str) {
    nothing_silent(&rows(project), server, context);
    let ran = ended(run(project, server));
    assert!([Some(0), Some(3)].contains(&ran.status), "{context}: {ran:#?}");
    let rows = rows(project);
    nothing_silent(&rows, server, context);
    nobody_lost(&rows, many, context);
}
