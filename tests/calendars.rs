//! Calendars: jobs that run on workdays.
//!
//! Store: file

use rustix::process::Signal;

use crate::support::Project;
use crate::support::service::Service;

const CALENDAR: &str = "date,kind,name\n2099-10-01,holiday,a\n2099-10-02,holiday,b\n2099-10-10,workday,c\n";

const SCRIPT: &str = r#"
schedule = require("schedule")
schedule.cron("0 9 1-12 10 *", { name = "skip", tz = "Asia/Shanghai", calendar = "cn" }, function(context)
  print("skip " .. context.run)
end)
schedule.cron("0 10 1 10 *", { name = "next", calendar = "cn", on_holiday = "next" }, function(context)
  print("next " .. context.run)
end)
"#;

#[test]
fn the_check_shows_the_calendar() {
    let project = Project::with_script(SCRIPT).file("calendars/cn.csv", CALENDAR);
    project
        .mooncast(&["check"])
        .exits(0)
        .prints("cron \"0 9 1-12 10 *\" in Asia/Shanghai on workdays of cn")
        .prints("on workdays of cn, holidays on the next");
    project.write("calendars/cn.ics", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n");
    project.mooncast(&["check"]).exits(1).prints("there are both calendars/cn.csv and calendars/cn.ics");
    std::fs::remove_file(project.path("calendars/cn.ics")).unwrap();
    project.write("calendars/cn.csv", "date,kind\n1/10/2099,holiday\n");
    project.mooncast(&["check"]).exits(1).prints("line 2: \"1/10/2099\" is not a date");
    std::fs::remove_file(project.path("calendars/cn.csv")).unwrap();
    project.mooncast(&["check"]).exits(1).prints("there is no calendars/cn.csv and no calendars/cn.ics");
    // A calendar is no module, and its text is not told as one.
    project.write("calendars/cn.csv", CALENDAR);
    project.write("scripts/main.lua", "require('calendars/cn')");
    project.mooncast(&["check"]).exits(1).prints("there is no module `calendars/cn`");
}

#[test]
fn a_daemon_loads_a_script_again_when_its_calendar_changes() {
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT).file("calendars/cn.csv", CALENDAR);
    let serving = crate::daemon::Serving::start(project.command_against(&service, &["serve"]));
    serving.says("loaded", 1);
    // A second scan begins when the first has ended.
    for scan in 1..=2 {
        serving.signal(Signal::HUP);
        serving.says("scanning all scripts and the settings again", scan);
    }
    project.write("calendars/cn.csv", "date,kind\n2099-10-01,wrong\n");
    serving.says("the kind is \"wrong\"", 1);
    project.write("calendars/cn.csv", format!("{CALENDAR}2099-10-05,holiday,d\n"));
    serving.says("loaded", 2);
    project.write("calendars/cn.ics", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n");
    serving.says("there are both calendars/cn.csv and calendars/cn.ics", 1);
    std::fs::remove_file(project.path("calendars/cn.csv")).unwrap();
    serving.says("calendar: calendars/cn.ics:", 1);
    serving.stop().exits(0);
}

/// The clock of a test begins on Monday 2026-01-05.
#[test]
fn tests_move_the_clock_over_holidays() {
    let script = r#"
    local schedule = require("schedule")
    schedule.cron("0 10 * * *", { name = "daily", calendar = "cn" }, function()
      im.group_send { to = "101", type = "txt", body = { msg = "daily" } }
    end)
    schedule.cron("0 11 7 1 *", { name = "moved", calendar = "cn", on_holiday = "next" }, function()
      im.group_send { to = "102", type = "txt", body = { msg = "moved" } }
    end)
    "#;
    let test = r#"
    local test = require("test")
    test("workdays", function(t)
      t.load("scripts/main.lua")
      local times = {}
      for _, run in ipairs(t.advance("6d")) do
        times[#times + 1] = run.run:sub(6, 13) .. " " .. run.job
      end
      test.expect(table.concat(times, ", ")).to_equal(
        "01-05T10 daily, 01-08T10 daily, 01-08T11 moved, 01-09T10 daily, 01-10T10 daily")
    end)
    "#;
    let days = "date,kind\n2026-01-06,holiday\n2026-01-07,holiday\n2026-01-10,workday\n";
    let project =
        Project::with_script(script).file("scripts/main_test.lua", test).file("calendars/cn.csv", days);
    project.mooncast(&["test"]).exits(0);
}
