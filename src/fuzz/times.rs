//! Texts of times: cron expressions, lengths, zones, windows, dates, days of the week, and patterns of events.

use std::time::Duration;

use crate::config::parse_size;
use crate::core::{Ramp, StopIf, parse_duration};
use crate::delivery::SendingHours;
use crate::protocol::{EventDeclaration, HookDeclaration, JobDeclaration, JobTrigger};
use crate::schedule::{Job, TextPattern, run_id, run_name, run_of_id, run_of_name};
use crate::worker::readers;
use crate::zones::{Calendar, DayKind, WeekdaySet, day_time, words, zone};

use super::{FuzzTarget, fuzz};

#[test]
fn no_input_breaks_it() {
    fuzz(&FuzzTarget { name: "times", seeds, words: WORDS, cases: 500, read });
}

const WORDS: &[&str] = &[
    "*",
    "*/5",
    "0-59",
    "mon-fri",
    "sun",
    "jan",
    "dec",
    "L",
    "W",
    "15W",
    "LW",
    "#5",
    "5L",
    "?",
    "@daily",
    "@yearly",
    "@hourly",
    "29 2",
    "30 2",
    "31 4",
    "Asia/Shanghai",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "UTC",
    "+08:00",
    "-18:00",
    "+14:00",
    "GMT+8",
    "CST",
    "09:00",
    "24:00",
    "23:59:60",
    "2026-12-24 18:00",
    "2026-02-29",
    "9999-12-31T23:59:59.999999999Z",
    "1970-01-01T00:00:00Z",
    "-009999-01-01T00:00:00",
    "[Asia/Shanghai]",
    "T",
    "Z",
    "1h 30m",
    "1d",
    "P1Y",
    "1w",
    "1ns",
    "%Y-%m-%d",
    "%s",
    "%9f",
    "%Q",
    "%255d",
    "%a",
    "%b",
    "[",
    "]",
    "(",
    ")",
    "%",
    "-",
    "+",
    ".",
    "^",
    "$",
    "skip",
    "next",
    "once",
    "all",
    "queue",
    "cancel",
    "10%",
    "1000/h",
    "failed > 5%",
    "MiB",
    "KB",
];

