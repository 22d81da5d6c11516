//! `mooncast serve` from outside: jobs at their times, killed runs, operators' commands, and the daemon's end.
//!
//! On a server: in the soak

use std::process::Command;
use std::sync::Arc;

use rustix::process::{Signal, kill_process};

use crate::daemon::Serving;
use crate::support::service::{Service, accept};
use crate::support::{Project, Ran, store};
use crate::survival::server::Server;
use crate::survival::{LEFT_TO, command, ended};

/// A project with a script and without a quota.
fn project(script: &str) -> Project {
    Project::new()
        .file(
            "scripts/main.lua",
            format!("local schedule, task = require('schedule'), require('task')\n{script}"),
        )
        .file("mooncast.toml", "[app.limits]\ngroup_per_second = 1000000\n")
}

fn against(project: &Project, server: &Server) -> Command {
    command(project, server, &["serve"])
}

fn simulated(project: &Project) -> Serving {
    Serving::start(project.command(&["serve", "--simulator"]))
}

/// Returns the output of `mooncast jobs`, with the simulator's ledger.
fn jobs(project: &Project, args: &[&str]) -> Ran {
    project.mooncast(&[&["jobs", "--simulator"], args].concat())
}

/// Returns what `jobs show` prints for a job, once it has this text.
#[track_caller]
fn shows(project: &Project, args: &[&str], text: &str) -> String {
    let began = std::time::Instant::now();
    loop {
        let shown = project.mooncast(args).exits(0).stdout;
        if shown.contains(text) {
            return shown;
        }
        assert!(began.elapsed().as_secs() < 60, "never showed {text:?}: {shown}");
    }
}

#[test]
fn two_daemons_on_one_ledger_start_each_instant_once_and_both_stop_in_order() {
    let project = project("schedule.every('1s', { name = 'tick' }, function(c) print('ran ' .. c.run) end)");
    let (one, two) = (simulated(&project), simulated(&project));
    one.says("job=\"tick\"", 4);
    two.says("job=\"tick\"", 4);
    let (one, two) = (one.stop().exits(0).says("stopped"), two.stop().exits(0).says("stopped"));
    let mut runs: Vec<&str> = one.stdout.lines().chain(two.stdout.lines()).collect();
    runs.sort_unstable();
    let many = runs.len();
    runs.dedup();
    assert!(many >= 3 && runs.len() == many, "{runs:?}");
}

#[test]
fn a_broadcast_takes_the_instant_as_its_run_and_single_sends_are_counted() {
    let service = Service::accepting();
    let project = project(
        "schedule.every('1s', { name = 'both' }, function(c)
          im.broadcast { name = 'b', to = { 1, 2 }, message = { type = 'txt', body = { msg = c.run } } }
          im.group_send({ to = 3, type = 'txt', body = { msg = c.name } }, { once = c.run })
          print(c.run)
        end)",
    );
    let serving = Serving::start(project.command_against(&service, &["serve"]));
    serving.prints("Z", 2);
    let ran = serving.stop().exits(0).never_says("failed");
    let listed = project.mooncast(&["runs", "list"]).exits(0).stdout;
    for run in ran.stdout.lines() {
        assert!(listed.contains(&format!("b/{run}")), "{run}: {listed}");
        let texts = service.messages().into_iter().filter(|message| message["body"]["msg"] == run).count();
        assert_eq!(texts, 2, "{run}");
    }
}

#[test]
fn a_run_killed_in_its_broadcast_is_entered_again_with_the_very_same_script() {
    let script = |version: &str| {
        format!(
            "local schedule = require('schedule')
            schedule.every('10000h', {{ name = 'news' }}, function(c)
              local groups = {{}}
              for i = 1, 100 do groups[i] = i end
              print('{version} begins', c.attempt)
              local r = im.broadcast {{ name = 'news', to = groups, on_change = 'continue', message = {{ type = 'txt', body = {{ msg = 'x' }} }} }}
              im.group_send({{ to = 101, type = 'txt', body = {{ msg = require('words') }} }}, {{ once = c.run }})
              print('{version} ends', r.sent + r.in_doubt)
            end)"
        )
    };
    let project =
        project("").file("scripts/main.lua", script("old")).file("scripts/lib/words.lua", "return 'old'");
    let server = Server::faithful();
    server.hold_from(40);
    let serving = Serving::start(against(&project, &server));
    project.mooncast(&["jobs", "trigger", "news"]).exits(0).prints("was requested");
    assert!(server.wait_for(40));
    server.client(serving.child());
    serving.kill();
    server.client_is_gone_or_held();
    project.write("scripts/main.lua", script("new"));
    project.write("scripts/lib/words.lua", "return 'new'");
    server.let_go();
    let serving = Serving::start(against(&project, &server));
    serving.says("continues where it stopped", 1);
    serving.prints("old ends\t100", 1);
    let ran = serving.stop().exits(0).prints("old begins\t2").says("run queued again after an interruption");
    assert!(!ran.stdout.contains("new"), "{ran:#?}");
    project.mooncast(&["jobs", "show", "news"]).exits(0).prints("undelivered, attempt 2");
    let accepted = server.accepted();
    assert!(accepted.values().all(|times| *times == 1), "{accepted:?}");
}

