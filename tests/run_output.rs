//! What job runs print and log: kept in the ledger, read by `mooncast jobs logs` and `jobs show` and by the API.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use mooncast::{
    Clock, EndedRun, JobRunAction, JobState, Ledger, NewJobRun, NewOutput, OutputStream, OutputWrite,
};
use serde_json::Value;

use crate::daemon::Serving;
use crate::support::service::{Service, json as answer};
use crate::support::{Project, Ran, until};
use crate::survival::command;
use crate::survival::random::soak;
use crate::survival::server::Server;
use crate::web::{Site, request};

const HEAD: &str = "local schedule, task, log = require('schedule'), require('task'), require('log')\n";

fn script(source: &str) -> String {
    format!("{HEAD}{source}")
}

/// Triggers a job and returns its run.
fn trigger(project: &Project, job: &str) -> String {
    let said = project.mooncast(&["jobs", "--simulator", "trigger", job]).exits(0).stdout;
    let run = said.split("run ").nth(1).unwrap();
    run.split(' ').next().unwrap().to_owned()
}

/// Follows a run until it ends.
fn follow(project: &Project, job: &str, run: &str) -> Ran {
    project.mooncast(&["jobs", "--simulator", "logs", job, "--run", run, "-f"]).exits(0)
}

#[test]
fn what_a_run_prints_and_logs_and_its_error_are_kept_and_shown() {
    let project = Project::with_script(script(
        "local function fails() error('no such list') end
        schedule.every('10000h', { name = 'news' }, function(c)
          print('one', 1)
          log.warn('careful', { list = 'a' })
          print('two halves\\nand\\27[31m a rest')
          im.broadcast { name = 'b', to = { 1, 2 }, message = { type = 'txt', body = { msg = 'x' } } }
          im.group_send { to = 3, type = 'txt', body = { msg = 'x' } }
          fails()
        end)",
    ));
    let serving = Serving::start(project.command(&["serve", "--simulator"]));
    let run = trigger(&project, "news");
    let logs = follow(&project, "news", &run).stdout;
    let lines: Vec<&str> = logs.lines().collect();
    for (line, end) in [
        (0, " print one\t1"),
        (1, " warn  careful {\"list\":\"a\"} (scripts/main.lua:5)"),
        (2, " print two halves"),
        (3, " print and\\u{1b}[31m a rest"),
    ] {
        assert!(lines[line].ends_with(end), "{end:?}: {lines:#?}");
    }
    assert!(lines[4].contains(" error ") && lines[4].contains("no such list"), "{lines:#?}");
    assert!(lines[5..].iter().any(|line| line.contains("scripts/main.lua:2: in ")), "{lines:#?}");
    let shown = project.mooncast(&["jobs", "--simulator", "show", &format!("news@{run}")]).exits(0);
    let shown = shown.prints(": failed").prints("script: scripts/main.lua, version ").prints("no such list");
    let shown = shown.prints("b/").prints("sent to 2 of 2").prints("single send 1 to 3: sent");
    assert!(shown.stdout.contains("careful"), "{shown:#?}");
    project.mooncast(&["jobs", "--simulator", "show", "news", "--run", &run]).exits(0).prints(": failed");
    serving.stop().exits(0);
    // It is in the ledger, so no daemon is needed.
    let later = project.mooncast(&["jobs", "--simulator", "logs", "news"]).exits(0).stdout;
    assert_eq!(later, logs);
    project
        .mooncast(&["jobs", "--simulator", "logs", "news@2026-01-01T00:00:00Z"])
        .exits(2)
        .says("there is no");
    project
        .mooncast(&["jobs", "--simulator", "logs", "news", "--run", "x"])
        .exits(2)
        .says("not the name of a run");
}