/// A line each: the text, the zone, and a second text: the end of a window, a format, a text for a pattern.
fn seeds() -> Vec<Vec<u8>> {
    [
        "0 9 * * mon-fri\nAsia/Shanghai\n18:00",
        "*/15 9-17 1,15 * *\nAmerica/New_York\n",
        "30 2 L 2 sun#5\nAustralia/Lord_Howe\n",
        "15 30 2 29 2 *\nUTC\n",
        "@daily\n+08:00\n",
        "2026-12-24 18:00\nEurope/Berlin\n%Y-%m-%d %H:%M",
        "2026-12-24T18:00:00+08:00[Asia/Shanghai]\nUTC\n%A %d %B %Y %z %Z",
        "1h 30m\nUTC\n",
        "09:00\nAsia/Tokyo\n24:00",
        "mon-fri\nUTC\nsat,sun",
        "64 MiB\nUTC\n",
        "^[%a_][%w_]*%s*=%s*(.-)$\nUTC\nname = value",
        "job@2026-11-23T09:00:00Z\nUTC\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn declared(name: &str, when: JobTrigger, tz: &str) -> JobDeclaration {
    JobDeclaration {
        name: name.to_owned(),
        when,
        tz: Some(tz.to_owned()),
        calendar: None,
        on_holiday: None,
        missed: None,
        grace_ms: None,
        overlap: None,
        timeout_ms: None,
        jitter_ms: None,
        rerun: false,
        place: "scripts/a.lua:1".to_owned(),
    }
}

fn read(input: &[u8]) -> String {
    let input = String::from_utf8_lossy(input);
    let mut lines = input.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (text, tz, more) = (next(), next(), next());
    let fails = |result: Result<String, String>| result.unwrap_or_else(|problem| problem);
    let mut outcome = String::new();
    let number: u64 = text
        .bytes()
        .filter(u8::is_ascii_digit)
        .take(19)
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let event = EventDeclaration {
        app: "a".to_owned(),
        event: tz.to_owned(),
        groups: vec![more.to_owned()],
        users: Vec::new(),
        pattern: Some(text.to_owned()),
    };
    let hook = HookDeclaration {
        secret: text.to_owned(),
        scheme: Some(tz.to_owned()),
        header: Some(more.to_owned()),
        id: Some(text.to_owned()),
    };
    for when in [
        JobTrigger::Cron(text.to_owned()),
        JobTrigger::At(text.to_owned()),
        JobTrigger::Every { ms: number },
        JobTrigger::AtInstant { ms: number.cast_signed() },
        JobTrigger::Event(event),
        JobTrigger::Hook(hook),
    ] {
        let mut declaration = declared("job", when, tz);
        outcome.push_str(&of_job(&declaration, None));
        (declaration.grace_ms, declaration.jitter_ms) = (Some(number), Some(number));
        (declaration.missed, declaration.overlap) = (Some(more.to_owned()), Some(more.to_owned()));
        outcome.push_str(&of_job(&declaration, None));
        declaration = declared(more, declaration.when, tz);
        declaration.calendar = Some("cn".to_owned());
        declaration.on_holiday = (!more.is_empty()).then(|| more.to_owned());
        outcome.push_str(&of_job(&declaration, Some(calendar())));
    }
    outcome.push_str(&fails(zone(text).map(|zone| words(&zone))));
    outcome.push_str(&fails(day_time(text).map(|time| format!("{:?}", time.time()))));
    outcome.push_str(&fails(WeekdaySet::parse(text).map(|_| "days".to_owned())));
    outcome.push_str(&fails(parse_duration(text).map(|_| "length".to_owned())));
    outcome.push_str(&fails(parse_size(text).map(|_| "size".to_owned())));
    outcome.push_str(&fails(text.parse::<StopIf>().map(|_| "stop".to_owned())));
    let _ = serde_json::from_value::<Ramp>(serde_json::json!([text, tz, more]));
    outcome.push_str(&fails(TextPattern::new(text).map(|pattern| format!("{}", pattern.matches(more)))));
    if let Some(at) = run_of_name(text) {
        assert_eq!(run_of_name(&run_name(at)), Some(at));
    }
    if let Some((job, at)) = run_of_id(text) {
        assert_eq!(run_of_id(&run_id(job, at)), Some((job, at)));
        outcome.push_str("id of a run");
    }
    outcome.push_str(&fails(of_window(text, tz, more)));
    outcome.push_str(&fails(readers::time(text, more, tz)));
    let understood = ["length", "size", "days", "stop", "job ", "window", "true", "time ", "id of a run"];
    let is_read = understood.iter().any(|word| outcome.contains(word));
    format!("{} {outcome}", if is_read { "ok" } else { "none" })
}

fn calendar() -> Calendar {
    let mut calendar = Calendar::default();
    for (day, kind) in [("2026-10-01", DayKind::Holiday), ("2026-10-10", DayKind::Workday)] {
        calendar.add(day.parse().unwrap(), kind).unwrap();
    }
    calendar
}

fn of_job(declaration: &JobDeclaration, calendar: Option<Calendar>) -> String {
    let job = match Job::new(declaration, calendar) {
        Ok(job) => job,
        Err(problem) => return problem.message,
    };
    let mut count = 0;
    for from in [0, 1_793_494_800, 253_402_300_799, u64::MAX] {
        let mut last = Duration::from_secs(from);
        while let Some(next) = job.next_after(last) {
            assert!(next > last, "{next:?} is not after {last:?}");
            (last, count) = (next, count + 1);
            let _ = job.delay(next);
            if count % 2 == 0 {
                break;
            }
        }
    }
    format!("job {} {}", job.times(), count > 0)
}

/// Reads a window and asks when it is open.
fn of_window(from: &str, tz: &str, to: &str) -> Result<String, String> {
    let window = serde_json::json!({ "from": from, "to": to, "tz": tz, "calendar": { "holidays": [from], "workdays": [] } });
    let days = serde_json::json!({ "from": "09:00", "to": to, "tz": "UTC", "days": from });
    let _ = SendingHours::new(Some(&window));
    let all = serde_json::json!({ "from": from, "to": to, "tz": tz });
    let hours = SendingHours::new(Some(&days)).or_else(|_| SendingHours::new(Some(&all)))?;
    for now in [0, 1_793_494_800, u64::MAX] {
        let _ = (
            hours.closed_for(Duration::from_secs(now), Some(tz)),
            hours.closed_for(Duration::from_secs(now), None),
        );
    }
    Ok("window".to_owned())
}
