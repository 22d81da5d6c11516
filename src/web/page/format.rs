//! Formats numbers, durations and times for people.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::control::amount;
use crate::web::words::Language;
pub(super) use crate::web::words::span;

/// A size in bytes, with a unit.
pub(super) fn bytes(bytes: u64) -> String {
    if bytes < 10_000 {
        return format!("{} B", amount(bytes));
    }
    format!("{:.1} KiB", bytes as f64 / 1024.0)
}

/// A time in seconds since 1970, in a time zone.
pub(super) fn instant_of(seconds: i64, zone: &str) -> Option<Zoned> {
    Some(Timestamp::from_second(seconds).ok()?.to_zoned(zone_of(zone)))
}

fn zone_of(zone: &str) -> TimeZone {
    TimeZone::get(zone).unwrap_or(TimeZone::UTC)
}

/// A time in short form for today's reader, with the full time as a tooltip. A named zone is part of it. The result is safe
/// HTML.
pub(super) fn time(language: Language, zone: &str, named: bool, now: i64, at: &str) -> Option<String> {
    let at: Timestamp = at.parse().ok()?;
    let (there, now) = (at.to_zoned(zone_of(zone)), instant_of(now, zone)?);
    let (day, year) = match language {
        Language::English => ("%b %-d %H:%M", "%Y-%m-%d %H:%M"),
        Language::Chinese => ("%-m月%-d日 %H:%M", "%Y年%-m月%-d日 %H:%M"),
    };
    let short = if there.date() == now.date() {
        "%H:%M:%S"
    } else if there.year() == now.year() {
        day
    } else {
        year
    };
    let whole = there.strftime("%Y-%m-%d %H:%M:%S %:z");
    let name = if named { there.strftime(" %Z").to_string() } else { String::new() };
    Some(format!("<time datetime=\"{at}\" title=\"{whole}\">{}{name}</time>", there.strftime(short)))
}

/// How long ago or ahead a time is, in words.
pub(super) fn relative(language: Language, now: i64, at: &str) -> Option<String> {
    let at: Timestamp = at.parse().ok()?;
    let ahead = at.as_second() - now;
    if ahead.abs() < 5 {
        return language.text("now").map(str::to_owned);
    }
    let away = ahead.unsigned_abs();
    // Rounded to steps, so that the text does not change every second.
    let step = match away {
        0..60 => 5,
        60..3_600 => 60,
        _ => 300,
    };
    let away = if away < 86_400 { away / step * step } else { away / 86_400 * 86_400 };
    let length = span(language, away as f64);
    language.say(if ahead > 0 { "in_time" } else { "ago" }, &[("time", length)])
}

/// A text encoded for a query.
pub(super) fn in_query(text: &str) -> String {
    let mut query = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/') {
            query.push(byte.into());
        } else {
            let _ = write!(query, "%{byte:02X}");
        }
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_780_300_800; // 2026-06-01T08:00:00Z

    #[test]
    fn sizes_are_short() {
        assert_eq!([812, 20_480].map(bytes), ["812 B", "20.0 KiB"]);
    }

    #[test]
    fn lengths_of_time_have_two_units() {
        let said = |seconds| span(Language::English, seconds);
        assert_eq!(
            [0.2, 59.6, 61.0, 7_500.0, 90_000.0].map(said),
            ["0 s", "1 min", "1 min 1 s", "2 h 5 min", "1 d 1 h"]
        );
        assert_eq!(span(Language::Chinese, 7_500.0), "2 小时 5 分");
    }

    #[test]
    fn instants_are_told_where_the_reader_is() {
        let shown = |language, zone, at| time(language, zone, false, NOW, at).unwrap();
        let named = time(Language::English, "Asia/Shanghai", true, NOW, "2026-06-01T07:30:00Z").unwrap();
        assert!(named.contains(">15:30:00 CST<"), "{named}");
        let shanghai = shown(Language::English, "Asia/Shanghai", "2026-06-01T07:30:00Z");
        assert!(
            shanghai.contains(">15:30:00<") && shanghai.contains("2026-06-01 15:30:00 +08:00"),
            "{shanghai}"
        );
        assert!(shown(Language::English, "UTC", "2026-05-31T07:30:00Z").contains(">May 31 07:30<"));
        assert!(shown(Language::Chinese, "UTC", "2026-05-31T07:30:00Z").contains(">5月31日 07:30<"));
        assert!(shown(Language::English, "UTC", "2025-05-31T07:30:00Z").contains(">2025-05-31 07:30<"));
        assert_eq!(time(Language::English, "UTC", false, NOW, "<script>"), None);
    }

    #[test]
    fn what_is_near_is_told_by_its_distance() {
        let shown = |at| relative(Language::English, NOW, at).unwrap();
        assert_eq!(shown("2026-06-01T08:00:03Z"), "now");
        assert_eq!(shown("2026-06-01T08:12:30Z"), "in 12 min");
        assert_eq!(shown("2026-06-01T05:53:00Z"), "2 h 5 min ago");
        assert_eq!(shown("2026-06-04T05:53:00Z"), "in 2 d");
    }

    #[test]
    fn a_text_in_a_query_is_one_value() {
        assert_eq!(in_query("a b&c=春/1"), "a%20b%26c%3D%E6%98%A5/1");
    }
}
