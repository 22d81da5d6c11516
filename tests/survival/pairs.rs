//! Two processes with one broadcast, and a worker that dies while its plan is built.

use rustix::process::{Pid, Signal, kill_process};

use super::server::Server;
use super::{LEFT_TO, command, ended, in_state, nobody_lost, nothing_silent, project, rows, run};
use crate::support::{Project, Ran, store, until};

/// Checks that each group got the message once.
fn each_once(project: &Project, server: &Server, many: usize) {
    let rows = rows(project);
    nothing_silent(&rows, server, "a pair");
    nobody_lost(&rows, many, "a pair");
    assert_eq!((in_state(&rows, "sent"), server.accepted().len()), (many, many));
}

#[test]
fn a_second_run_says_who_sends_and_keeps_out() {
    // On a server it sends a part of them: `fleet::rate`.
    if store::server().is_some() {
        return;
    }
    let (project, server) = (project(200, ""), Server::faithful());
    server.hold_from(20);
    let first = Project::start(run(&project, &server));
    assert!(server.wait_for(20));
    let pid = first.id().to_string();
    for _ in 0..2 {
        ended(run(&project, &server)).exits(1).says("is being built or sent by").says(&pid);
    }
    server.let_go();
    Ran::of(&first.wait_with_output().unwrap()).exits(0).prints("200\t200\t0\t0");
    each_once(&project, &server, 200);
    ended(run(&project, &server)).exits(0).prints("true");
    each_once(&project, &server, 200);
}

#[test]
fn many_started_at_once_send_to_each_once() {
    let (project, server) = (project(200, ""), Server::faithful());
    server.hold_from(1);
    let children: Vec<_> = (0..6).map(|_| Project::start(run(&project, &server))).collect();
    assert!(server.wait_for(1));
    server.let_go();
    let all: Vec<_> = children.into_iter().map(|child| Ran::of(&child.wait_with_output().unwrap())).collect();
    let finished = all.iter().filter(|ran| ran.status == Some(0)).count();
    assert!(finished >= 1, "{all:#?}");
    for ran in all {
        assert!(ran.status == Some(0) || ran.stderr.contains("is being built or sent by"), "{ran:#?}");
    }
    each_once(&project, &server, 200);
}

#[test]
fn a_resume_beside_a_run_leaves_it_to_the_run() {
    let (project, server) = (project(200, ""), Server::faithful());
    server.hold_from(20);
    let first = Project::start(run(&project, &server));
    assert!(server.wait_for(20));
    ended(command(&project, &server, &["runs", "resume", "news"])).exits(0).prints(LEFT_TO);
    server.let_go();
    Ran::of(&first.wait_with_output().unwrap()).exits(0).prints("200\t200\t0\t0");
    each_once(&project, &server, 200);
}

#[test]
fn a_run_and_resumes_of_what_a_killed_one_left_share_it_and_nobody_has_it_twice() {
    let (project, server) = (project(200, ""), Server::faithful());
    server.kill_at([60]);
    let first = Project::start(run(&project, &server));
    server.client(&first);
    assert_eq!(first.wait_with_output().unwrap().status.code(), None);
    server.client_is_gone();
    let mut children = Vec::new();
    for _ in 0..3 {
        children.push(Project::start(run(&project, &server)));
        children.push(Project::start(command(&project, &server, &["runs", "resume", "news"])));
    }
    for child in children {
        let ran = Ran::of(&child.wait_with_output().unwrap());
        let kept_out =
            ["is being built or sent by", "is finished: "].iter().any(|why| ran.stderr.contains(why));
        assert!([Some(0), Some(3)].contains(&ran.status) || kept_out, "{ran:#?}");
    }
    let rows = rows(&project);
    nothing_silent(&rows, &server, "shared");
    nobody_lost(&rows, 200, "shared");
}

/// Returns the host's children: its worker.
fn children(pid: u32) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn a_worker_or_host_killed_while_a_plan_is_built_leaves_nothing_sent_and_the_next_run_builds_anew() {
    // The iterator shows its progress by requesting another page of numbers. Then it waits to be killed.
    let source = |stops: bool| {
        format!(
            r#"
            local fs, task = require("fs"), require("task")
            local n = 0
            local function numbers()
              n = n + 1
              if {stops} and n == 1500 then
                fs.write("data/reached", "yes")
                task.sleep(60)
              end
              if n <= 2000 then return "g" .. n end
            end
            local r = im.broadcast {{ name = "news", to = numbers, message = {{ type = "txt", body = {{ msg = "x" }} }} }}
            print(r.total, r.sent, r.duplicates)"#
        )
    };
    for whom in ["worker", "host"] {
        let (project, server) = (project(1, "").file("scripts/main.lua", source(true)), Server::faithful());
        let child = Project::start(run(&project, &server));
        until("the plan is half built", || project.path("data/reached").exists());
        let victim = if whom == "worker" {
            Pid::from_raw(children(child.id())[0]).unwrap()
        } else {
            Pid::from_child(&child)
        };
        kill_process(victim, Signal::KILL).unwrap();
        let ran = Ran::of(&child.wait_with_output().unwrap());
        if whom == "worker" {
            ran.exits(1).says("error: ");
        }
        assert_eq!(server.told().requests, 0, "{whom}");
        project.wait_for_death();
        let show = project.mooncast(&["runs", "show", "news"]);
        if whom == "worker" {
            // Its host has deleted the plan.
            show.exits(2).says("there is no broadcast `news`");
        } else {
            show.exits(0).prints("its plan is incomplete");
        }
        ended(command(&project, &server, &["runs", "resume", "news"])).exits(2);
        assert_eq!(server.told().requests, 0, "{whom}");
        project.write("scripts/main.lua", source(false));
        ended(run(&project, &server)).exits(0).prints("2000\t2000\t0");
        each_once(&project, &server, 2000);
    }
}