#[test]
fn a_killed_run_that_sent_by_itself_is_interrupted_and_with_rerun_it_is_entered_again() {
    let script = |name: &str, options: &str| {
        format!(
            "schedule.every('10000h', {{ name = '{name}'{options} }}, function(c)
              im.group_send {{ to = 1, type = 'txt', body = {{ msg = 'x' }} }}
              print('{name}', c.attempt)
              if c.attempt == 1 then task.sleep(100000) end
            end)\n"
        )
    };
    let project = project(&(script("loose", "") + &script("again", ", rerun = true")));
    let server = Server::faithful();
    let serving = Serving::start(against(&project, &server));
    for job in ["loose", "again"] {
        project.mooncast(&["jobs", "trigger", job]).exits(0);
        serving.prints(job, 1);
    }
    serving.kill();
    let serving = Serving::start(against(&project, &server));
    serving.prints("again\t2", 1);
    let ran = serving.stop().exits(0).says("run interrupted and not run again");
    assert!(!ran.stdout.contains("loose"), "{ran:#?}");
    project.mooncast(&["jobs", "show", "loose"]).exits(0).prints("interrupted").prints("rerun = true");
    project.mooncast(&["jobs"]).exits(0).prints("interrupted 20");
}

#[test]
fn a_broadcast_goes_on_when_its_worker_is_killed() {
    let project = project(
        "schedule.every('10000h', { name = 'news' }, function(c)
          local groups = {}
          for i = 1, 200 do groups[i] = i end
          im.broadcast { name = 'news', to = groups, message = { type = 'txt', body = { msg = 'x' } } }
        end)",
    );
    let server = Server::faithful();
    server.hold_from(50);
    let serving = Serving::start(against(&project, &server));
    project.mooncast(&["jobs", "trigger", "news"]).exits(0);
    assert!(server.wait_for(50));
    for worker in serving.workers() {
        kill_process(worker, Signal::KILL).unwrap();
    }
    serving.says("run failed", 1);
    server.let_go();
    serving.says("broadcast finished", 1);
    serving.stop().exits(0).says("sent=200");
    assert_eq!(server.accepted().len(), 200);
}

#[test]
fn what_people_say_of_broadcasts_is_heard_by_the_daemon_and_nobody_else_drives_them() {
    let project = project(
        "schedule.every('10000h', { name = 'news' }, function(c)
          local groups = {}
          for i = 1, 60 do groups[i] = i end
          im.broadcast { name = 'news', to = groups, rate = 10, message = { type = 'txt', body = { msg = 'x' } } }
          print('delivered')
        end)",
    );
    let server = Server::faithful();
    let serving = Serving::start(against(&project, &server));
    project.mooncast(&["jobs", "trigger", "news"]).exits(0);
    assert!(server.wait_for(2));
    let runs = |args: &[&str]| ended(command(&project, &server, args));
    runs(&["runs", "pause", "news"]).exits(0);
    // The broadcast cannot finish before the command is given.
    server.hold_from(server.told().accepted + 20);
    runs(&["runs", "resume", "news"]).exits(0).prints(LEFT_TO);
    server.let_go();
    serving.prints("delivered", 1);
    serving.says("broadcast finished", 1);
    runs(&["runs", "resume", "news"]).exits(0).prints("is finished");
    serving.stop().exits(0);
    assert!(server.accepted().values().all(|times| *times == 1));
}

#[test]
fn refused_recipients_are_sent_to_again_by_the_daemon() {
    let refuse = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let refuses = Arc::clone(&refuse);
    let service = Service::answering(move |number, request| {
        if refuses.load(std::sync::atomic::Ordering::SeqCst) && request.json()["to"][0] == "7" {
            let body = r#"{"error":"illegal_argument","error_description":"no such group"}"#;
            return crate::support::service::json(400, body);
        }
        accept(number, request)
    });
    let project = project(
        "schedule.every('10000h', { name = 'news' }, function(c)
          im.broadcast { name = 'news', to = { 6, 7, 8 }, message = { type = 'txt', body = { msg = 'x' } } }
        end)",
    );
    let serving = Serving::start(project.command_against(&service, &["serve"]));
    project.mooncast(&["jobs", "trigger", "news"]).exits(0);
    serving.says("rejected=1", 1);
    refuse.store(false, std::sync::atomic::Ordering::SeqCst);
    project.mooncast(&["runs", "retry", "news"]).exits(0).prints("the daemon (process");
    serving.says("sent=3", 1);
    serving.stop().exits(0);
}

