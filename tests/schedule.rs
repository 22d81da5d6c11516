//! Jobs from outside: refused declarations, the output of `check`, and a job that is run now.

use crate::support::Project;
use crate::support::service::Service;

/// Makes a declaration with this call, and returns the result.
fn declare(call: &str) -> String {
    let script = format!(
        r#"local ok, problem = pcall(function() {call} end)
           print(ok and "declared" or problem.kind .. " " .. tostring(problem.field) .. " | " .. problem.message)"#
    );
    Project::with_script(script).run_simulated().exits(0).stdout
}

#[test]
fn what_makes_no_sense_names_its_field() {
    for (call, field, parts) in [
        (r#"schedule.cron("61 * * * *", print)"#, "expr", &["the minute `61`", "0 to 59"][..]),
        (r#"schedule.cron("0 9 * *", print)"#, "expr", &["4 fields"]),
        (r#"schedule.cron("0 0 30 2 *", print)"#, "expr", &["no date matches it"]),
        (
            r#"schedule.cron("@daily", { tz = "Asia/Shangai" }, print)"#,
            "tz",
            &["did you mean \"Asia/Shanghai\"?"],
        ),
        (r#"schedule.cron("@daily", { missed = "al" }, print)"#, "missed", &["`al`", "\"all\""]),
        (r#"schedule.cron("@daily", { overlap = "stop" }, print)"#, "overlap", &["\"cancel\""]),
        (r#"schedule.cron("@daily", { name = "" }, print)"#, "name", &["empty"]),
        (r#"schedule.cron("@daily", { nmae = "x" }, print)"#, "options.nmae", &["did you mean `name`?"]),
        (r#"schedule.cron("@daily", { timeout = 0 }, print)"#, "timeout", &["0 s"]),
        (r#"schedule.cron("@daily", { grace = "long" }, print)"#, "grace", &["`long`"]),
        (r#"schedule.cron("@daily", { jitter = "48h" }, print)"#, "jitter", &["less than"]),
        (r#"schedule.cron("@daily", {})"#, "fn", &["function"]),
        ("schedule.cron(5, print)", "expr", &["a string"]),
        ("schedule.every(0, print)", "duration", &["whole seconds"]),
        (r#"schedule.every("soon", print)"#, "duration", &["`soon`"]),
        (r#"schedule.at("tomorrow", print)"#, "time", &["2026-12-24 18:00"]),
        ("schedule.at(-5, print)", "time", &["-5"]),
        (
            r#"schedule.every("1h", print); schedule.every("2h", print)"#,
            "name",
            &["`main`", "scripts/main.lua:1"],
        ),
    ] {
        let said = declare(call);
        assert!(said.starts_with(&format!("invalid {field} | ")), "{call}: {said}");
        for part in parts {
            assert!(said.contains(part), "{call}: {said} lacks {part}");
        }
    }
    assert_eq!(
        declare(r#"require("schedule").cron("*/5 9-17 * * mon-fri", { tz = "UTC", jitter = "1m" }, print)"#),
        "declared\n"
    );
}

const JOBS: &str = r#"
print("loaded")
schedule.cron("0 9 * * *", { name = "morning", tz = "Asia/Shanghai" }, function(context)
  print(context.name, context.run, context.attempt, context.scheduled_at, schedule.run)
  local report = im.broadcast({ name = "news", to = { "1", "2" }, message = { type = "txt", body = { msg = "Hello" } } })
  print(report.run == context.run, report.sent)
end)
schedule.every("1h", { name = "hourly" }, function() error("on purpose") end)
schedule.at("2020-01-01 00:00", { name = "past" }, print)
schedule.at(4102444800, { name = "far", tz = "Asia/Tokyo" }, print)
"#;

#[test]
fn check_shows_the_next_five_instants() {
    let checked = Project::with_script(JOBS).mooncast(&["check"]).exits(0).prints("1 script: no problems");
    let out = &checked.stdout;
    assert!(
        out.contains("scripts/main.lua:3: job `morning`: cron \"0 9 * * *\" in Asia/Shanghai\n"),
        "{out}"
    );
    assert_eq!(out.matches(" 09:00:00 +08:00  ").count(), 5, "{out}");
    assert_eq!(out.matches("T01:00:00Z\n").count(), 5, "{out}");
    assert!(out.contains("scripts/main.lua:8: job `hourly`: every 1h\n"), "{out}");
    assert_eq!(out.matches(":00:00 +00:00\n").count(), 5, "{out}");
    assert!(out.contains("job `past`: at 2020-01-01T00:00:00Z\n    never: its time has passed"), "{out}");
    assert!(out.contains("job `far`: at 2100-01-01T00:00:00Z\n    Fri 2100-01-01 09:00:00 +09:00"), "{out}");
    assert!(!out.contains("loaded"), "{out}");
}

#[test]
fn check_refuses_the_second_claim_of_a_name_and_a_top_level_that_sends() {
    let project = Project::new()
        .file("scripts/a.lua", "schedule.every('1h', { name = 'tick' }, print)")
        .file("scripts/b.lua", "\nschedule.every('2h', { name = 'tick' }, print)")
        .file(
            "scripts/c.lua",
            "schedule.every('3h', print)\nim.group_send({ to = '1', type = 'txt', body = { msg = 'x' } })",
        );
    project
        .mooncast(&["check"])
        .exits(1)
        .prints("scripts/b.lua:2: scripts/a.lua:1 already declares a job named `tick`;")
        .prints("scripts/c.lua:2: ")
        .prints("only declares")
        .prints("3 scripts: 2 problems");
}

#[test]
fn a_script_that_only_declares_says_how_to_run_a_job() {
    Project::with_script(JOBS)
        .run_simulated()
        .exits(0)
        .prints("loaded")
        .says("scripts/main.lua declares 4 jobs, which were not run: `morning`, `hourly`, `past`, `far`. To run one now: `mooncast run scripts/main.lua --job NAME`; to run all at their scheduled times: `mooncast serve`");
    // A script that sends by itself is not reported.
    let sends = "schedule.every('1h', print) im.group_send({ to = '1', type = 'txt', body = { msg = 'x' } })";
    Project::with_script(sends).run_simulated().exits(0).never_says("mooncast serve");
}

#[test]
fn a_job_runs_now_and_its_broadcast_has_its_run() {
    let service = Service::accepting();
    let project = Project::with_script(JOBS);
    let ran =
        project.command_against(&service, &["run", "scripts/main.lua", "--job", "morning"]).output().unwrap();
    let ran = crate::support::Ran::of(&ran)
        .exits(0)
        .prints("loaded")
        .prints("true\t2")
        .never_says("mooncast serve");
    let line = ran.stdout.lines().find(|line| line.starts_with("morning\t")).unwrap().to_owned();
    let words: Vec<&str> = line.split('\t').collect();
    let [_, run, attempt, scheduled_at, default] = words[..] else { panic!("{line}") };
    assert!(run.len() == "2026-11-23T09:00:00Z".len() && run.ends_with('Z'), "{line}");
    assert_eq!((attempt, default), ("1", run));
    let instant: jiff::Timestamp = run.parse().unwrap();
    assert!((scheduled_at.parse::<f64>().unwrap() - instant.as_second() as f64).abs() < 1e-6, "{line}");
    project.mooncast(&["runs", "list"]).exits(0).prints(run);
}

#[test]
fn a_job_that_fails_or_is_not_there_says_so() {
    let project = Project::with_script(JOBS);
    let run = |job: &str| project.mooncast(&["run", "--simulator", "--job", job, "scripts/main.lua"]);
    run("hourly").exits(1).says("on purpose").says("scripts/main.lua:8");
    run("mornin")
        .exits(2)
        .says("scripts/main.lua declares no job named `mornin`; did you mean `morning`? Its jobs: `morning`, `hourly`, `past`, `far`");
    let sends = Project::with_script("schedule.every('1h', print)\nim.group_send({})");
    sends
        .mooncast(&["run", "--simulator", "--job", "main", "scripts/main.lua"])
        .exits(1)
        .says("only declares");
    let none = Project::with_script("print(1)");
    none.mooncast(&["run", "--simulator", "--job", "x", "scripts/main.lua"])
        .exits(2)
        .says("declares no jobs");
}

#[test]
fn outside_a_job_a_broadcast_is_the_first_of_its_name() {
    let script = r#"print(schedule.run, im.broadcast({ name = "n", to = { "1" }, message = { type = "txt", body = { msg = "x" } } }).run)"#;
    Project::with_script(script).run_simulated().exits(0).prints("1\t1");
}

#[test]
fn a_job_is_rehearsed_and_runs_as_rehearsed() {
    let project = Project::with_script(JOBS);
    let rehearsed = project
        .mooncast(&["rehearse", "--simulator", "--job", "morning", "scripts/main.lua"])
        .exits(0)
        .prints("run --plan");
    let command = rehearsed.stdout.lines().find(|line| line.contains("mooncast run --plan")).unwrap();
    assert!(command.contains("--job morning"), "{command}");
    let words: Vec<&str> = command.trim().split(' ').skip_while(|word| *word != "run").collect();
    project.mooncast(&words).exits(0).prints("true\t2");
    project
        .mooncast(&["rehearse", "--simulator", "--job", "nothing", "scripts/main.lua"])
        .exits(2)
        .says("no job named `nothing`");
}

#[test]
fn the_example_runs() {
    let project = Project::new();
    for file in ["scripts/scheduled.lua", "scripts/groups.csv"] {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        project.write(file, std::fs::read(source).unwrap());
    }
    project.mooncast(&["check"]).exits(0).prints("`good-morning`").prints("`heartbeat`");
    let run = |job: &str| project.mooncast(&["run", "--simulator", "scripts/scheduled.lua", "--job", job]);
    run("good-morning").exits(0).prints(" sent");
    run("heartbeat").exits(0).says("sent to 1 group");
}
