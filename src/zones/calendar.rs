//! Calendars: days that are holidays, and days on which a holiday is made up for.

use std::collections::BTreeMap;

use jiff::civil::{Date, Weekday};

/// How many days are looked at for one that a calendar allows: about ten years.
pub const MOST_DAYS: usize = 3660;

/// What a calendar says of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayKind {
    /// No workday, whatever its day of the week.
    Holiday,
    /// A workday, whatever its day of the week.
    Workday,
}

/// The named days of a calendar. Every other day is a workday from Monday to Friday.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar(BTreeMap<Date, DayKind>);

impl Calendar {
    /// Names a day.
    ///
    /// # Errors
    ///
    /// The day is named before with the other kind.
    pub fn add(&mut self, day: Date, kind: DayKind) -> Result<(), String> {
        match self.0.insert(day, kind) {
            Some(before) if before != kind => {
                Err(format!("{day} is both a holiday and a workday; remove one of the two"))
            }
            _ => Ok(()),
        }
    }

    /// Returns what the calendar says of a day. None if it does not name it.
    pub fn kind(&self, day: Date) -> Option<DayKind> {
        self.0.get(&day).copied()
    }

    /// Whether a day is a workday.
    pub fn is_workday(&self, day: Date) -> bool {
        match self.kind(day) {
            Some(kind) => kind == DayKind::Workday,
            None => !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday),
        }
    }

    /// Returns the first workday from `day` on. None if there is none within ten years.
    pub fn workday_from(&self, day: Date) -> Option<Date> {
        let mut day = day;
        for _ in 0..MOST_DAYS {
            if self.is_workday(day) {
                return Some(day);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// Returns the days of a kind, in order.
    pub fn days(&self, kind: DayKind) -> impl Iterator<Item = Date> {
        self.0.iter().filter(move |(_, of)| **of == kind).map(|(day, _)| *day)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A set of days of the week: `mon-fri`, `sat,sun`, `fri-mon`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeekdaySet(u8);

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl WeekdaySet {
    pub const ALL: Self = Self(0x7f);

    /// Reads names of days and ranges of them, with commas between.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is not a list of days; write it like \"mon-fri\" or \"mon,wed,sat-sun\"",
                text.escape_debug()
            )
        };
        let number = |name: &str| {
            let name = name.trim().to_ascii_lowercase();
            NAMES.iter().position(|known| *known == name).ok_or_else(wrong)
        };
        let mut days = 0;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (mut day, last) = (number(first)?, number(last)?);
            loop {
                days |= 1 << day;
                if day == last {
                    break;
                }
                day = (day + 1) % 7;
            }
        }
        Ok(Self(days))
    }

    pub fn has(self, day: Weekday) -> bool {
        self.0 & (1 << day.to_monday_zero_offset().unsigned_abs()) != 0
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_of_the_week_are_read_as_people_write_them() {
        let has = |text: &str| -> Vec<&str> {
            let set = WeekdaySet::parse(text).unwrap();
            let monday = date(2026, 6, 1);
            let days = (0_i64..).zip(NAMES);
            days.filter(|(day, _)| set.has((monday + (*day).days()).weekday()))
                .map(|(_, name)| name)
                .collect()
        };
        assert_eq!(has("mon-fri"), ["mon", "tue", "wed", "thu", "fri"]);
        assert_eq!(has(" Sat, sun "), ["sat", "sun"]);
        assert_eq!(has("fri-mon"), ["mon", "fri", "sat", "sun"]);
        assert_eq!(has("wed"), ["wed"]);
        for wrong in ["", "monday", "mon-", "mon..fri", "1-5", "mon;tue"] {
            assert!(WeekdaySet::parse(wrong).unwrap_err().contains("mon-fri"), "{wrong}");
        }
    }

    #[test]
    fn a_day_of_two_kinds_is_refused() {
        let mut calendar = Calendar::default();
        calendar.add(date(2026, 10, 1), DayKind::Holiday).unwrap();
        calendar.add(date(2026, 10, 1), DayKind::Holiday).unwrap();
        assert!(
            calendar.add(date(2026, 10, 1), DayKind::Workday).unwrap_err().contains("2026-10-01 is both")
        );
    }

    proptest! {
        #[test]
        fn workdays_are_weekdays_without_holidays_and_with_those_made_up(
            named in prop::collection::btree_map(0_i32..400, any::<bool>(), 0..60), from in 0_i32..400,
        ) {
            let begin = date(2026, 1, 1);
            let mut calendar = Calendar::default();
            for (day, holiday) in &named {
                let kind = if *holiday { DayKind::Holiday } else { DayKind::Workday };
                calendar.add(begin + day.days(), kind).unwrap();
            }
            let is_workday = |day: i32| match named.get(&day) {
                Some(holiday) => !holiday,
                None => (begin + day.days()).weekday().to_monday_zero_offset() < 5,
            };
            for day in 0..420 {
                prop_assert_eq!(calendar.is_workday(begin + day.days()), is_workday(day));
            }
            let next = calendar.workday_from(begin + from.days()).unwrap();
            let expected = (from..420).find(|day| is_workday(*day)).unwrap();
            prop_assert_eq!(next, begin + expected.days());
        }
    }
}