#[test]
fn jobs_are_listed_triggered_paused_resumed_and_cancelled_from_another_process() {
    let project = project(
        "schedule.every('1s', { name = 'tick' }, function(c) print('tick') end)
        schedule.every('10000h', { name = 'long', timeout = '1h' }, function(c)
          print('long begins')
          task.sleep(100000)
        end)",
    );
    if store::server().is_some() {
        jobs(&project, &[]).exits(0).prints("no jobs");
    } else {
        jobs(&project, &[]).exits(2).says("mooncast serve");
    }
    let serving = simulated(&project);
    serving.prints("tick", 1);
    jobs(&project, &["list"]).exits(0).prints("tick").prints("every 1s").prints("scripts/main.lua");
    jobs(&project, &["trigger", "lonk"]).exits(2).says("there is no job `lonk`").says("long");
    jobs(&project, &["trigger", "long"]).exits(0).prints("was requested");
    serving.prints("long begins", 1);
    jobs(&project, &["show", "long"]).exits(0).prints("running");
    jobs(&project, &["trigger", "long"]).exits(0);
    serving.says("run skipped: the run of", 1);
    jobs(&project, &["cancel", "long"]).exits(0).prints("being cancelled");
    serving.says("run cancelled", 1);
    shows(&project, &["jobs", "--simulator", "show", "long"], "cancelled");
    jobs(&project, &["cancel", "long"]).exits(0).prints("long has no active or waiting runs");

    jobs(&project, &["pause", "tick"]).exits(0).prints("is paused");
    serving.says("job paused", 1);
    jobs(&project, &[]).exits(0).prints("paused");
    let printed = serving.printed().len();
    // Another job's runs show that time passes. A requested run starts although the job is paused.
    jobs(&project, &["trigger", "tick"]).exits(0);
    serving.prints("tick", printed);
    jobs(&project, &["resume", "tick"]).exits(0).prints("is resumed");
    serving.says("job resumed", 1);
    serving.prints("tick", printed + 2);
    serving.stop().exits(0);
    jobs(&project, &["trigger", "tick"]).exits(2).says("no `mooncast serve` runs");
}

#[test]
fn overlaps_are_skipped_queued_or_cancel_the_earlier_run() {
    let project = project(
        "for _, overlap in ipairs { 'skip', 'queue', 'cancel' } do
          schedule.every('10000h', { name = overlap, overlap = overlap }, function(c)
            print(overlap .. ' begins')
            task.sleep(overlap == 'queue' and 1 or 100000)
            print(overlap .. ' ends')
          end)
        end",
    );
    let serving = simulated(&project);
    for job in ["skip", "queue", "cancel"] {
        jobs(&project, &["trigger", job]).exits(0);
    }
    serving.prints("begins", 3);
    for job in ["skip", "queue", "cancel"] {
        jobs(&project, &["trigger", job]).exits(0);
    }
    serving.says("run skipped: the run of", 1);
    serving.prints("queue ends", 2);
    serving.prints("cancel begins", 2);
    jobs(&project, &["show", "cancel"]).exits(0).prints("cancelled").prints("overlap").prints("running");
    serving.signal(Signal::TERM);
    serving.says("shutting down", 1);
    serving.signal(Signal::TERM);
    serving.ended().exits(0);
}

#[test]
fn workers_are_counted_and_the_others_wait_for_their_turn() {
    let project = project(
        "for i = 1, 6 do
          schedule.every('10000h', { name = 'j' .. i }, function() print('in') task.sleep(0.3) print('out') end)
        end",
    )
    .file("mooncast.toml", "[scripts]\nworkers = 2\n");
    let serving = simulated(&project);
    for i in 1..=6 {
        jobs(&project, &["trigger", &format!("j{i}")]).exits(0);
    }
    serving.prints("out", 6);
    let mut inside = 0;
    for line in serving.printed() {
        if line == "in" {
            inside += 1;
        } else {
            inside -= 1;
        }
        assert!(inside <= 2, "{:?}", serving.printed());
    }
    serving.stop().exits(0);
}

#[test]
fn a_run_over_its_time_is_stopped_and_a_failed_one_says_its_line() {
    let project = project(
        "schedule.every('1s', { name = 'slow', timeout = '1s' }, function() task.sleep(1000) end)
        schedule.every('1s', { name = 'wrong' }, function() error('on purpose') end)",
    );
    let serving = simulated(&project);
    serving.says("longer than its timeout of 1 s", 1);
    serving.says("scripts/main.lua:3: on purpose", 1);
    jobs(&project, &["show", "wrong"]).exits(0).prints("failed").prints("on purpose");
    serving.stop().exits(0);
}

