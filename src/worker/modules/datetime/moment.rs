//! A time in a time zone: the part of `datetime` that does not depend on Lua.

use jiff::civil::Time;
use jiff::fmt::strtime::{BrokenDownTime, Config, PosixCustom};
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::{Offset, TimeZone};
use jiff::{RoundMode, SignedDuration, Span, Timestamp, Unit, Zoned, ZonedRound};
use serde::Deserialize;

use super::super::options::WholeNumber;

/// What is added to a time: amounts of units.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Amounts {
    years: WholeNumber,
    months: WholeNumber,
    weeks: WholeNumber,
    days: WholeNumber,
    hours: WholeNumber,
    minutes: WholeNumber,
    seconds: WholeNumber,
    milliseconds: WholeNumber,
}

/// A point in time in a time zone.
#[derive(Debug, Clone)]
pub(in super::super) struct ZonedDateTime(Zoned);

/// Finds a zone by its name (`Asia/Shanghai`) or its offset (`+08:00`). Without a name it is UTC.
pub(super) fn zone(name: Option<&str>) -> Result<TimeZone, String> {
    name.map_or(Ok(TimeZone::UTC), crate::zones::zone)
}

/// Formats a time with the letters of `strftime`, in the POSIX locale.
pub(in super::super) fn posix(format: &str, zoned: &Zoned) -> Result<String, String> {
    let config = Config::new().custom(PosixCustom::new());
    BrokenDownTime::from(zoned)
        .to_string_with_config(&config, format)
        .map_err(|error| format!("the format `{format}` cannot be used: {error}"))
}

impl Amounts {
    /// Returns the spans to add, in this order: months, days, clock time. A span has only one sign, but amounts may
    /// have several (`days = 1, hours = -1`).
    pub(super) fn spans(&self) -> Result<[Span; 3], String> {
        let too_much = || "this is more than can be added".to_owned();
        let sum = |amounts: &[(WholeNumber, i64)]| {
            let mut parts = amounts.iter().map(|(amount, factor)| amount.0.checked_mul(*factor));
            parts.try_fold(0_i64, |sum, part| sum.checked_add(part?)).ok_or_else(too_much)
        };
        let months = sum(&[(self.years, 12), (self.months, 1)])?;
        let days = sum(&[(self.weeks, 7), (self.days, 1)])?;
        let clock = sum(&[
            (self.hours, 3_600_000),
            (self.minutes, 60_000),
            (self.seconds, 1000),
            (self.milliseconds, 1),
        ])?;
        let span = |made: Result<Span, jiff::Error>| made.map_err(|_| too_much());
        Ok([
            span(Span::new().try_months(months))?,
            span(Span::new().try_days(days))?,
            span(Span::new().try_milliseconds(clock))?,
        ])
    }
}

/// Creates a span of seconds with a fraction.
pub(super) fn of_seconds(seconds: f64) -> Result<Span, String> {
    SignedDuration::try_from_secs_f64(seconds)
        .and_then(Span::try_from)
        .map_err(|_| format!("{seconds} seconds is more than can be added"))
}

/// Parses a span such as `1h 30m` or `2 days`.
pub(super) fn of_text(text: &str) -> Result<Span, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a duration; write it like \"90s\", \"1h 30m\" or \"2 days\""))
}

impl ZonedDateTime {
    pub(super) const EPOCH: Self = Self(Zoned::UNIX_EPOCH);

    pub(super) fn from_unix(since_epoch: SignedDuration, zone: TimeZone) -> Result<Self, String> {
        match Timestamp::from_duration(since_epoch) {
            Ok(timestamp) => Ok(Self(timestamp.to_zoned(zone))),
            Err(_) => {
                Err(format!("{} s since 1970 is not between the years -9999 and 9999", since_epoch.as_secs()))
            }
        }
    }

