//! Jobs that run only on the workdays of a calendar.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use crate::zones::{Calendar, MOST_DAYS};

use super::cron::Cron;
use super::problem::DeclarationError;
use super::zone;

/// What happens to a time on a day that is no workday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum HolidayPolicy {
    /// It does not occur.
    #[default]
    Skip,
    /// It occurs at the same time of the next workday. Times that are the same then occur once.
    Next,
}

/// The workdays of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Workdays {
    /// The calendar's name.
    pub(super) name: String,
    pub(super) calendar: Calendar,
    pub(super) policy: HolidayPolicy,
}

impl HolidayPolicy {
    pub(super) fn read(word: Option<&str>) -> Result<Self, DeclarationError> {
        match word {
            None | Some("skip") => Ok(Self::Skip),
            Some("next") => Ok(Self::Next),
            Some(other) => {
                let other = other.escape_debug();
                let what = format!("`{other}` is unknown; write \"skip\" or \"next\"");
                Err(DeclarationError::new("on_holiday", what))
            }
        }
    }
}

impl Workdays {
    /// `on workdays of cn-workdays`
    pub(super) fn words(&self) -> String {
        let next = match self.policy {
            HolidayPolicy::Skip => "",
            HolidayPolicy::Next => ", holidays on the next",
        };
        format!("on workdays of {}{next}", self.name)
    }

    /// Returns the first time of a cron expression after `after` by the calendar.
    pub(super) fn next_after(&self, cron: &Cron, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self.policy {
            // An expression for every hour has the same times each day, so none is moved.
            HolidayPolicy::Next if !cron.is_hourly() => self.moved(cron, after, zone),
            _ => self.kept(cron, after, zone),
        }
    }

    /// Leaves out the times of days that are no workdays.
    fn kept(&self, cron: &Cron, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut after = after;
        for _ in 0..MOST_DAYS {
            let next = cron.next_after(after, zone)?;
            let day = zone.to_datetime(next).date();
            if self.calendar.is_workday(day) {
                return Some(next);
            }
            let midnight = zone::to_timestamp(zone, day.tomorrow().ok()?.to_datetime(Time::midnight()))?;
            after = midnight.checked_sub(SignedDuration::from_secs(1)).ok()?;
        }
        None
    }

    /// Moves the times of days that are no workdays to the next workday.
    fn moved(&self, cron: &Cron, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = zone.to_datetime(after).date();
        let mut workday = self.calendar.workday_from(today)?;
        for _ in 0..MOST_DAYS {
            let mut from = Time::midnight();
            while let Some(time) = self.times_of(cron, workday, from) {
                let timestamp = zone::to_timestamp(zone, workday.to_datetime(time))?;
                if timestamp > after {
                    return Some(timestamp);
                }
                // The day ends where its seconds wrap.
                from = time.wrapping_add(1.second());
                if from == Time::midnight() {
                    break;
                }
            }
            workday = self.calendar.workday_from(workday.tomorrow().ok()?)?;
        }
        None
    }

    /// Returns the first time of day, `from` included, of a workday and of the days before it that are none.
    fn times_of(&self, cron: &Cron, workday: Date, from: Time) -> Option<Time> {
        let mut first = cron.time_on(workday, from);
        let mut day = workday.yesterday().ok()?;
        for _ in 0..MOST_DAYS {
            if self.calendar.is_workday(day) {
                break;
            }
            first = first.into_iter().chain(cron.time_on(day, from)).min();
            day = day.yesterday().ok()?;
        }
        first
    }
}
