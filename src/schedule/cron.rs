//! Cron expressions. croner parses them. The search for the next time uses the civil calendar, so that only `zone.rs`
//! maps a time of a zone to an instant.

use croner::parser::{CronParser, Seconds, Year};
use croner::{CronComponent, CronPattern, Weekday};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::zone;

/// The six fields. An expression of five fields has no seconds.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, L (the last) or 15W (the working day nearest to the 15th)"),
    ("month", "1 to 12 or jan to dec"),
    ("day of the week", "0 to 7 or sun to sat, fri#2 (the second) or friL (the last)"),
];

const NICKNAMES: [&str; 7] =
    ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const EVERY_HOUR: u64 = (1 << 24) - 1;

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// A cron expression that names at least one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    /// The expression as it was written.
    pub(super) text: String,
    // Each set has one bit for each value.
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: Box<CronPattern>,
}

impl Cron {
    /// Parses five fields, six with seconds first, or a word such as `@daily`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields = fields(text)?;
        let Some(mut pattern) = read(&fields) else { return Err(which_is_wrong(&fields)) };
        // The years take five kilobytes and are not used.
        pattern.years = CronComponent::new(0, 0, 0, 0);
        let cron = Self {
            text: text.trim().to_owned(),
            seconds: bits(&pattern.seconds),
            minutes: bits(&pattern.minutes),
            hours: bits(&pattern.hours),
            days: Box::new(pattern),
        };
        if cron.ever() { Ok(cron) } else { Err("no date matches it".to_owned()) }
    }

    /// Returns the first matching instant after `after`.
    pub(super) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // Matching instants are whole seconds.
        let after = Timestamp::from_second(after.as_second()).ok()?;
        if self.hours == EVERY_HOUR {
            self.next_by_wall_clock(after, zone)
        } else {
            self.next_by_day(after, zone)
        }
    }

    /// Whether it matches in every hour, and follows the clocks through their changes.
    pub(super) const fn is_hourly(&self) -> bool {
        self.hours == EVERY_HOUR
    }

    /// Returns the first matching time of a day, `from` included. None if there is none, or the day does not match.
    pub(super) fn time_on(&self, day: Date, from: Time) -> Option<Time> {
        if self.month(day) && self.day(day) { self.time_from(from) } else { None }
    }

    /// Finds the next instant of an expression that names hours: each time of the day runs once, whatever the clock
    /// changes.
    fn next_by_day(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut from = zone.to_datetime(after);
        loop {
            from = self.first_from(from.checked_add(SECOND).ok()?)?;
            // In the second half of a fold, the clocks show times whose instant has passed.
            let timestamp = zone::to_timestamp(zone, from)?;
            if timestamp > after {
                return Some(timestamp);
            }
        }
    }

    /// Finds the next instant at which the clocks show a time that matches.
    fn next_by_wall_clock(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut from = after.checked_add(SECOND).ok()?;
        loop {
            let offset = zone.to_offset(from);
            let timestamp = offset.to_timestamp(self.first_from(offset.to_datetime(from))?).ok()?;
            match zone.following(from).next() {
                Some(moved) if moved.timestamp() <= timestamp => from = moved.timestamp(),
                _ => return Some(timestamp),
            }
        }
    }

    /// Returns the first matching time of the calendar, `from` included.
    fn first_from(&self, from: DateTime) -> Option<DateTime> {
        let (mut date, mut time) = (from.date(), from.time());
        loop {
            if !self.month(date) {
                date = date.last_of_month().tomorrow().ok()?;
                time = Time::midnight();
            } else if self.day(date)
                && let Some(found) = self.time_from(time)
            {
                return Some(date.to_datetime(found));
            } else {
                date = date.tomorrow().ok()?;
                time = Time::midnight();
            }
        }
    }

    /// Returns the first matching time of a day that matches, `from` included.
    fn time_from(&self, from: Time) -> Option<Time> {
        let (hour, minute, second) = (from.hour(), from.minute(), from.second());
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = first(self.seconds, second)
            {
                return Time::new(hour, minute, second, 0).ok();
            }
            if let Some(minute) = first(self.minutes, minute + 1) {
                return Time::new(hour, minute, first(self.seconds, 0)?, 0).ok();
            }
        }
        let hour = first(self.hours, hour + 1)?;
        Time::new(hour, first(self.minutes, 0)?, first(self.seconds, 0)?, 0).ok()
    }

    fn month(&self, date: Date) -> bool {
        self.days.month_match(date.month().unsigned_abs().into()).unwrap_or(false)
    }

    fn day(&self, date: Date) -> bool {
        let weekday =
            Weekday::from_days_from_sunday(date.weekday().to_sunday_zero_offset().unsigned_abs().into());
        let (year, month, day) = (date.year(), date.month().unsigned_abs(), date.day().unsigned_abs());
        self.days.day_match(year.into(), month.into(), day.into(), weekday).unwrap_or(false)
    }

    /// Whether the expression matches any time. 28 years of the calendar have all combinations of date and weekday.
    fn ever(&self) -> bool {
        let days = jiff::civil::date(2000, 1, 1).series(1.day()).take(28 * 366 + 7);
        self.time_from(Time::midnight()).is_some()
            && days.into_iter().any(|day| self.month(day) && self.day(day))
    }
}