#[test]
fn a_long_output_keeps_its_beginning_and_its_end() {
    let project = Project::with_script(script(
        "schedule.every('10000h', { name = 'long' }, function()
          for i = 1, 100000 do print(('%06d'):format(i) .. (' x'):rep(20)) end
          print(('y'):rep(20000))
        end)",
    ));
    let serving = Serving::start(project.command(&["serve", "--simulator"]));
    let run = trigger(&project, "long");
    follow(&project, "long", &run);
    let logs = project.mooncast(&["jobs", "--simulator", "logs", "long"]).exits(0).stdout;
    assert!((100_000..300_000).contains(&logs.len()), "{}", logs.len());
    let lines: Vec<&str> = logs.lines().collect();
    assert!(lines[0].contains("000001 x") && lines[500].contains("000501 x"), "{:?}", &lines[..3]);
    let gap = lines.iter().position(|line| line.contains("left out")).unwrap();
    let number = |line: &str| line.split(" print ").nth(1).unwrap()[..6].parse::<u64>().unwrap();
    let (before, after) = (number(lines[gap - 1]), number(lines[gap + 1]));
    let (lines_left, bytes) = (after - before - 1, (after - before - 1) * 47);
    assert_eq!(lines[gap], format!("({lines_left} lines with {bytes} bytes left out)"));
    assert!(lines.iter().any(|line| line.contains("100000 x")) && logs.trim_end().ends_with("yyy"));
    serving.stop().exits(0);
}

#[test]
fn logs_follow_a_run_of_another_process_until_it_ends() {
    let project = Project::with_script(script(
        "schedule.every('10000h', { name = 'slow' }, function()
          print('begins')
          while not require('store').get('go') do task.sleep(0.05) end
          print('ends')
        end)
        function main() require('store').set('go', true) end",
    ));
    let serving = Serving::start(project.command(&["serve", "--simulator"]));
    let run = trigger(&project, "slow");
    let mut logs =
        Project::start(project.command(&["jobs", "--simulator", "logs", "slow", "--run", &run, "-f"]));
    let mut out = BufReader::new(logs.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(out.next().unwrap().contains("begins"));
    project.mooncast(&["jobs", "--simulator", "run-script", "main.lua"]).exits(0);
    assert!(out.next().unwrap().contains("ends"));
    assert_eq!(out.next(), None);
    assert!(logs.wait().unwrap().success());
    serving.stop().exits(0);
}

#[test]
fn a_killed_daemon_leaves_the_output_and_the_next_attempt_continues_it() {
    let project = Project::with_script(script(
        "schedule.every('10000h', { name = 'long' }, function(c)
          print('attempt', c.attempt)
          if c.attempt == 1 then task.sleep(100000) end
        end)",
    ));
    let server = Server::faithful();
    let serving = Serving::start(command(&project, &server, &["serve"]));
    let said = project.mooncast(&["jobs", "trigger", "long"]).exits(0).stdout;
    let run = said.split("run ").nth(1).unwrap().split(' ').next().unwrap();
    let mut logs = Project::start(project.command(&["jobs", "logs", "long", "--run", run, "-f"]));
    let mut out = BufReader::new(logs.stdout.take().unwrap()).lines().map_while(Result::ok);
    let first = out.find(|line| line.contains("attempt\t1"));
    assert!(first.is_some());
    serving.kill();
    let serving = Serving::start(command(&project, &server, &["serve"]));
    let rest: Vec<String> = out.collect();
    assert!(rest[0].ends_with("host  attempt 2 begins") && rest[1].ends_with("attempt\t2"), "{rest:#?}");
    assert!(logs.wait().unwrap().success());
    serving.stop().exits(0);
}

#[test]
fn with_keep_output_zero_nothing_is_kept() {
    let project = Project::with_script(script(
        "schedule.every('10000h', { name = 'quiet' }, function() print('hidden') end)",
    ))
    .file("mooncast.toml", "[scripts]\nkeep_output = \"0s\"\n");
    let serving = Serving::start(project.command(&["serve", "--simulator"]));
    let run = trigger(&project, "quiet");
    let said = follow(&project, "quiet", &run).stdout;
    assert!(said.contains("no output is kept of quiet@") && !said.contains("hidden"), "{said}");
    serving.prints("hidden", 1);
    serving.stop().exits(0);
}

