//! When a job runs: cron expressions, zones, windows, past times.

use super::{Service, logged, serve};
use crate::support::Project;

/// Returns the lines of `check` that show when a job runs, without leading blanks.
fn shown(expression: &str) -> Vec<String> {
    let script = format!("require('schedule').cron('{expression}', {{ name = 'a' }}, function() end)\n");
    let ran = Project::with_script(script).mooncast(&["check"]).exits(0);
    let lines = ran.stdout.lines().filter(|line| line.starts_with("    "));
    let lines: Vec<String> = lines.map(|line| line.trim().to_owned()).collect();
    assert_eq!(lines.len(), 5, "{}", ran.stdout);
    lines
}

fn day(line: &str) -> u32 {
    line["Mon 2026-11-".len()..][..2].parse().unwrap()
}

#[test]
fn cron_a_day_of_the_month_that_begins_with_a_star_restricts_the_weekday() {
    for line in shown("0 9 */1 * mon") {
        assert!(line.starts_with("Mon "), "{line}");
    }
    for line in shown("0 16 */2 * sat") {
        assert!(line.starts_with("Sat ") && day(&line) % 2 == 1, "{line}");
    }
}

#[test]
fn cron_a_weekday_that_begins_with_a_star_restricts_the_day_of_the_month() {
    for line in shown("0 9 1-7 * */6") {
        assert!((line.starts_with("Sun ") || line.starts_with("Sat ")) && day(&line) <= 7, "{line}");
    }
    // Two fields of days that do not begin with a star are a union.
    let lines = shown("0 9 1-31/2 * sat");
    assert!(lines.iter().any(|line| !line.starts_with("Sat ")), "{lines:?}");
}

#[test]
fn zones_what_is_no_zone_is_refused_with_what_is_meant_in_schedules_and_in_datetime() {
    for (zone, meant) in [
        ("GMT+8", "+08:00"),
        ("UTC+8", "Asia/Shanghai"),
        ("UTC-5", "-05:00"),
        ("Foo+8", "POSIX"),
        ("CST-8", "POSIX"),
        ("Asia/Beijing", "Asia/Shanghai"),
        ("CST", "Asia/Shanghai"),
        ("JST", "Asia/Tokyo"),
        ("KST", "Asia/Seoul"),
    ] {
        let script = format!(
            "require('schedule').cron('0 9 * * *', {{ name = 'a', tz = '{zone}' }}, function() end)\n"
        );
        let ran = Project::with_script(script).mooncast(&["check"]).exits(1);
        assert!(ran.stdout.contains(meant) && !ran.stdout.contains("Etc/"), "{zone}: {ran:#?}");
        let script = format!("print(require('datetime').now('{zone}'))\n");
        let ran = Project::with_script(script).run_simulated();
        assert!(ran.status == Some(1) && ran.stderr.contains(meant), "{zone}: {ran:#?}");
    }
}

#[test]
fn zones_an_offset_is_one_in_schedules_and_in_datetime() {
    let script = "require('schedule').cron('0 9 * * *', { name = 'a', tz = '+08:00' }, function() end)\n";
    Project::with_script(script).mooncast(&["check"]).exits(0).prints("09:00:00 +08:00").prints("in +08:00");
    let script = "print(require('datetime').from_unix(0, '+08:00'):iso())\n";
    Project::with_script(script).run_simulated().exits(0).prints("1970-01-01T08:00:00+08:00");
}

#[test]
fn window_a_day_that_ends_at_24_an_hour_of_one_digit_and_an_offset_are_read() {
    let script = "im.broadcast({ name = 'a', to = { '184524748161025' }, message = { type = 'txt', body = { msg = 'x' } },
        window = { from = '0:00', to = '24:00', tz = '+08:00' } })\n";
    Project::with_script(script).run_simulated().exits(0);
    let script = script.replace("24:00", "24:30");
    Project::with_script(script).run_simulated().exits(1).says("to \"24:00\"");
}

#[test]
fn at_a_minute_ago_runs_when_it_is_saved_under_a_running_daemon() {
    let (project, service) = (Project::new(), Service::accepting());
    project.write("scripts/other.lua", super::hourly("other", "other"));
    let serving = serve(&project, &service);
    let script = "local schedule, datetime = require('schedule'), require('datetime')
        schedule.at(TIME, { name = 'once' }, function() print('ran once') end)\n";
    project.write("scripts/once.lua", script.replace("TIME", &ago(60)));
    serving.prints("ran once", 1);
    serving.stop().exits(0);
}

#[test]
fn at_three_days_ago_is_a_line_in_the_log_and_in_the_list_of_jobs() {
    let (project, service) = (Project::new(), Service::accepting());
    project.write("scripts/other.lua", super::hourly("other", "other"));
    let serving = serve(&project, &service);
    let script = "require('schedule').at(TIME, { name = 'old' }, function() print('ran old') end)\n";
    project.write("scripts/old.lua", script.replace("TIME", &ago(3 * 86_400)));
    serving.says("scheduled times skipped: missed, and older than the job's `grace`", 1);
    serving.says("run skipped", 1);
    let list = project.command_against(&service, &["jobs"]).output().unwrap();
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains("did not run: 1 scheduled time, "), "{list}");
    assert_eq!(logged(&serving, "run started"), 0);
    serving.stop().exits(0);
}

#[test]
fn at_whose_time_passes_while_its_script_is_broken_runs_once_when_it_is_mended() {
    let (project, service) = (Project::new(), Service::accepting());
    project.write("scripts/other.lua", super::hourly("other", "other"));
    let script = "require('schedule').at(TIME, { name = 'once' }, function() print('ran once') end)\n";
    // Long enough for a daemon to start and to refuse the broken script, also on a loaded machine.
    let script = script.replace("TIME", &ahead(12));
    project.write("scripts/once.lua", &script);
    let serving = serve(&project, &service);
    project.write("scripts/once.lua", "this is no Lua\n");
    serving.says("script failed to load", 1);
    serving.stop().exits(0);
    // The job's time passes while no daemon runs.
    crate::support::until("its time has passed", || {
        project.command_against(&service, &["jobs"]).output().unwrap();
        ahead(0) > script_time(&script)
    });
    project.write("scripts/once.lua", "this is no Lua either\n");
    let serving = serve(&project, &service);
    project.write("scripts/once.lua", &script);
    serving.prints("ran once", 1);
    serving.stop().exits(0);
    let show = project.command_against(&service, &["jobs", "show", "once"]).output().unwrap();
    let show = String::from_utf8_lossy(&show.stdout).into_owned();
    assert_eq!(show.matches(" done").count(), 1, "{show}");
}

/// Returns the time in a script with one `at`.
fn script_time(script: &str) -> String {
    script.split(['(', ',']).find(|part| part.starts_with('"')).unwrap().to_owned()
}

/// Returns a time this many seconds ahead, as `schedule.at` takes it.
fn ahead(seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let at = jiff::Timestamp::from_second((now + seconds).try_into().unwrap()).unwrap();
    format!("\"{at}\"")
}

/// Returns a time this many seconds ago, as `schedule.at` takes it.
fn ago(seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let at = jiff::Timestamp::from_second((now - seconds).try_into().unwrap()).unwrap();
    format!("'{at}'")
}