    /// Parses ISO 8601: a date, and optionally a time, an offset and a zone in brackets. A text without an offset or
    /// zone is in `zone`, or in UTC; one with either is converted to `zone` if that is given.
    pub(super) fn parse(text: &str, zone: Option<TimeZone>) -> Result<Self, String> {
        let unread = |_| {
            format!(
                "`{text}` is not a date and time; write it like 2026-05-01T09:00:00+08:00, or give its format"
            )
        };
        let pieces = Pieces::parse(text).map_err(unread)?;
        if pieces.time_zone_annotation().is_some() {
            return Ok(turned(text.parse().map_err(unread)?, zone));
        }
        let civil = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
        let offset = pieces.offset().map(|offset| match offset {
            PiecesOffset::Numeric(offset) if offset.offset() != Offset::UTC => {
                TimeZone::fixed(offset.offset())
            }
            _ => TimeZone::UTC,
        });
        match offset {
            Some(offset) => Ok(turned(civil.to_zoned(offset).map_err(unread)?, zone)),
            None => civil.to_zoned(zone.unwrap_or(TimeZone::UTC)).map(Self).map_err(unread),
        }
    }

    /// Parses a text with the letters of `strptime`.
    pub(super) fn parse_as(text: &str, format: &str, zone: Option<TimeZone>) -> Result<Self, String> {
        let unread = |error| format!("`{text}` does not have the format `{format}`: {error}");
        let parts = BrokenDownTime::parse(format, text).map_err(unread)?;
        if parts.offset().is_some() || parts.iana_time_zone().is_some() {
            return Ok(turned(parts.to_zoned().map_err(unread)?, zone));
        }
        let zone = zone.unwrap_or(TimeZone::UTC);
        match parts.timestamp() {
            Some(timestamp) => Ok(Self(timestamp.to_zoned(zone))),
            None => parts.to_datetime().and_then(|civil| civil.to_zoned(zone)).map(Self).map_err(unread),
        }
    }

    pub(super) fn since_epoch(&self) -> SignedDuration {
        self.0.timestamp().as_duration()
    }

    pub(super) fn in_zone(&self, zone: TimeZone) -> Self {
        Self(self.0.with_time_zone(zone))
    }

    pub(super) fn zone_name(&self) -> String {
        match self.0.time_zone().iana_name() {
            Some(name) => name.to_owned(),
            None => self.0.offset().to_string(),
        }
    }

    /// Formats the time as RFC 3339, with `Z` in UTC.
    pub(super) fn iso(&self) -> String {
        let timestamp = self.0.timestamp();
        if *self.0.time_zone() == TimeZone::UTC {
            return timestamp.to_string();
        }
        timestamp.display_with_offset(self.0.offset()).to_string()
    }

    pub(super) fn format(&self, format: &str) -> Result<String, String> {
        posix(format, &self.0)
    }

    /// Returns one of the numeric fields.
    pub(super) fn field(&self, name: &str) -> Option<i64> {
        Some(match name {
            "year" => self.0.year().into(),
            "month" => self.0.month().into(),
            "day" => self.0.day().into(),
            "hour" => self.0.hour().into(),
            "minute" => self.0.minute().into(),
            "second" => self.0.second().into(),
            "nanosecond" => self.0.subsec_nanosecond().into(),
            "weekday" => self.0.weekday().to_monday_one_offset().into(),
            "yearday" => self.0.day_of_year().into(),
            "offset" => self.0.offset().seconds().into(),
            _ => return None,
        })
    }

    /// Adds a span. Days and larger units follow the calendar of the zone, smaller ones the clock.
    pub(super) fn plus(&self, span: Span) -> Result<Self, String> {
        self.0
            .checked_add(span)
            .map(Self)
            .map_err(|_| "the result is not between the years -9999 and 9999".to_owned())
    }

