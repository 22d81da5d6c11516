//! Windows with days, calendars and time zones of the recipients, in the virtual time of rehearsals and on the clock.
//!
//! On a server: in the soak

use std::process::Stdio;

use serde_json::Value;

use crate::support::service::Service;
use crate::support::{Project, until};

/// Rehearses `scripts/main.lua`; returns the first broadcast of the report.
fn rehearsed(project: &Project) -> Value {
    let ran = project.mooncast(&["rehearse", "--json", "--simulator", "scripts/main.lua"]).exits(0);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    report["broadcasts"][0].clone()
}

fn hours_between(from: &Value, to: &Value) -> f64 {
    let at = |time: &Value| time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    (at(to) - at(from)) as f64 / 3600.0
}

#[test]
fn recipients_are_sent_to_in_their_own_time_zones() {
    // Its hours begin in an hour in one zone, and three and six hours later in the others.
    let by_column = r#"
        local from, to = os.date("!%H:00", os.time() + 3600), os.date("!%H:00", os.time() + 2 * 3600)
        local report = im.broadcast {
          name = "news", message = { from = "a", type = "txt", body = { msg = "hi" } },
          window = { from = from, to = to, tz = { column = "zone" } },
          to = {
            { group_id = "101", zone = "-06:00" }, { group_id = "102", zone = "+00:00" },
            { group_id = "103", zone = "-03:00" }, { group_id = "104", zone = "+00:00" },
          },
        }
        print(report.sent)"#;
    let project = Project::with_script(by_column);
    let broadcast = rehearsed(&project);
    assert_eq!(broadcast["sent"], 4);
    let spread = hours_between(&broadcast["first"], &broadcast["last"]);
    assert!((5.9..6.1).contains(&spread), "{spread}: {broadcast}");
    // By a function, of a list and of a file, with a message of its own and with one for all.
    for (to, message) in [
        (
            "{ { group_id = '101', off = 6 }, { group_id = '102', off = 0 } }",
            "{ type = 'txt', body = { msg = 'hi' } }",
        ),
        ("'list.csv'", "{ type = 'txt', body = { msg = 'hi' } }"),
        ("'list.csv'", "function(row) return { type = 'txt', body = { msg = row.off } } end"),
    ] {
        project.write("list.csv", "group_id,off\n101,6\n102,0\n");
        project.write(
            "scripts/main.lua",
            format!(
                r#"
        local from, to = os.date("!%H:00", os.time() + 3600), os.date("!%H:00", os.time() + 2 * 3600)
        im.broadcast {{
          name = "news", to = {to}, message = {message},
          window = {{ from = from, to = to, tz = function(row) return ("-%02d:00"):format(row.off) end }},
        }}"#
            ),
        );
        let broadcast = rehearsed(&project);
        assert_eq!(broadcast["sent"], 2, "{to} {message}");
        let spread = hours_between(&broadcast["first"], &broadcast["last"]);
        assert!((5.9..6.1).contains(&spread), "{to}: {spread}");
    }
}

#[test]
fn days_and_holidays_are_waited_for() {
    let script = r#"
        local day = function(ahead) return os.date("!%Y-%m-%d", os.time() + ahead * 86400) end
        local names = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" }
        local weekday = function(ahead) return names[tonumber(os.date("!%w", os.time() + ahead * 86400)) + 1] end
        im.broadcast {
          name = "news", to = { "101" }, message = { type = "txt", body = { msg = "hi" } },
          window = { from = "00:00", to = "24:00", tz = "UTC", days = weekday(2) .. "," .. weekday(3), except = "cn" },
        }"#;
    let project = Project::with_script(script);
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let day = |ahead: i64| now.date().checked_add(jiff::Span::new().days(ahead)).unwrap().to_string();
    // In two days is a holiday, so the first day is in three.
    project.write("calendars/cn.csv", format!("date,kind\n{},holiday\n", day(2)));
    let first = rehearsed(&project)["first"].as_str().unwrap().to_owned();
    assert!(first.starts_with(&day(3)), "{first}");
    // Tomorrow is made up.
    project.write("calendars/cn.csv", format!("date,kind\n{},holiday\n{},workday\n", day(2), day(1)));
    let first = rehearsed(&project)["first"].as_str().unwrap().to_owned();
    assert!(first.starts_with(&day(1)), "{first}");
}

#[test]
fn a_window_that_cannot_be_meant_is_refused() {
    let service = Service::accepting();
    let project = Project::with_script("");
    for (window, told) in [
        (
            "{ from = '9:00', to = '10:00', tz = 'UTC', days = 'monday' }",
            "`window.days`: `monday` is not a list of days",
        ),
        ("{ from = '9:00', to = '10:00', tz = 'UTC', except = 'cn' }", "there is no calendars/cn.csv"),
        ("{ from = '9:00', to = '10:00', tz = 'UTC', except = 'data/x.csv' }", "window.except"),
        ("{ from = '9:00', to = '10:00', tz = 'Asia/Beijing' }", "Asia/Shanghai"),
        (
            "{ from = '9:00', to = '10:00', tz = { column = 'zone' } }",
            "recipient 2: the column `zone` has no time zone",
        ),
        (
            "{ from = '9:00', to = '10:00', tz = { colum = 'zone' } }",
            "a time zone, { column = NAME } or a function",
        ),
        (
            "{ from = '9:00', to = '10:00', tz = function() return 'CST' end }",
            "recipient 1: the function of `window.tz`",
        ),
        ("{ from = '9:00', to = '10:00', tz = function() end }", "gave no time zone"),
        ("{ from = '9:00', to = '10:00', tz = function() return 8 end }", "gave a integer"),
    ] {
        project.write(
            "scripts/main.lua",
            format!(
                "im.broadcast {{ name = 'news', to = {{ {{ group_id = '1', zone = 'UTC' }}, '2' }}, window = {window}, message = {{ type = 'txt', body = {{ msg = 'x' }} }} }}"
            ),
        );
        project.run_against(&service).exits(1).says(told);
    }
    assert!(service.messages().is_empty());
}

#[test]
fn it_says_until_when_it_waits_and_refuses_a_changed_calendar() {
    let service = Service::accepting();
    let script = r#"im.broadcast {
        name = "news", to = { "101" }, message = { from = "a", type = "txt", body = { msg = "hi" } },
        window = { from = "00:00", to = "24:00", tz = "UTC", except = "calendars/free.csv" },
    }"#;
    let project = Project::with_script(script);
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let day = |ahead: i64| now.date().checked_add(jiff::Span::new().days(ahead)).unwrap().to_string();
    let free = format!("date,kind\n{},holiday\n{},holiday\n{},holiday\n", day(0), day(1), day(2));
    project.write("calendars/free.csv", &free);
    let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let shown = || project.mooncast(&["runs", "show", "news"]).stdout;
    until("it says until when it waits", || shown().contains(&format!("{} 00:00:00", day(3))));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    child.wait().unwrap();
    project.write("calendars/free.csv", format!("{free}2099-01-01,holiday\n"));
    let ran = project.run_against(&service);
    assert!(ran.stderr.contains("the file calendars/free.csv"), "{ran:?}");
    assert!(service.messages().is_empty());
}
