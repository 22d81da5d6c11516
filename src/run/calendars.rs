//! Reads calendars: files with holidays and workdays, as CSV or in the iCalendar format.

use std::io::Cursor;

use icalendar::parser::{Component, read_calendar, unfold};
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::input::{AudienceOptions, TableEvent, TableReader};
use crate::zones::{Calendar, DayKind};

/// The folder of the calendars that scripts name.
pub const CALENDARS: &str = "calendars";

/// The extensions of their files.
pub const CALENDAR_EXTENSIONS: [&str; 2] = ["csv", "ics"];

/// The most days of one event. Longer ones are mistakes.
const LONGEST: i32 = 366;

/// The most components of an iCalendar file within each other. An alarm in an event is the third.
const DEEPEST: usize = 16;

/// Words that make an event a workday, in its categories or its summary, in lower case.
const WORKDAY_WORDS: [&str; 4] = ["workday", "working day", "上班", "补班"];

/// Reads a calendar from the content of a file. The extension of `name` gives its format.
///
/// A CSV file has the columns `date` (2026-10-01), `kind` (`holiday` or `workday`) and, for people, others. Of an
/// iCalendar file the all-day events count: their days are holidays, or workdays if the category or the summary says so.
///
/// # Errors
///
/// What cannot be read, with its line in a CSV file; a day of two kinds; an event that repeats; a file without days.
pub fn read(name: &str, content: &[u8]) -> Result<Calendar, String> {
    let calendar = match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv") => of_csv(content),
        Some("ics") => of_ics(content),
        _ => Err("a calendar is a .csv or an .ics file".to_owned()),
    };
    let calendar = calendar.map_err(|what| format!("{name}: {what}"))?;
    if calendar.is_empty() {
        return Err(format!("{name}: it names no day"));
    }
    Ok(calendar)
}

/// Whether a script's text is the name of a calendar, and not a path.
pub(super) fn is_name(text: &str) -> bool {
    let fine = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-');
    (1..=100).contains(&text.len()) && text.chars().all(fine)
}

/// Whether a script's text is the path of a calendar, and not its name.
pub(super) fn is_path(text: &str) -> bool {
    CALENDAR_EXTENSIONS
        .iter()
        .any(|extension| text.strip_suffix(extension).is_some_and(|rest| rest.ends_with('.')))
}

fn of_csv(content: &[u8]) -> Result<Calendar, String> {
    let options = AudienceOptions::default();
    let table = TableReader::open(Cursor::new(content), &options, true, None);
    let mut table = table.map_err(|fault| fault.to_string())?;
    let header: Vec<String> = table.header().unwrap_or_default().to_vec();
    let column = |wanted: &str| header.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    let (Some(date), Some(kind)) = (column("date"), column("kind")) else {
        return Err("the first line must name the columns `date` and `kind`, as in date,kind,name".to_owned());
    };
    let mut calendar = Calendar::default();
    loop {
        let line = match table.advance().map_err(|fault| fault.to_string())? {
            TableEvent::Good(line) => line,
            TableEvent::Bad(fault) => return Err(fault.to_string()),
            TableEvent::End => return Ok(calendar),
        };
        let at = |what: String| format!("line {line}: {what}");
        let cells: Vec<&str> = table.cells().collect();
        let cell = |column: usize| cells.get(column).map_or("", |cell| cell.trim());
        let day = day(cell(date)).map_err(at)?;
        let kind = match cell(kind).to_ascii_lowercase().as_str() {
            "holiday" => DayKind::Holiday,
            "workday" => DayKind::Workday,
            other => {
                let other = other.escape_debug();
                return Err(at(format!("the kind is \"{other}\"; write holiday or workday")));
            }
        };
        calendar.add(day, kind).map_err(at)?;
    }
}

/// Reads a date such as `2026-10-01`. Other forms, such as 1/10/2026, can be read in two ways.
fn day(text: &str) -> Result<Date, String> {
    let is_plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let day = if is_plain { text.parse().ok() } else { None };
    day.ok_or_else(|| format!("\"{}\" is not a date; write it like 2026-10-01", text.escape_debug()))
}

fn of_ics(content: &[u8]) -> Result<Calendar, String> {
    let text = std::str::from_utf8(content).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let text = unfold(text.trim_start_matches('\u{feff}'));
    if is_too_deep(&text) {
        return Err(format!("it has more than {DEEPEST} components within each other"));
    }
    let read = read_calendar(&text).map_err(|error| format!("it is no iCalendar file: {error}"))?;
    let mut calendar = Calendar::default();
    for event in
        read.components.iter().filter(|component| component.name.as_str().eq_ignore_ascii_case("VEVENT"))
    {
        add_event(&mut calendar, event)?;
    }
    Ok(calendar)
}

/// Whether components are nested deeper than [`DEEPEST`]. The parser calls itself for each, and some hundreds would
/// exceed the stack.
fn is_too_deep(text: &str) -> bool {
    let begins =
        |line: &str, word: &str| line.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    let mut depth = 0_usize;
    text.lines().any(|line| {
        if begins(line, "BEGIN:") {
            depth += 1;
        } else if begins(line, "END:") {
            depth = depth.saturating_sub(1);
        }
        depth > DEEPEST
    })
}