    /// Returns the first instant of the year, month, week (from Monday), day, hour, minute or second that contains
    /// this time.
    pub(super) fn start_of(&self, unit: &str) -> Result<Self, String> {
        let now = &self.0;
        let truncated = |unit| now.round(ZonedRound::new().smallest(unit).mode(RoundMode::Trunc));
        let start = match unit {
            "year" => now.first_of_year().and_then(|first| first.start_of_day()),
            "month" => now.first_of_month().and_then(|first| first.start_of_day()),
            "week" => now
                .checked_sub(Span::new().days(now.weekday().to_monday_zero_offset()))
                .and_then(|monday| monday.start_of_day()),
            "day" => now.start_of_day(),
            "hour" => truncated(Unit::Hour),
            "minute" => truncated(Unit::Minute),
            "second" => truncated(Unit::Second),
            other => {
                return Err(format!(
                    "unit: expected year, month, week, day, hour, minute or second, got `{other}`"
                ));
            }
        };
        start.map(Self).map_err(|error| error.to_string())
    }
}

/// Reads a text in each way in which `datetime` does, and formats the time.
#[cfg(test)]
pub(in super::super) fn try_texts(text: &str, format: &str, zone_name: &str) -> Result<String, String> {
    let zone = zone(Some(zone_name)).ok();
    let of_format = ZonedDateTime::parse_as(text, format, zone.clone());
    let span = of_text(text);
    let time = ZonedDateTime::parse(text, zone).or(of_format)?;
    for unit in ["year", "month", "week", "day", "hour", "minute", "second"] {
        let _ = time.start_of(unit);
    }
    let later = span.and_then(|span| time.plus(span)).unwrap_or_else(|_| time.clone());
    Ok(format!("time {} {} {}", later.iso(), later.zone_name(), time.format(format)?))
}