#[test]
fn the_api_has_a_run_its_output_and_what_it_sent() {
    let site = Site::start(&script(
        "schedule.every('10000h', { name = 'a/b @ c' }, function()
          for i = 1, 5 do print(i) end
          im.broadcast { name = 'b', to = { '1', '2' }, message = { from = 'a', type = 'txt', body = { msg = 'x' } } }
          im.group_send { to = '3', from = 'a', type = 'txt', body = { msg = 'x' } }
          log.error('the end')
        end)",
    ));
    site.ask("POST /jobs/a%2Fb%20%40%20c/trigger");
    let runs = site.until("/runs", |runs| runs[0]["state"] == "done");
    let id = runs[0]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("a/b @ c@2"), "{id}");
    let path = format!("/runs/{}", id.replace('/', "%2F").replace(' ', "%20").replace('@', "%40"));
    let detail = site.json(&path);
    assert_eq!(detail["run"], runs[0]);
    assert_eq!(detail["script"], "scripts/main.lua");
    assert_eq!(detail["broadcasts"][0]["counts"]["sent"], 2);
    assert_eq!(detail["sends"][0]["groups"], serde_json::json!(["3"]));
    let output = site.json(&format!("{path}/output"));
    let texts = |output: &Value| -> Vec<String> {
        let lines = output["lines"].as_array().unwrap();
        lines.iter().map(|line| format!("{} {}", line["stream"], line["text"])).collect()
    };
    let all = texts(&output);
    assert_eq!(all.len(), 6, "{all:?}");
    assert_eq!(all[0], "\"print\" \"1\"");
    assert!(all[5].starts_with("\"log_error\" \"the end"), "{all:?}");
    assert_eq!(
        (&output["over"], &output["last_line"], &output["left_out"]),
        (&true.into(), &6.into(), &Value::Null)
    );
    let later = site.json(&format!("{path}/output?after=4"));
    assert_eq!(texts(&later), all[4..]);
    assert_eq!(site.ask("GET /runs/nothing").status, 404);
    assert_eq!(site.ask("GET /runs/a@2026-01-01T00:00:00Z/output").status, 404);
    site.serving.stop().exits(0);
}

/// The runs of an hour at 200 a minute, each with 64 KiB of output and more. The ledger's output stays within its bound,
/// and the page's first screen stays small. Without `MOONCAST_SOAK`, the hour has 3 minutes and the bound is smaller.
#[test]
fn an_hour_of_200_runs_a_minute_is_bounded() {
    let (minutes, most): (u64, u64) = if soak() { (60, 256 << 20) } else { (3, 4 << 20) };
    let project = Project::with_script("print('nothing')");
    let now = Clock::real().unix_time();
    let start = now.saturating_sub(Duration::from_mins(minutes));
    let clock = Clock::simulated(start);
    let place = project.simulate("");
    let line = "x".repeat(1000);
    let (size, peak) = clock
        .block_on(async {
            let ledger = Ledger::open_at(&place, clock.clone()).await.unwrap();
            let instance = ledger.register("serve").await.unwrap();
            let mut peak = 0;
            for minute in 0..minutes {
                let at = |run: u64| start + Duration::from_millis(minute * 60_000 + run * 300);
                let runs: Vec<NewJobRun> = (0..200)
                    .map(|run| NewJobRun {
                        job: format!("job {}", run % 20),
                        scheduled_at: at(run),
                        entry: JobRunAction::Run { or_skip: false },
                        version: "v".to_owned(),
                        rerun: false,
                        timeout: None,
                        args: None,
                    })
                    .collect();
                ledger.claim_job_runs(&instance, &runs, &[], &[]).await.unwrap();
                for run in &runs {
                    let lines: Vec<String> = (0..64)
                        .map(|_| OutputWrite::line(run.scheduled_at, OutputStream::Print, &line))
                        .collect();
                    let part = NewOutput {
                        first_line: 1,
                        lines: 64,
                        at_byte: 0,
                        bytes: 64 * 1001,
                        content: lines.join(","),
                    };
                    let (job, scheduled_at) = (run.job.clone(), run.scheduled_at);
                    let write = OutputWrite { job, scheduled_at, parts: vec![part], left_out: None };
                    ledger.write_output(write).await.unwrap();
                    clock.sleep(Duration::from_millis(300)).await;
                }
                let ended: Vec<EndedRun> = runs
                    .iter()
                    .map(|run| EndedRun {
                        job: run.job.clone(),
                        scheduled_at: run.scheduled_at,
                        state: JobState::Done,
                        note: None,
                    })
                    .collect();
                ledger.finish_job_runs(&instance, &ended).await.unwrap();
                ledger.prune_output(Duration::ZERO, most).await.unwrap();
                assert!(ledger.output_size().await.unwrap() <= most);
                peak = peak.max(ledger.size().await.unwrap());
            }
            let newest = ledger.job_runs(None, 1).await.unwrap().remove(0);
            let kept = ledger.run_output(&newest.job, newest.scheduled_at, 0).await.unwrap();
            assert_eq!((kept.lines.len(), kept.left_out), (64, None));
            let pruned = ledger.prune_output(clock.unix_time() + Duration::from_secs(1), most).await.unwrap();
            assert!(pruned > 0 && ledger.output_size().await.unwrap() == 0);
            (ledger.size().await.unwrap(), peak)
        })
        .unwrap();
    let daemon = Site::of(project);
    let began = std::time::Instant::now();
    let bearer = format!("Bearer {}", daemon.operate);
    let first = request(&daemon.address, "GET /", &[("authorization", &bearer)], b"");
    let took = began.elapsed();
    assert_eq!(first.status, 200);
    println!(
        "{} runs with 64 KiB each: the ledger had {} MiB at most and has {} MiB; the first screen has {} KiB and took {took:?}",
        minutes * 200,
        peak >> 20,
        size >> 20,
        first.body.len() >> 10,
    );
    // Before it is pruned there is a minute more of it. Without pruning, the ledger has 36 MiB after 3 minutes.
    assert!(peak < most + (28 << 20), "{peak}");
    assert!(first.body.len() < 200 << 10, "{}", first.body.len());
    daemon.serving.stop().exits(0);
}

