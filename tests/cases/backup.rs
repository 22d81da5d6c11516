//! `mooncast store backup`, `restore` and `accept`: a backup can be taken while broadcasts run. After a restore,
//! messages that were sent since the backup are not sent again without confirmation. An independent service counts
//! the messages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::service::{Service, accept};
use crate::support::{Project, Ran, until};

/// No quota is in the way, and an answer may take as long as a backup beside other tests.
const LIMITS: &str =
    "[app.limits]\ngroup_per_second = 100000\n[app.timeouts]\nread = \"10m\"\noverall = \"20m\"\n";

fn broadcast(recipients: u32, rate: &str) -> String {
    format!(
        r#"
local to = {{}}
for i = 1, {recipients} do to[i] = tostring(1000 + i) end
im.broadcast({{ name = "news", to = to, in_doubt = "resend"{rate},
  message = {{ type = "txt", body = {{ msg = "hi" }} }} }})
"#
    )
}

fn project(script: &str) -> Project {
    Project::with_script(script).file("mooncast.toml", LIMITS)
}

fn against(project: &Project, service: &Service, args: &[&str]) -> Ran {
    Ran::of(&project.command_against(service, args).output().unwrap())
}

fn run(project: &Project, service: &Service) -> Ran {
    against(project, service, &["run", "scripts/main.lua"])
}