fn add_event(calendar: &mut Calendar, event: &Component<'_>) -> Result<(), String> {
    let value = |name: &str| event.find_prop(name).map(|property| property.val.as_str().to_owned());
    let summary = value("SUMMARY").unwrap_or_default();
    if value("STATUS").is_some_and(|status| status.eq_ignore_ascii_case("CANCELLED")) {
        return Ok(());
    }
    let at = |what: &str| format!("the event \"{}\" {what}", summary.escape_debug());
    let Some(start) = value("DTSTART") else { return Err(at("has no DTSTART")) };
    // An event with a time of day is an appointment, not a holiday.
    let Some(first) = ics_day(&start) else { return Ok(()) };
    if event.find_prop("RRULE").is_some() || event.find_prop("RDATE").is_some() {
        return Err(at("repeats; write each of its days as an event of its own"));
    }
    let end = match value("DTEND") {
        Some(end) => ics_day(&end).ok_or_else(|| at("has a DTEND that is not a date"))?,
        None if event.find_prop("DURATION").is_some() => {
            return Err(at("has a DURATION, which is not read; give it a DTEND"));
        }
        None => first.tomorrow().map_err(|error| error.to_string())?,
    };
    let length = first.until(end).map_or(0, |span| span.get_days());
    if !(1..=LONGEST).contains(&length) {
        return Err(at("does not end after it begins, or has more than 366 days"));
    }
    let categories = value("CATEGORIES").unwrap_or_default();
    let words = format!("{categories} {summary}").to_lowercase();
    let is_workday = WORKDAY_WORDS.iter().any(|word| words.contains(word));
    let kind = if is_workday { DayKind::Workday } else { DayKind::Holiday };
    for day in 0..length {
        calendar.add(first.checked_add(day.days()).map_err(|error| error.to_string())?, kind)?;
    }
    Ok(())
}

/// Reads a date of an iCalendar file, such as `20261001`. None for a time.
fn ics_day(text: &str) -> Option<Date> {
    let text = text.trim();
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| text.get(range);
    Date::new(part(0..4)?.parse().ok()?, part(4..6)?.parse().ok()?, part(6..8)?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn csv_files_name_days() {
        let text = "date,kind,name\n2026-10-01,holiday,National Day\n2026-10-10,workday,made up\n";
        let calendar = read("cn.csv", text.as_bytes()).unwrap();
        assert_eq!(calendar.kind(date(2026, 10, 1)), Some(DayKind::Holiday));
        assert_eq!(calendar.kind(date(2026, 10, 10)), Some(DayKind::Workday));
        assert_eq!(calendar.kind(date(2026, 10, 2)), None);
        // As a spreadsheet in China saves it.
        let gbk = [b"date,kind,name\n2026-10-01,holiday,".as_slice(), b"\xb9\xfa\xc7\xec\xbd\xda\n"].concat();
        assert!(!read("cn.csv", &gbk).unwrap().is_workday(date(2026, 10, 1)));
        for (text, expected) in [
            ("date,kind\n1/10/2026,holiday\n", "line 2: \"1/10/2026\" is not a date"),
            ("date,kind\n2026-02-30,holiday\n", "line 2: \"2026-02-30\" is not a date"),
            ("date,kind\n2026-10-01,free\n", "line 2: the kind is \"free\""),
            ("day,kind\n2026-10-01,holiday\n", "the columns `date` and `kind`"),
            ("date,kind\n2026-10-01,holiday\n2026-10-01,workday\n", "line 3: 2026-10-01 is both"),
            ("date,kind\n", "it names no day"),
        ] {
            let error = read("cn.csv", text.as_bytes()).unwrap_err();
            assert!(error.starts_with("cn.csv: ") && error.contains(expected), "{error}");
        }
    }

    fn ics(events: &str) -> Result<Calendar, String> {
        let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{events}END:VCALENDAR\r\n");
        read("cn.ics", text.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes())
    }

    #[test]
    fn components_within_each_other_have_a_limit() {
        let nested = |depth: usize| {
            let begin = "begin:VEVENT\r\n".repeat(depth) + "DTSTART;VALUE=DATE:20261001\r\n";
            let text =
                format!("BEGIN:VCALENDAR\r\n{begin}{}END:VCALENDAR\r\n", "END:VEVENT\r\n".repeat(depth));
            read("cn.ics", text.as_bytes()).map(drop)
        };
        assert_eq!(nested(1), Ok(()));
        for deep in [DEEPEST, 200, 100_000] {
            assert!(nested(deep).unwrap_err().contains("16 components within each other"), "{deep}");
        }
        // One after another they are not deep.
        let event = "BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261001\r\nEND:VEVENT\r\n".repeat(100);
        read("cn.ics", format!("BEGIN:VCALENDAR\r\n{event}END:VCALENDAR\r\n").as_bytes()).unwrap();
    }

    #[test]
    fn all_day_events_are_holidays_or_workdays() {
        let calendar = ics(
            "BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261001\nDTEND;VALUE=DATE:20261004\nSUMMARY:National\n  Day\nEND:VEVENT\n\
             BEGIN:VEVENT\nUID:2\nDTSTART;VALUE=DATE:20261010\nCATEGORIES:WORKDAY\nSUMMARY:made up\nEND:VEVENT\n\
             BEGIN:VEVENT\nUID:3\nDTSTART:20261005T090000Z\nSUMMARY:meeting\nEND:VEVENT\n",
        )
        .unwrap();
        let kinds: Vec<_> = (1..=11).map(|day| calendar.kind(date(2026, 10, day))).collect();
        let holiday = Some(DayKind::Holiday);
        let mut expected = vec![None; 11];
        expected[..3].fill(holiday);
        expected[9] = Some(DayKind::Workday);
        assert_eq!(kinds, expected);
        let repeats =
            "BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261001\nRRULE:FREQ=YEARLY\nSUMMARY:x\nEND:VEVENT\n";
        assert!(ics(repeats).unwrap_err().contains("the event \"x\" repeats"));
        assert!(read("cn.ics", b"date,kind\n").is_err());
    }
}
