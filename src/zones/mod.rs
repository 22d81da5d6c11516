//! Reads time zones and times of the day, the same way for every module. Knows which days are workdays.
//!
//! A zone is an IANA name (`Asia/Shanghai`) or an offset from UTC (`+08:00`). POSIX strings (`CST-8`, `GMT+8`) are
//! refused, since their sign is reversed: `GMT+8` is west of Greenwich in POSIX, but most people mean east of it.

mod advice;
mod calendar;
mod day;

pub use calendar::{Calendar, DayKind, MOST_DAYS, WeekdaySet};
pub use day::{DayTime, day_time};

use jiff::tz::{Offset, TimeZone};

/// The largest offset of a zone from UTC, in minutes.
const FURTHEST: i32 = 18 * 60;

/// Returns the zone with this name or offset.
pub fn zone(name: &str) -> Result<TimeZone, String> {
    if let Some(offset) = offset(name) {
        return Ok(TimeZone::fixed(offset));
    }
    let is_name =
        !name.starts_with(['+', '-', ':', '/', '.']) && name.chars().all(|letter| letter.is_ascii_graphic());
    match TimeZone::get(name) {
        Ok(zone) if is_name => Ok(zone),
        _ => Err(format!("`{}` is not a time zone; {}", name.escape_debug(), advice::on(name))),
    }
}

/// Returns a zone's text: its IANA name, or its offset as `+08:00`. Equal texts mean equal zones.
pub fn words(zone: &TimeZone) -> String {
    match (zone.iana_name(), zone.to_fixed_offset()) {
        (Some(name), _) => name.to_owned(),
        (None, Ok(offset)) if offset != Offset::UTC => shown(offset.seconds() / 60),
        (None, _) => "UTC".to_owned(),
    }
}

/// Reads `+08:00` or `-0330`, within [`FURTHEST`].
fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        5 => digits.split_once(':')?,
        4 => digits.split_at_checked(2)?,
        _ => return None,
    };
    let number = |text: &str| {
        (text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit()))
            .then(|| text.parse::<i32>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= FURTHEST).then(|| Offset::from_seconds(sign * all * 60).ok())?
}

/// Formats an offset in minutes.
fn shown(minutes: i32) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_offsets_are_zones() {
        for (text, is) in [
            ("Asia/Shanghai", "Asia/Shanghai"),
            ("asia/shanghai", "Asia/Shanghai"),
            ("UTC", "UTC"),
            ("+08:00", "+08:00"),
            ("-03:30", "-03:30"),
            ("+0545", "+05:45"),
            ("+00:00", "UTC"),
        ] {
            assert_eq!(zone(text).map(|zone| words(&zone)), Ok(is.to_owned()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_what_is_meant() {
        for (text, meant) in [
            ("UTC+8", "\"+08:00\" or \"Asia/Shanghai\""),
            ("GMT+8", "\"+08:00\" or \"Asia/Shanghai\""),
            ("gmt+08:00", "\"+08:00\" or \"Asia/Shanghai\""),
            ("UTC+08", "\"+08:00\" or \"Asia/Shanghai\""),
            ("UTC-5", "\"-05:00\""),
            ("UTC+5:30", "\"+05:30\""),
            ("Foo+8", "\"+08:00\""),
            ("CST-8", "\"-08:00\""),
            ("<+08>-8", "IANA name"),
            ("Asia/Beijing", "\"Asia/Shanghai\""),
            ("Beijing", "\"Asia/Shanghai\""),
            ("北京", "\"Asia/Shanghai\""),
            ("CST", "\"Asia/Shanghai\""),
            ("China Standard Time", "\"Asia/Shanghai\""),
            ("JST", "\"Asia/Tokyo\""),
            ("Asia/Osaka", "\"Asia/Tokyo\""),
            ("KST", "\"Asia/Seoul\""),
            ("PST", "\"America/Los_Angeles\""),
            ("Shanghai", "\"Asia/Shanghai\""),
            ("Asia/Shangai", "\"Asia/Shanghai\""),
            ("Asia/Shanghai ", "\"Asia/Shanghai\""),
            ("Europe/Berln", "\"Europe/Berlin\""),
            ("+8", "\"+08:00\""),
            ("+8:00", "\"+08:00\""),
            ("8", "IANA name"),
            ("+25:00", "IANA name"),
            ("Z", "\"UTC\""),
            ("", "IANA name"),
            ("qwertz", "IANA name"),
        ] {
            let refused = zone(text).unwrap_err();
            assert!(refused.contains(meant), "{text}: {refused}");
            assert!(!refused.contains("Etc/"), "{text}: {refused}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_read_as_posix(text in "[A-Za-z<>]{1,5}[+-]?[0-9]{1,2}(:[0-9]{2})?(,M3.2.0,M11.1.0)?") {
            if let Ok(zone) = zone(&text) {
                proptest::prop_assert!(zone.iana_name().is_some(), "{}", text);
            }
        }
    }
}