/// Returns the number of messages of each group, from the service's log.
fn got(service: &Service) -> BTreeMap<String, usize> {
    let mut got = BTreeMap::new();
    for message in service.messages() {
        for group in message["to"].as_array().unwrap() {
            *got.entry(group.as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    got
}

#[track_caller]
fn each_at_most_once(service: &Service) {
    let twice: Vec<_> = got(service).into_iter().filter(|(_, times)| *times > 1).collect();
    assert_eq!(twice, []);
}

/// Starts a run that sends slowly, and waits until the service has received this many messages.
fn sending(project: &Project, service: &Service, messages: usize) -> std::process::Child {
    let child = Project::start(project.command_against(service, &["run", "scripts/main.lua"]));
    until("messages", || service.messages().len() >= messages);
    child
}

fn stop(mut child: std::process::Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn backup(project: &Project, file: &str) -> Ran {
    project.mooncast(&["store", "backup", file])
}

fn files(folder: &Path, holds: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let found = entries.flatten().map(|entry| entry.path());
    found.filter(|path| path.file_name().unwrap().to_string_lossy().contains(holds)).collect()
}

fn states(project: &Project) -> BTreeMap<String, usize> {
    let ran = project.mooncast(&["runs", "export", "news", "--format", "jsonl"]).exits(0);
    let mut states = BTreeMap::new();
    for line in ran.stdout.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        *states.entry(row["state"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    states
}

/// Backs up a broadcast to 60 groups half-way, then finishes the broadcast. The service answers no more than 20 messages
/// before the backup has ended.
fn finished_after_backup() -> (Project, Service) {
    let project = project(&broadcast(60, ", rate = 20"));
    let backed_up = Arc::new((Mutex::new(false), Condvar::new()));
    let gate = Arc::clone(&backed_up);
    let service = Service::answering(move |count, request| {
        if count >= 20 {
            drop(gate.1.wait_while(gate.0.lock().unwrap(), |open| !*open).unwrap());
        }
        accept(count, request)
    });
    let mut child = sending(&project, &service, 10);
    backup(&project, "a.backup").exits(0).prints("checked");
    *backed_up.0.lock().unwrap() = true;
    backed_up.1.notify_all();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(service.messages().len(), 60);
    (project, service)
}

#[test]
fn a_backup_beside_a_run_is_one_private_file_and_the_run_goes_on() {
    use std::os::unix::fs::PermissionsExt as _;
    let (project, service) = finished_after_backup();
    each_at_most_once(&service);
    let mode = std::fs::metadata(project.path("a.backup")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(files(&project.path("."), ".partial"), [] as [PathBuf; 0]);
    backup(&project, "a.backup").exits(2).says("this file exists").says("--overwrite");
    project.mooncast(&["store", "backup", "a.backup", "--overwrite"]).exits(0);
}

#[test]
fn after_a_restore_a_run_is_refused_and_nothing_is_sent() {
    let (project, service) = finished_after_backup();
    let kept = project.mooncast(&["store", "restore", "a.backup"]).exits(0);
    let kept =
        kept.prints("the ledger that was there is ").prints("news/1").prints("--as-sent").prints("--again");
    assert!(kept.stdout.contains("ledger-replaced-"), "{kept:#?}");
    assert_eq!(files(&project.path(".mooncast"), "ledger-replaced-").len(), 1);
    run(&project, &service).exits(2).says("restored from a backup of").says("mooncast store accept");
    against(&project, &service, &["runs", "resume", "news"]).exits(2).says("restored from a backup of");
    against(&project, &service, &["serve", "--listen", "nowhere"]).exits(2).says("restored from a backup of");
    against(
        &project,
        &service,
        &["eval", "--yes", "im.group_send({ to = '9', type = 'txt', body = { msg = 'x' } })"],
    )
    .exits(2);
    project.mooncast(&["store", "check"]).exits(0).prints("nothing is sent until `mooncast store accept`");
    project
        .mooncast(&["store", "accept"])
        .exits(2)
        .prints("nothing was accepted")
        .prints("recipients in doubt");
    run(&project, &service).exits(2);
    assert_eq!(service.messages().len(), 60);
    assert_eq!(states(&project).get("pending"), None);
}

#[test]
fn what_is_settled_as_sent_is_not_sent_again() {
    let (project, service) = finished_after_backup();
    project.mooncast(&["store", "restore", "a.backup"]).exits(0);
    project.mooncast(&["store", "accept", "--yes"]).exits(0).prints("accepted");
    // Accepted but not settled: recipients in doubt stay in doubt, even though the script says "resend".
    run(&project, &service).exits(3).says("runs settle");
    assert_eq!(service.messages().len(), 60);
    project.mooncast(&["runs", "settle", "news", "--as-sent"]).exits(0);
    run(&project, &service);
    assert_eq!(service.messages().len(), 60);
    each_at_most_once(&service);
    assert_eq!(states(&project), BTreeMap::from([("sent".to_owned(), 60)]));
    project.mooncast(&["store", "check"]).exits(0);
    project.mooncast(&["store", "accept"]).exits(0).prints("no restored ledger waits to be accepted");
}

#[test]
fn what_is_settled_again_is_sent_once() {
    let project = project(&broadcast(60, ", rate = 20"));
    let service = Service::accepting();
    let child = sending(&project, &service, 10);
    // No call is in flight when it is stopped.
    let pid = child.id();
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::INT).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    let before = service.messages().len();
    assert!(before < 60);
    backup(&project, "a.backup").exits(0);
    project.mooncast(&["store", "restore", "a.backup"]).exits(0);
    project.mooncast(&["runs", "settle", "news", "--again"]).exits(0);
    run(&project, &service).exits(2);
    assert_eq!(service.messages().len(), before);
    project.mooncast(&["store", "accept", "--yes"]).exits(0);
    run(&project, &service).exits(0);
    let got = got(&service);
    assert_eq!((got.len(), got.values().sum::<usize>()), (60, 60));
}

#[test]
fn once_keys_used_after_the_backup_wait_for_the_question() {
    let script = r#"
im.group_send({ to = "1", type = "txt", body = { msg = "one" } }, { once = "one" })
"#;
    let project = project(script);
    let service = Service::accepting();
    run(&project, &service).exits(0);
    backup(&project, "a.backup").exits(0);
    project.write(
        "scripts/main.lua",
        r#"im.group_send({ to = "2", type = "txt", body = { msg = "two" } }, { once = "two" })"#,
    );
    run(&project, &service).exits(0);
    project.mooncast(&["store", "restore", "a.backup"]).exits(0);
    run(&project, &service).exits(2).says("restored from a backup of");
    // A script that catches the error cannot get around the question.
    project.write(
        "scripts/main.lua",
        r#"pcall(im.group_send, { to = "2", type = "txt", body = { msg = "two" } }, { once = "two" })"#,
    );
    run(&project, &service).exits(2);
    assert_eq!(service.messages().len(), 2);
    // A key in the backup is still known after the question.
    project.mooncast(&["store", "accept", "--yes"]).exits(0).prints("`once` keys");
    project.write("scripts/main.lua", script);
    run(&project, &service).exits(0);
    assert_eq!(service.messages().len(), 2);
}

#[test]
fn a_single_send_in_flight_at_the_backup_is_in_doubt() {
    let script = r#"im.group_send({ to = "1", type = "txt", body = { msg = "one" } }, { once = "one" })"#;
    let project = project(script);
    let (said, hold) = std::sync::mpsc::channel::<()>();
    let hold = std::sync::Mutex::new(hold);
    let service = Service::answering(move |count, request| {
        let _ = hold.lock().unwrap().recv_timeout(std::time::Duration::from_mins(10));
        accept(count, request)
    });
    let mut child = sending(&project, &service, 1);
    backup(&project, "a.backup").exits(0);
    drop(said);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    project.mooncast(&["store", "restore", "a.backup"]).exits(0).prints("1 single send in doubt");
    project.mooncast(&["store", "accept", "--yes"]).exits(0);
    run(&project, &service).exits(1).says("in doubt");
    assert_eq!(service.messages().len(), 1);
}

#[test]
fn a_restore_is_refused_while_a_run_or_a_daemon_works() {
    let (project, service) = finished_after_backup();
    project.write("scripts/slow.lua", broadcast(500, ", rate = 5").replace("news", "slow"));
    let child = Project::start(project.command_against(&service, &["run", "scripts/slow.lua"]));
    until("messages", || service.messages().len() > 60);
    let refused = project.mooncast(&["store", "restore", "a.backup"]).exits(2);
    refused.says("uses this ledger").says(&child.id().to_string());
    stop(child);
    project.wait_for_death();
    std::fs::remove_file(project.path("scripts/slow.lua")).unwrap();
    std::fs::remove_file(project.path("scripts/main.lua")).unwrap();
    let child = Project::start(project.command_against(&service, &["serve", "--listen", "nowhere"]));
    until("the daemon", || project.mooncast(&["hosts"]).stdout.contains(&child.id().to_string()));
    backup(&project, "b.backup").exits(0);
    project
        .mooncast(&["store", "restore", "a.backup"])
        .exits(2)
        .says("mooncast serve")
        .says("uses this ledger");
    stop(child);
    assert_eq!(states(&project), BTreeMap::from([("sent".to_owned(), 60)]));
}

#[test]
fn what_is_no_whole_backup_is_refused_and_changes_nothing() {
    let (project, _service) = finished_after_backup();
    let whole = std::fs::read(project.path("a.backup")).unwrap();
    let mut cases = vec![
        ("empty", Vec::new(), "not a complete backup"),
        ("text", b"hello\n".repeat(100), "not a complete backup"),
        ("cut", whole[..whole.len() / 2].to_vec(), "not a complete backup"),
        ("cut by one", whole[..whole.len() - 1].to_vec(), "not a complete backup"),
    ];
    for place in [0, 100, whole.len() / 3, whole.len() / 2, whole.len() - 80] {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        cases.push(("changed", changed, "this backup is damaged"));
    }
    for (name, content, why) in cases {
        project.write("bad.backup", content);
        let ran = project.mooncast(&["store", "restore", "bad.backup"]).exits(2);
        assert!(ran.stderr.contains(why), "{name}: {ran:#?}");
        assert_eq!(files(&project.path(".mooncast"), "partial"), [] as [PathBuf; 0], "{name}");
    }
    project.mooncast(&["store", "restore", "nowhere.backup"]).exits(2).says("nowhere.backup: ");
    assert_eq!(files(&project.path(".mooncast"), "ledger-replaced-"), [] as [PathBuf; 0]);
    assert_eq!(states(&project), BTreeMap::from([("sent".to_owned(), 60)]));
    project.mooncast(&["store", "accept"]).exits(0);
}

#[test]
fn a_kill_leaves_no_half_backup_and_the_old_or_the_new_ledger() {
    let (project, _service) = finished_after_backup();
    let killed = |point: &str, args: &[&str]| {
        let mut command = project.command(args);
        command.env("MOONCAST_FAIL_POINT", format!("{point}:1"));
        let ran = Ran::of(&command.output().unwrap());
        assert_eq!(ran.status, None, "{ran:#?}");
    };
    let old = BTreeMap::from([("sent".to_owned(), 60)]);
    killed("in-backup", &["store", "backup", "b.backup"]);
    assert!(!project.path("b.backup").exists());
    killed("in-backup", &["store", "backup", "a.backup", "--overwrite"]);
    backup(&project, "b.backup").exits(0);
    for point in ["before-restore", "in-restore"] {
        killed(point, &["store", "restore", "a.backup"]);
        assert_eq!(states(&project), old, "{point}");
        project.mooncast(&["store", "check"]).exits(0);
    }
    project.mooncast(&["store", "restore", "a.backup"]).exits(0);
    assert!(states(&project).contains_key("in_doubt"));
    // The replaced ledger is complete.
    project.mooncast(&["store", "restore", "b.backup"]).exits(0);
    assert_eq!(states(&project), old);
    assert_eq!(files(&project.path(".mooncast"), "partial"), [] as [PathBuf; 0]);
}

#[test]
fn a_damaged_or_lost_ledger_is_replaced_and_kept() {
    let (project, service) = finished_after_backup();
    if project.schema().address().is_some() {
        return;
    }
    let ledger = project.path(".mooncast/ledger.db");
    for beside in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(ledger.with_file_name(beside));
    }
    std::fs::write(&ledger, b"noise".repeat(1000)).unwrap();
    project.mooncast(&["store", "restore", "a.backup"]).exits(0);
    let kept = files(&project.path(".mooncast"), "ledger-replaced-");
    let kept = kept.iter().find(|path| path.extension().is_some_and(|end| end == "db")).unwrap();
    assert!(std::fs::read(kept).unwrap() == b"noise".repeat(1000), "{}", kept.display());
    project.mooncast(&["store", "check"]).exits(0);
    std::fs::remove_dir_all(project.path(".mooncast")).unwrap();
    project.mooncast(&["store", "restore", "a.backup"]).exits(0).never_says("that was there");
    run(&project, &service).exits(2);
    assert_eq!(service.messages().len(), 60);
}

#[test]
fn missed_times_and_unfinished_runs_are_not_run_after_a_restore() {
    let script = r#"
schedule.every("1s", { name = "tick", missed = "all" }, function(context)
  im.group_send({ to = "1", type = "txt", body = { msg = context.run } }, { once = context.run })
end)
"#;
    let project = project(script);
    let service = Service::answering(accept);
    let serve = || {
        let child = Project::start(project.command_against(&service, &["serve", "--listen", "nowhere"]));
        let before = service.messages().len();
        until("runs", || service.messages().len() >= before + 2);
        child
    };
    let child = serve();
    backup(&project, "a.backup").exits(0);
    let before = service.messages().len();
    until("more runs", || service.messages().len() >= before + 3);
    stop(child);
    project.wait_for_death();
    let sent = service.messages().len();
    project.mooncast(&["store", "restore", "a.backup"]).exits(0).prints("tick");
    against(&project, &service, &["serve", "--listen", "nowhere"]).exits(2);
    assert_eq!(service.messages().len(), sent);
    project.mooncast(&["store", "accept", "--yes"]).exits(0);
    stop(serve());
    let mut texts = BTreeMap::<String, usize>::new();
    for message in service.messages() {
        *texts.entry(message["body"]["msg"].to_string()).or_default() += 1;
    }
    let twice: Vec<_> = texts.into_iter().filter(|(_, times)| *times > 1).collect();
    assert_eq!(twice, []);
}

#[test]
fn a_restored_ledger_can_be_copied_and_stays_unaccepted() {
    let (project, service) = finished_after_backup();
    project.mooncast(&["store", "restore", "a.backup"]).exits(0);
    if project.schema().address().is_some() {
        return;
    }
    let other = self::project(&broadcast(60, ""));
    let to = other.path(".mooncast");
    let from = project.path(".mooncast");
    project.mooncast(&["store", "copy", from.to_str().unwrap(), to.to_str().unwrap()]).exits(0);
    run(&other, &service).exits(2).says("restored from a backup of");
    assert_eq!(service.messages().len(), 60);
}

#[test]
fn a_rehearsal_is_not_kept_from_a_restored_ledger() {
    let (project, service) = finished_after_backup();
    project.mooncast(&["store", "restore", "a.backup"]).exits(0);
    project.write("scripts/other.lua", broadcast(5, "").replace("news", "other"));
    against(&project, &service, &["rehearse", "scripts/other.lua"]).exits(0);
    assert_eq!(service.messages().len(), 60);
}

#[test]
fn a_backup_holds_no_token() {
    let (project, _service) = finished_after_backup();
    let content = std::fs::read(project.path("a.backup")).unwrap();
    assert!(!content.windows(13).any(|part| part == b"a-fixed-token"));
}