#[test]
fn a_stop_finishes_what_is_in_flight_and_a_second_one_ends_at_once() {
    let script =
        "schedule.every('10000h', { name = 'a' }, function() print('in') task.sleep(%) print('out') end)";
    let quick = project(&script.replace('%', "1"));
    let serving = simulated(&quick);
    jobs(&quick, &["trigger", "a"]).exits(0);
    serving.prints("in", 1);
    serving.stop().exits(0).prints("out").says("run finished");

    let slow = project(&script.replace('%', "1000")).file("mooncast.toml", "[serve]\nstop_within = \"4s\"\n");
    let serving = simulated(&slow);
    jobs(&slow, &["trigger", "a"]).exits(0);
    serving.prints("in", 1);
    let ran = serving.stop().exits(0).says("run interrupted");
    assert!(!ran.stdout.contains("out"), "{ran:#?}");
    // It was not finished, so the next daemon starts it again.
    let serving = simulated(&slow);
    serving.says("run queued again after an interruption", 1);
    serving.prints("in", 1);
    serving.signal(Signal::INT);
    serving.says("shutting down", 1);
    serving.signal(Signal::INT);
    serving.ended().exits(0);
}

#[test]
fn an_at_in_the_past_counts_as_missed_also_when_it_is_saved_under_the_daemon() {
    let at = |seconds_ago: i64, name: &str| {
        let then = jiff::Timestamp::now().as_second() - seconds_ago;
        format!("require('schedule').at({then}, {{ name = '{name}' }}, function() print('{name} ran') end)\n")
    };
    let project = Project::new().file("scripts/main.lua", at(600, "late") + &at(7200, "old"));
    let serving = simulated(&project);
    serving.prints("late ran", 1);
    serving.says("scheduled times skipped: missed, and older", 1);
    project.write("scripts/more.lua", at(600, "saved"));
    serving.prints("saved ran", 1);
    project.write("scripts/soon.lua", at(-3, "soon"));
    serving.prints("soon ran", 1);
    let ran = serving.stop().exits(0);
    assert!(!ran.stdout.contains("old ran"), "{ran:#?}");
    // The same scheduled time does not run again.
    let serving = simulated(&project);
    serving.signal(Signal::HUP);
    serving.says("scanning all files again", 1);
    let ran = serving.stop().exits(0);
    assert_eq!(ran.stdout, "", "{ran:#?}");
}

#[test]
fn a_paused_broadcast_stays_so_over_a_restart_and_resumed_it_goes_on_in_the_daemon() {
    let project = project(
        "schedule.every('10000h', { name = 'news' }, function(c)
          local groups = {}
          for i = 1, 50 do groups[i] = i end
          im.broadcast { name = 'news', run = '1', to = groups, rate = 20, message = { type = 'txt', body = { msg = 'x' } } }
        end)",
    );
    let server = Server::faithful();
    let serving = Serving::start(against(&project, &server));
    project.mooncast(&["jobs", "trigger", "news"]).exits(0);
    assert!(server.wait_for(2));
    project.mooncast(&["runs", "pause", "news"]).exits(0);
    project.mooncast(&["jobs", "pause", "news"]).exits(0);
    for worker in serving.workers() {
        kill_process(worker, Signal::KILL).unwrap();
    }
    serving.says("run failed", 1);
    serving.stop().exits(0).says("broadcast interrupted");
    let before = server.told().accepted;
    assert!(before < 50);
    let serving = Serving::start(against(&project, &server));
    serving.says("job paused", 1);
    assert_eq!(server.told().accepted, before);
    let resume = command(&project, &server, &["runs", "resume", "news"]);
    ended(resume).exits(0).prints("continues in the daemon (process");
    serving.says("broadcast finished", 1);
    serving.stop().exits(0);
    let accepted = server.accepted();
    assert!(accepted.len() == 50 && accepted.values().all(|times| *times == 1), "{accepted:?}");
}

#[test]
fn a_host_that_the_service_does_not_document_is_said_to_need_its_history_zone() {
    for (base_url, settings, says) in [
        ("https://vip7.easemob.com", "", true),
        ("https://vip7.easemob.com", "[app]\nhistory_zone = 'Asia/Shanghai'\n", false),
        ("https://a31.easecdn.com", "", false),
    ] {
        let project = Project::new().file("mooncast.toml", settings);
        let mut command = project.command(&["serve"]);
        for (name, value) in [("BASE_URL", base_url), ("ORG", "org"), ("APP", "app"), ("TOKEN", "t")] {
            command.env(format!("MOONCAST_{name}"), value);
        }
        let ran = Serving::start(command).stop().exits(0);
        assert_eq!(ran.stderr.contains("does not name vip7.easemob.com"), says, "{ran:#?}");
        assert_eq!(ran.stderr.contains("history_zone"), says, "{ran:#?}");
    }
}