#[test]
fn a_secret_that_another_service_repeats_is_hidden_in_the_kept_output() {
    let echo = echo();
    let project = Project::with_script(script(&format!(
        "local http, env = require('http'), require('env')
        schedule.every('10000h', {{ name = 'echo' }}, function()
          local said = http.get('{}/x', {{ headers = {{ Authorization = 'Bearer ' .. env.secret('API_KEY') }} }})
          print('it says ' .. said.body)
        end)",
        echo.url()
    )))
    .file("mooncast.toml", "[permissions]\nnet = ['127.0.0.1']\nsecrets = ['API_KEY']\n");
    let mut command = project.command(&["serve", "--simulator"]);
    let serving = Serving::start({
        command.env("API_KEY", "canary-of-the-shop");
        command
    });
    let run = trigger(&project, "echo");
    let logs = follow(&project, "echo", &run).stdout;
    assert!(logs.contains("it says") && logs.contains("Bearer [hidden]"), "{logs}");
    assert!(!logs.contains("canary"), "{logs}");
    serving.stop().exits(0);
}

/// A service that repeats the header with the secret.
fn echo() -> Service {
    Service::answering(|_, request| {
        let sent = request.header("authorization").unwrap_or_default();
        answer(200, &serde_json::json!({ "you": sent }).to_string())
    })
}

