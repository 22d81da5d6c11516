//! Ctrl-C: calls in flight are finished, no new ones start, and the exit status reports it.

use std::io::Read;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::service::{Service, accept};
use crate::support::{GUARD, Project, Ran};

/// A timeout for answers that is longer than any test.
const PATIENT: &str = "[app.timeouts]\nread = \"10m\"\noverall = \"20m\"\n";

/// Interrupts the process and waits until it acknowledges this.
fn interrupt(child: &mut Child) -> String {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
    let mut heard = Vec::new();
    let stderr = child.stderr.as_mut().unwrap();
    while !heard.ends_with(b"(press Ctrl-C again to end at once)") {
        let mut byte = [0];
        stderr.read_exact(&mut byte).unwrap();
        heard.push(byte[0]);
    }
    String::from_utf8(heard).unwrap()
}

#[test]
fn what_is_in_flight_is_finished_and_nothing_new_begins() {
    // The third message is answered only after the interrupt.
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let service = Arc::new(Service::answering(move |number, request| {
        if number == 2 {
            wait.lock().unwrap().recv().unwrap();
        }
        accept(number, request)
    }));
    let project = Project::with_script(
        r#"for i = 1, 1000 do
          local ok, problem = pcall(im.group_send, { to = i, type = "txt", body = { msg = "x" } })
          if not ok then
            print(i, problem.kind, problem.retryable)
            error(problem)
          end
          print(i, "sent")
        end"#,
    );
    let mut child = Project::start(project.command_against(&service, &["run", "scripts/main.lua"]));
    service.wait_for(3);
    interrupt(&mut child);
    go.send(()).unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert_eq!(service.requests().len(), 3, "{ran:#?}");
    ran.exits(130).prints("3\tsent\n4\tcancelled\ttrue\n").says("interrupted").says("sent to 3 groups");
}

#[test]
fn a_script_that_does_not_care_is_ended_all_the_same() {
    let service = Service::accepting();
    let project = Project::with_script(
        r#"im.group_send { to = 1, type = "txt", body = { msg = "x" } }
        local task = require("task")
        while true do pcall(task.sleep, 1000) end"#,
    );
    let mut child = Project::start(project.command_against(&service, &["run", "scripts/main.lua"]));
    service.wait_for(1);
    interrupt(&mut child);
    Ran::of(&child.wait_with_output().unwrap()).exits(130).says("sent to 1 group");
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let service = Service::answering(|number, request| {
        if number == 0 {
            accept(number, request)
        } else {
            loop {
                std::thread::park();
            }
        }
    });
    let project = Project::with_script(
        r#"for i = 1, 3 do im.group_send { to = i, type = "txt", body = { msg = "x" } } end"#,
    )
    .file("mooncast.toml", PATIENT);
    let mut child = Project::start(project.command_against(&service, &["run", "scripts/main.lua"]));
    service.wait_for(2);
    let began = Instant::now();
    interrupt(&mut child);
    interrupt(&mut child);
    let ran = Ran::of(&child.wait_with_output().unwrap()).exits(130).says("interrupted");
    ran.says("sent to 1 group in").says("1 in doubt (possibly sent");
    assert_eq!(project.in_store("SELECT COUNT(*) FROM sends WHERE state = 1"), 0, "it counts as under way");
    assert!(began.elapsed() < GUARD, "it waits for the answer");
}

#[test]
fn a_second_interrupt_ends_a_broadcast_at_once_and_what_was_in_flight_is_in_doubt() {
    let held = Arc::new(AtomicBool::new(true));
    let holds = Arc::clone(&held);
    let service = Service::answering(move |number, request| {
        while number > 0 && holds.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        accept(number, request)
    });
    let project = Project::with_script(
        r#"local groups = {}
        for i = 1, 60 do groups[i] = 1000 + i end
        im.broadcast { name = "news", to = groups, message = { type = "txt", body = { msg = "x" } } }"#,
    )
    .file("mooncast.toml", PATIENT);
    // One message has its answer; the others that the quota permitted have none. The same holds for the processes
    // that resume it.
    for args in [&["run", "scripts/main.lua"][..], &["runs", "resume", "news"]] {
        let before = service.requests().len();
        let mut child = Project::start(project.command_against(&service, args));
        service.wait_for(before + 2);
        let began = Instant::now();
        interrupt(&mut child);
        interrupt(&mut child);
        Ran::of(&child.wait_with_output().unwrap()).exits(130);
        assert!(began.elapsed() < GUARD, "it waits for the answers");
    }
    held.store(false, Ordering::Relaxed);
    let sent = service.messages().len();
    project.run_against(&service).exits(3).says("in doubt");
    let groups: std::collections::BTreeSet<_> =
        service.messages().iter().map(|message| message["to"][0].as_str().unwrap().to_owned()).collect();
    assert!(sent < 60 && service.messages().len() == groups.len(), "{sent} before");
    // A message with a recorded intent may not have left before its process ended: it is in doubt, and no other is
    // missing.
    let rows = project.mooncast(&["runs", "export", "news", "--format", "jsonl"]).exits(0).stdout;
    assert_eq!(rows.lines().count(), 60);
    for row in rows.lines().map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap()) {
        let group = row["group_id"].as_str().unwrap();
        assert!(row["state"] == "in_doubt" || groups.contains(group), "{row}");
    }
}