fn turned(zoned: Zoned, zone: Option<TimeZone>) -> ZonedDateTime {
    ZonedDateTime(match zone {
        Some(zone) => zoned.with_time_zone(zone),
        None => zoned,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> ZonedDateTime {
        ZonedDateTime::parse(text, None).unwrap()
    }

    #[test]
    fn texts_are_read_with_and_without_a_zone() {
        let shanghai = || Some(zone(Some("Asia/Shanghai")).unwrap());
        for (text, tz, iso) in [
            ("2026-05-01", None, "2026-05-01T00:00:00Z"),
            ("2026-05-01", shanghai(), "2026-05-01T00:00:00+08:00"),
            ("2026-05-01 09:30", shanghai(), "2026-05-01T09:30:00+08:00"),
            ("2026-05-01T09:30:00Z", None, "2026-05-01T09:30:00Z"),
            ("2026-05-01T09:30:00Z", shanghai(), "2026-05-01T17:30:00+08:00"),
            ("2026-05-01T09:30:00.25+08:00", None, "2026-05-01T09:30:00.25+08:00"),
            ("2026-05-01T09:30[America/New_York]", None, "2026-05-01T09:30:00-04:00"),
        ] {
            assert_eq!(ZonedDateTime::parse(text, tz).unwrap().iso(), iso, "{text}");
        }
        for text in ["", "tomorrow", "2026-13-01", "2026-02-30", "09:30", "2026-05-01T25:00"] {
            assert!(ZonedDateTime::parse(text, None).is_err(), "{text}");
        }
        let read = ZonedDateTime::parse_as("01.05.2026 09:30", "%d.%m.%Y %H:%M", shanghai()).unwrap();
        assert_eq!(read.iso(), "2026-05-01T09:30:00+08:00");
        assert_eq!(
            ZonedDateTime::parse_as("2026-05-01", "%Y-%m-%d", None).unwrap().iso(),
            "2026-05-01T00:00:00Z"
        );
        assert_eq!(ZonedDateTime::parse_as("1700000000", "%s", None).unwrap().iso(), "2023-11-14T22:13:20Z");
        assert!(ZonedDateTime::parse_as("x", "%Y", None).is_err());
    }

    #[test]
    fn calendars_and_clocks_are_added_as_people_mean_them() {
        let berlin = |text| ZonedDateTime::parse(text, Some(zone(Some("Europe/Berlin")).unwrap())).unwrap();
        let added = |moment: &ZonedDateTime, amounts: &[(&str, i64)]| {
            let amounts = amounts.iter().map(|(unit, amount)| ((*unit).to_owned(), (*amount).into()));
            let amounts: Amounts =
                serde_json::from_value(serde_json::Value::Object(amounts.collect())).unwrap();
            amounts.spans()?.into_iter().try_fold(moment.clone(), |moment, span| moment.plus(span))
        };
        // The clock goes from 2 to 3 in this night.
        let before = berlin("2026-03-28T12:00");
        assert_eq!(added(&before, &[("days", 1)]).unwrap().iso(), "2026-03-29T12:00:00+02:00");
        assert_eq!(added(&before, &[("hours", 24)]).unwrap().iso(), "2026-03-29T13:00:00+02:00");
        assert_eq!(added(&at("2026-01-31"), &[("months", 1)]).unwrap().iso(), "2026-02-28T00:00:00Z");
        let mixed = [("years", 1), ("months", 1), ("days", 1), ("hours", -1)];
        assert_eq!(added(&at("2024-02-29"), &mixed).unwrap().iso(), "2025-03-29T23:00:00Z");
        assert!(added(&at("2026-01-31"), &[("years", 9000)]).is_err());
        assert!(added(&at("2026-01-31"), &[("years", i64::MAX)]).is_err());
        assert!(added(&at("2026-01-31"), &[("days", i64::MIN)]).is_err());
        assert!(of_seconds(f64::NAN).is_err());
        assert_eq!(at("2026-01-31").plus(of_text("1h 30m").unwrap()).unwrap().iso(), "2026-01-31T01:30:00Z");
    }

    #[test]
    fn each_unit_has_a_start() {
        let moment =
            ZonedDateTime::parse("2026-07-16T17:31:59.5", Some(zone(Some("Asia/Shanghai")).unwrap()))
                .unwrap();
        for (unit, start) in [
            ("year", "2026-01-01T00:00:00+08:00"),
            ("month", "2026-07-01T00:00:00+08:00"),
            ("week", "2026-07-13T00:00:00+08:00"),
            ("day", "2026-07-16T00:00:00+08:00"),
            ("hour", "2026-07-16T17:00:00+08:00"),
            ("minute", "2026-07-16T17:31:00+08:00"),
            ("second", "2026-07-16T17:31:59+08:00"),
        ] {
            assert_eq!(moment.start_of(unit).unwrap().iso(), start, "{unit}");
        }
        assert!(moment.start_of("decade").is_err());
        assert_eq!(moment.field("weekday"), Some(4));
        assert_eq!(moment.zone_name(), "Asia/Shanghai");
    }

    #[test]
    fn formats_are_those_of_strftime() {
        let moment = at("2026-07-16T17:31:59Z");
        assert_eq!(moment.format("%Y-%m-%d %H:%M:%S %A %j").unwrap(), "2026-07-16 17:31:59 Thursday 197");
        assert_eq!(moment.format("%c|%x|%X|%p").unwrap(), "Thu Jul 16 17:31:59 2026|07/16/26|17:31:59|PM");
        assert!(moment.format("%!").is_err());
    }

    #[test]
    fn zones_need_no_files_of_the_system() {
        assert!(jiff::tz::TimeZoneDatabase::bundled().get("Asia/Shanghai").is_ok());
    }

    #[test]
    fn zones_are_names_or_offsets() {
        assert_eq!(at("2026-07-16T00:00Z").in_zone(zone(Some("+05:30")).unwrap()).zone_name(), "+05:30");
        for name in ["", "Mars/Olympus", "../../etc/passwd", "+99:00"] {
            assert!(zone(Some(name)).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in -60_000_000_000_i64..200_000_000_000) {
            let moment = ZonedDateTime::from_unix(SignedDuration::from_secs(seconds), TimeZone::UTC).unwrap();
            prop_assert_eq!(at(&moment.iso()).since_epoch().as_secs(), seconds);
        }
    }
}