#[test]
fn a_secret_in_the_error_of_a_run_is_hidden_wherever_the_error_goes() {
    let (echo, hook) = (echo(), Service::answering(|_, _| answer(200, "{}")));
    let project = Project::with_script(script(&format!(
        "local http, env = require('http'), require('env')
        local function fails()
          local said = http.get('{}/x', {{ headers = {{ Authorization = 'Bearer ' .. env.secret('API_KEY') }} }})
          error('refused: ' .. said.body)
        end
        schedule.every('10000h', {{ name = 'echo' }}, fails)
        function main() fails() end",
        echo.url()
    )))
    .file(
        "mooncast.toml",
        format!(
            "[permissions]\nnet = ['127.0.0.1']\nsecrets = ['API_KEY']\n[alerts]\nurl = \"{}/hook\"\n",
            hook.url()
        ),
    );
    let with_key = |args: &[&str]| {
        let mut command = project.command(args);
        command.env("API_KEY", "canary-of-the-shop");
        command
    };
    let serving = Serving::start(with_key(&["serve", "--simulator"]));
    let run = trigger(&project, "echo");
    follow(&project, "echo", &run);
    project.mooncast(&["jobs", "--simulator", "run-script", "main.lua"]).exits(0);
    let told = || -> String {
        hook.requests().iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect()
    };
    until("both failures are told", || told().contains("run scripts/main.lua") && told().contains("echo"));
    assert!(told().contains("[hidden]") && !told().contains("canary"), "{}", told());
    for job in ["echo", "run scripts/main.lua"] {
        let shown = project.mooncast(&["jobs", "--simulator", "show", job]).exits(0);
        assert!(shown.stdout.contains("Bearer [hidden]") && !shown.stdout.contains("canary"), "{shown:?}");
    }
    let log = serving.stop().exits(0);
    assert!(!log.stderr.contains("canary"), "{log:?}");
    let ran = Ran::of(&with_key(&["run", "--simulator", "scripts/main.lua"]).output().unwrap());
    ran.exits(1);
    let shown = project.mooncast(&["jobs", "--simulator", "show", "run scripts/main.lua"]).exits(0);
    assert!(shown.stdout.contains("on the command line") && !shown.stdout.contains("canary"), "{shown:?}");
    assert!(!project.keeps("canary-of-the-shop"));
}

#[test]
fn characters_that_are_not_seen_are_shown_in_all_places() {
    let site = Site::start(&script(
        "schedule.every('10000h', { name = 'odd' }, function()
          print('a\u{202e}b\u{2066}c\u{200f}d\u{feff}e\\27[2J')
          print('👩\u{200d}🚀 群组')
        end)",
    ));
    site.ask("POST /jobs/odd/trigger");
    let runs = site.until("/runs", |runs| runs[0]["state"] == "done");
    let id = runs[0]["id"].as_str().unwrap();
    let shown = r"a\u{202e}b\u{2066}c\u{200f}d\u{feff}e\u{1b}[2J";
    let output = site.json(&format!("/runs/{}/output", id.replace('@', "%40")));
    assert_eq!(output["lines"][0]["text"], shown);
    assert_eq!(output["lines"][1]["text"], "👩\u{200d}🚀 群组");
    site.project.mooncast(&["jobs", "--simulator", "logs", "odd"]).exits(0).prints(shown);
    site.project.mooncast(&["jobs", "--simulator", "show", id]).exits(0).prints(shown);
    let bearer = format!("Bearer {}", site.operate);
    for page in ["/run", "/run/output"] {
        let page = format!("GET {page}?id={id}");
        let body = request(&site.address, &page, &[("authorization", &bearer)], b"").body;
        assert!(body.contains(r"a\u{202e}b") && !body.contains('\u{202e}'), "{body}");
    }
    site.serving.stop().exits(0);
}

#[test]
fn what_a_script_printed_before_its_kill_is_kept() {
    let project = Project::with_script(script(
        // The pattern takes longer than anybody waits, in one call that nothing can interrupt.
        "local function hangs() return (('a'):rep(100000)):find(('a*'):rep(30) .. 'b') end
        schedule.every('10000h', { name = 'hangs' }, function()
          print('the first')
          log.info('the second')
          print('the last')
          hangs()
        end)
        schedule.every('10000h', { name = 'loops' }, function()
          for i = 1, 3000 do print('line', i) end
          while true do pcall(function() while true do end end) end
        end)
        function main()
          print('the last')
          hangs()
        end",
    ))
    .file("mooncast.toml", "[scripts]\ncpu = \"300ms\"\n");
    let serving = Serving::start(project.command(&["serve", "--simulator"]));
    for (job, last) in [("hangs", "print the last"), ("loops", "print line\t3000")] {
        let run = trigger(&project, job);
        let logs = follow(&project, job, &run).stdout;
        assert!(logs.contains(last), "{job}: {logs}");
        let words = logs.lines().last().unwrap();
        assert!(words.contains(" error ") && words.contains("`[scripts] cpu`"), "{job}: {words}");
    }
    serving.stop().exits(0);
    let ran = project.run_simulated().exits(1);
    ran.prints("the last").says("was stopped");
}
