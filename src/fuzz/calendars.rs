//! Calendars: iCalendar and CSV files.

use crate::run::read_calendar;
use crate::zones::DayKind;

use super::{FuzzTarget, fuzz};

#[test]
fn no_input_breaks_it() {
    fuzz(&FuzzTarget { name: "calendars", seeds, words: WORDS, cases: 3000, read });
}

const WORDS: &[&str] = &[
    "BEGIN:VCALENDAR\r\n",
    "END:VCALENDAR\r\n",
    "BEGIN:VEVENT\r\n",
    "END:VEVENT\r\n",
    "BEGIN:VTIMEZONE\r\n",
    "DTSTART;VALUE=DATE:",
    "DTEND;VALUE=DATE:",
    "DTSTART:",
    "DURATION:P1D",
    "RRULE:FREQ=YEARLY",
    "RDATE:20261001",
    "SUMMARY:",
    "CATEGORIES:",
    "STATUS:CANCELLED",
    "20261001",
    "99991231",
    "00010101",
    "20261001T000000Z",
    "\r\n ",
    "\r\n\t",
    ";X=\"a;b\"",
    "补班",
    "workday",
    "holiday",
    "date,kind,name\n",
    "2026-10-01",
    "2026-02-30",
    "\\n",
    "\\,",
];

fn seeds() -> Vec<Vec<u8>> {
    let ics = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//a//b//EN\r\nBEGIN:VEVENT\r\nUID:1@a\r\nDTSTART;VALUE=DATE:20261001\r\n\
        DTEND;VALUE=DATE:20261008\r\nSUMMARY:National Day\\, the\r\n first\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:2@a\r\nDTSTART;VALUE=DATE:20261010\r\n\
        SUMMARY:补班\r\nCATEGORIES:workday\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nDTSTART:20261001T090000Z\r\nSUMMARY:a meeting\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let csv = "date,kind,name\n2026-10-01,holiday,National Day\n2026-10-10,workday,\n";
    vec![format!("ics\n{ics}").into_bytes(), format!("csv\n{csv}").into_bytes()]
}

/// The first line is the extension.
fn read(input: &[u8]) -> String {
    let cut = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let name = format!("cn.{}", String::from_utf8_lossy(&input[..cut]));
    match read_calendar(&name, input.get(cut + 1..).unwrap_or_default()) {
        Ok(calendar) => {
            let days = |kind| calendar.days(kind).filter(|day| calendar.workday_from(*day).is_some()).count();
            format!("ok {} {}", days(DayKind::Holiday) > 0, days(DayKind::Workday) > 0)
        }
        // The parser shows a line of the file.
        Err(problem) => problem.split("iCalendar file: ").next().unwrap_or_default().to_owned(),
    }
}