/// Splits an expression into six fields, in lower case.
fn fields(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim().to_lowercase();
    let plain = match text.as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        word if word.starts_with('@') => {
            return Err(format!("this word is unknown; the words are {}", NICKNAMES.join(", ")));
        }
        fields => fields,
    };
    let mut fields: Vec<String> = plain.split_whitespace().map(str::to_owned).collect();
    match fields.len() {
        5 => fields.insert(0, "0".to_owned()),
        6 => {}
        count => {
            return Err(format!(
                "it has {count} field{}; write five (minute, hour, day of the month, month, day of the week) or \
                 six (the first is for seconds), such as \"0 9 * * mon-fri\"",
                if count == 1 { "" } else { "s" }
            ));
        }
    }
    Ok(fields)
}

/// Parses six fields with croner. Each field is valid by itself.
fn read(fields: &[String]) -> Option<CronPattern> {
    if !fields.iter().enumerate().all(|(index, field)| words_fit(index, field)) {
        return None;
    }
    // As in Vixie cron, a field of days that begins with `*` restricts the other one. Two fields that do not begin
    // with `*` are a union.
    let restricts = |index: usize| fields.get(index).is_some_and(|field| field.starts_with(['*', '?']));
    let both = restricts(3) || restricts(5);
    let parser =
        CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).dom_and_dow(both).build();
    let pattern = parser.parse(&fields.join(" ")).ok()?.pattern;
    let timed = [&pattern.seconds, &pattern.minutes, &pattern.hours];
    timed.iter().all(|part| bits(part) != 0).then_some(pattern)
}

/// Whether a field's names belong to it and its steps are within its range. croner takes any name in any field,
/// accepts an empty item between two commas, and reads a step of 70 minutes as one of an hour.
fn words_fit(index: usize, field: &str) -> bool {
    let (most, known): (u32, &[&str]) = match index {
        0 | 1 => (59, &[]),
        2 => (23, &[]),
        3 => (31, &[]),
        4 => (12, &MONTHS),
        _ => (7, &WEEKDAYS),
    };
    field.split(',').all(|item| {
        let step = item.split_once('/').map_or(1, |(_, step)| step.parse().unwrap_or(u32::MAX));
        let mut words =
            item.split(|letter: char| !letter.is_ascii_lowercase()).filter(|word| !word.is_empty());
        !item.is_empty()
            && (!item.contains('?') || field == "?")
            && step <= most
            && words.all(|word| {
                let day = word.strip_suffix('l').unwrap_or(word);
                known.contains(&word)
                    || matches!((index, word), (3, "l" | "w" | "lw") | (5, "l"))
                    || (index == 5 && known.contains(&day))
            })
    })
}

/// Names the first field that is invalid by itself.
fn which_is_wrong(fields: &[String]) -> String {
    for (index, field) in fields.iter().enumerate() {
        let mut alone = vec!["*".to_owned(); fields.len()];
        alone[index].clone_from(field);
        if read(&alone).is_none() {
            let (name, range) = FIELDS[index];
            return format!(
                "the {name} `{}` is invalid: write {range}, or lists (1,2), ranges (1-5), steps (*/2, 1-9/2) and *",
                field.escape_debug()
            );
        }
    }
    "it is not a cron expression".to_owned()
}

fn bits(part: &CronComponent) -> u64 {
    part.values().into_iter().filter(|value| *value < 64).fold(0, |bits, value| bits | 1 << value)
}

fn has(bits: u64, value: i8) -> bool {
    first(bits, value) == Some(value)
}

/// Returns the first value from `from` on. `from` is at most 60.
fn first(bits: u64, from: i8) -> Option<i8> {
    let from = u32::from(from.unsigned_abs());
    let rest = bits.checked_shr(from)?;
    (rest != 0).then(|| i8::try_from(rest.trailing_zeros() + from).unwrap_or(i8::MAX))
}
