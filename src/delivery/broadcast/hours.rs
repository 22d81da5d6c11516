//! The hours of the day during which a broadcast may be sent.

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use serde::Deserialize;

use crate::core::{SendWindow, WindowCalendar, WindowZone};
use crate::delivery::{BroadcastWait, WaitKind};
use crate::zones::{self, Calendar, DayKind, DayTime, MOST_DAYS, WeekdaySet};

/// A range of hours in a time zone, or all day for `None`. The range crosses midnight if its start is later than its
/// end.
#[derive(Debug, Clone, Default)]
pub struct SendingHours(Option<HourRange>);

#[derive(Debug, Clone)]
struct HourRange {
    from: Time,
    to: DayTime,
    /// The zone of recipients without one of their own.
    zone: TimeZone,
    days: WeekdaySet,
    calendar: Calendar,
}

impl SendingHours {
    /// Reads the `window` of a broadcast's spec. An unreadable one is an error: treating it as all day could send at
    /// night.
    pub fn new(window: Option<&serde_json::Value>) -> Result<Self, String> {
        let Some(window) = window else { return Ok(Self(None)) };
        let mut window = window.clone();
        let calendar = window.as_object_mut().and_then(|fields| fields.remove("calendar"));
        let calendar =
            calendar.map(WindowCalendar::deserialize).transpose().map_err(|error| error.to_string())?;
        let said = SendWindow::deserialize(window).map_err(|error| error.to_string())?;
        let (from, to) = (zones::day_time(&said.from)?.time(), zones::day_time(&said.to)?);
        let zone = match &said.tz {
            WindowZone::All(zone) => zones::zone(zone)?,
            WindowZone::Column(_) | WindowZone::Function(_) => TimeZone::UTC,
        };
        let days = said.days.as_deref().map_or(Ok(WeekdaySet::ALL), WeekdaySet::parse)?;
        let calendar = calendar.as_ref().map_or_else(|| Ok(Calendar::default()), read_calendar)?;
        Ok(Self(Some(HourRange { from, to, zone, days, calendar })))
    }

    /// How long sending is closed from `unix_time` (since 1970) on; zero while it is open. `zone` is the recipient's own
    /// time zone, if it has one.
    pub fn closed_for(&self, unix_time: Duration, zone: Option<&str>) -> Duration {
        let Some(open) = &self.0 else { return Duration::ZERO };
        let closed = match zone.map(zones::zone).transpose() {
            Ok(zone) => open.closed_for(unix_time, zone.as_ref().unwrap_or(&open.zone)),
            Err(_) => None,
        };
        // A time outside the calendar's range and an unreadable zone count as closed; the caller asks again after a minute.
        closed.unwrap_or(Duration::from_mins(1))
    }
}

impl SendingHours {
    /// When `left` recipients will have been sent to, at the recent rate, or at the highest possible rate (`most`) while
    /// nothing can be sent. `now` and the result are since 1970. `None` while the broadcast waits for a person, the
    /// store or a driver.
    pub(super) fn ends_at(
        &self,
        now: Duration,
        left: u64,
        rate: Option<f64>,
        most: f64,
        wait: Option<&BroadcastWait>,
    ) -> Option<Duration> {
        if let Some(WaitKind::Resume | WaitKind::Approval | WaitKind::Store | WaitKind::Driver) =
            wait.map(|wait| wait.kind)
        {
            return None;
        }
        let usual = wait.is_none_or(|wait| wait.kind.is_usual());
        let rate = rate.filter(|rate| *rate > 0.0 && usual).unwrap_or(most);
        let sending = Duration::try_from_secs_f64(left as f64 / rate).ok()?;
        let begins = wait.filter(|_| !usual).and_then(|wait| wait.until).unwrap_or(now).max(now);
        Some(self.end_of(begins, sending))
    }

    /// When sending ends that begins at `begins` (since 1970) and takes `sending`, if it goes on in open hours only.
    pub(super) fn end_of(&self, begins: Duration, sending: Duration) -> Duration {
        let Some(open) = &self.0 else { return begins.saturating_add(sending) };
        let (mut now, mut left) = (begins, sending);
        // Stops after 400 ranges of open hours, about 400 days.
        for _ in 0..400 {
            now += self.closed_for(now, None);
            let Some(opened) = open.open_for(now) else { break };
            if left <= opened {
                break;
            }
            now += opened;
            left = left.saturating_sub(opened);
        }
        now.saturating_add(left)
    }
}

impl HourRange {
    /// How long sending stays open from `unix_time` on, which must be in open hours.
    fn open_for(&self, unix_time: Duration) -> Option<Duration> {
        let now = civil(unix_time, &self.zone)?;
        let to = self.to.time();
        let day = if now.time() < to { now.date() } else { now.date().checked_add(1.day()).ok()? };
        let closes = day.to_datetime(to).to_zoned(self.zone.clone()).ok()?;
        Duration::try_from(closes.timestamp().duration_since(now.timestamp())).ok()
    }

    fn closed_for(&self, unix_time: Duration, zone: &TimeZone) -> Option<Duration> {
        let now = civil(unix_time, zone)?;
        let time = now.time();
        // The day on which the hours began that are open now.
        let began = match self.to {
            DayTime::End => (time >= self.from).then(|| now.date()),
            DayTime::At(to) if self.from < to => (self.from..to).contains(&time).then(|| now.date()),
            DayTime::At(_) if time >= self.from => Some(now.date()),
            DayTime::At(to) if time < to => Some(now.date().yesterday().ok()?),
            DayTime::At(_) => None,
        };
        if began.is_some_and(|day| self.is_open_on(day)) {
            return Some(Duration::ZERO);
        }
        let mut day = if time < self.from { now.date() } else { now.date().tomorrow().ok()? };
        for _ in 0..MOST_DAYS {
            if self.is_open_on(day) {
                let opens = day.to_datetime(self.from).to_zoned(zone.clone()).ok()?;
                return Duration::try_from(opens.timestamp().duration_since(now.timestamp())).ok();
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// Whether the hours that begin on this day are open.
    fn is_open_on(&self, day: Date) -> bool {
        match self.calendar.kind(day) {
            Some(kind) => kind == DayKind::Workday,
            None => self.days.has(day.weekday()),
        }
    }
}

fn civil(unix_time: Duration, zone: &TimeZone) -> Option<Zoned> {
    let seconds = i64::try_from(unix_time.as_secs()).ok()?;
    Some(Timestamp::from_second(seconds).ok()?.to_zoned(zone.clone()))
}

fn read_calendar(stored: &WindowCalendar) -> Result<Calendar, String> {
    let mut calendar = Calendar::default();
    for (days, kind) in [(&stored.holidays, DayKind::Holiday), (&stored.workdays, DayKind::Workday)] {
        for day in days {
            calendar.add(day.parse().map_err(|error| format!("{day}: {error}"))?, kind)?;
        }
    }
    Ok(calendar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_counts_the_window_and_is_unknown_in_a_pause() {
        let now = Duration::from_secs(1_000);
        let seconds = |wait: Option<BroadcastWait>, rate| {
            let ends = SendingHours::default().ends_at(now, 100, rate, 20.0, wait.as_ref());
            ends.map(|end| end.saturating_sub(now).as_secs())
        };
        assert_eq!(seconds(None, None), Some(5));
        assert_eq!(seconds(None, Some(10.0)), Some(10));
        let until = Some(Duration::from_secs(1_060));
        let window = BroadcastWait { until, ..BroadcastWait::of(WaitKind::Window) };
        assert_eq!(seconds(Some(window), Some(0.0)), Some(65));
        assert_eq!(seconds(Some(BroadcastWait::of(WaitKind::Resume)), Some(10.0)), None);
    }

    fn closed(from: &str, to: &str, tz: &str, now: &str) -> u64 {
        let window = serde_json::json!({ "from": from, "to": to, "tz": tz });
        let now: Timestamp = now.parse().unwrap();
        let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap());
        SendingHours::new(Some(&window)).unwrap().closed_for(now, None).as_secs() / 60
    }

    #[test]
    fn outside_its_hours_it_waits_for_the_next_opening() {
        assert_eq!(closed("09:00", "21:00", "Asia/Shanghai", "2026-06-01T01:00:00Z"), 0);
        assert_eq!(closed("09:00", "21:00", "Asia/Shanghai", "2026-06-01T00:30:00Z"), 30);
        assert_eq!(closed("09:00", "21:00", "Asia/Shanghai", "2026-06-01T13:00:00Z"), 12 * 60);
        // Across midnight.
        assert_eq!(closed("22:00", "06:00", "UTC", "2026-06-01T23:00:00Z"), 0);
        assert_eq!(closed("22:00", "06:00", "UTC", "2026-06-01T05:59:00Z"), 0);
        assert_eq!(closed("22:00", "06:00", "UTC", "2026-06-01T06:00:00Z"), 16 * 60);
        // Up to the end of the day, all day, and by an offset.
        assert_eq!(closed("9:00", "24:00", "+08:00", "2026-06-01T15:59:00Z"), 0);
        assert_eq!(closed("9:00", "24:00", "+08:00", "2026-06-01T16:00:00Z"), 9 * 60);
        assert_eq!(closed("00:00", "24:00", "UTC", "2026-06-01T23:59:00Z"), 0);
        // The night in which Berlin's clocks go forward has one hour less.
        assert_eq!(closed("09:00", "21:00", "Europe/Berlin", "2026-03-28T20:00:00Z"), 11 * 60);
    }

    fn closed_on(window: &serde_json::Value, zone: Option<&str>, now: &str) -> u64 {
        let now: Timestamp = now.parse().unwrap();
        let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap());
        SendingHours::new(Some(window)).unwrap().closed_for(now, zone).as_secs() / 60
    }

    #[test]
    fn days_and_a_calendar_close_whole_days() {
        let window = serde_json::json!({
            "from": "09:00", "to": "21:00", "tz": "Asia/Shanghai", "days": "mon-fri", "except": "cn",
            "calendar": { "holidays": ["2026-10-01", "2026-10-02"], "workdays": ["2026-10-10"] },
        });
        let closed = |now: &str| closed_on(&window, None, now);
        // A Wednesday, and a Saturday that is made up.
        assert_eq!(closed("2026-09-30T02:00:00Z"), 0);
        assert_eq!(closed("2026-10-10T02:00:00Z"), 0);
        // From the evening before the holidays to the Monday after them.
        assert_eq!(closed("2026-09-30T13:00:00Z"), (4 * 24 + 12) * 60);
        assert_eq!(closed("2026-10-01T04:00:00Z"), (3 * 24 + 21) * 60);
        // The hours that began on Friday go on into Saturday, and those of Saturday do not begin.
        let night = serde_json::json!({ "from": "22:00", "to": "06:00", "tz": "UTC", "days": "mon-fri" });
        assert_eq!(closed_on(&night, None, "2026-06-06T05:00:00Z"), 0);
        assert_eq!(closed_on(&night, None, "2026-06-06T23:00:00Z"), 47 * 60);
        assert_eq!(closed_on(&night, None, "2026-06-08T05:00:00Z"), 17 * 60);
    }

    #[test]
    fn a_recipient_has_its_own_zone() {
        let window = serde_json::json!({ "from": "09:00", "to": "21:00", "tz": { "column": "zone" } });
        let closed = |zone: &str| closed_on(&window, Some(zone), "2026-06-01T01:00:00Z");
        assert_eq!(closed("Asia/Shanghai"), 0);
        assert_eq!(closed("Europe/Berlin"), 6 * 60);
        assert_eq!(closed("America/New_York"), 12 * 60);
        // A zone that cannot be read is never open.
        assert_eq!(closed("Nowhere"), 1);
    }

    proptest::proptest! {
        /// After the wait, sending is open; and it was not open before.
        #[test]
        fn the_wait_ends_at_the_next_opening(
            from in 0_u32..24, length in 1_u32..24, days in 1_u8..127, holidays in proptest::collection::vec(0_u32..30, 0..10),
            now in 0_u64..30 * 86_400,
        ) {
            let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            let days: Vec<&str> = (0..7).filter(|day| days & (1 << day) != 0).map(|day| names[day]).collect();
            let begin = jiff::civil::date(2026, 6, 1);
            let holidays: std::collections::BTreeSet<String> =
                holidays.iter().map(|day| (begin + i64::from(*day).days()).to_string()).collect();
            let window = serde_json::json!({
                "from": format!("{from}:00"), "to": format!("{}:00", (from + length) % 24), "tz": "Asia/Shanghai",
                "days": days.join(","), "calendar": { "holidays": holidays, "workdays": [] },
            });
            let hours = SendingHours::new(Some(&window)).unwrap();
            let now = Duration::from_secs(1_780_272_000 + now);
            let closed = hours.closed_for(now, None);
            proptest::prop_assert_eq!(hours.closed_for(now + closed, None), Duration::ZERO);
            if closed > Duration::ZERO {
                let before = Duration::from_secs(1).min(closed);
                proptest::prop_assert!(hours.closed_for(now + closed.saturating_sub(before), None) > Duration::ZERO);
                let half = closed / 2;
                proptest::prop_assert!(hours.closed_for(now + half, None) > Duration::ZERO);
            }
        }
    }

    #[test]
    fn all_day_is_never_closed_and_nonsense_is_an_error() {
        assert_eq!(SendingHours::new(None).unwrap().closed_for(Duration::ZERO, None), Duration::ZERO);
        assert!(
            SendingHours::new(Some(&serde_json::json!({ "from": "9", "to": "x", "tz": "Nowhere" }))).is_err()
        );
    }

    #[test]
    fn the_end_counts_open_hours_only() {
        let window = serde_json::json!({ "from": "09:00", "to": "17:00", "tz": "UTC" });
        let hours = SendingHours::new(Some(&window)).unwrap();
        let at = |text: &str| Duration::try_from(text.parse::<Timestamp>().unwrap().as_duration()).unwrap();
        let ends = |begins: &str, hours_long: u64| {
            let end = hours.end_of(at(begins), Duration::from_hours(hours_long));
            Timestamp::from_second(i64::try_from(end.as_secs()).unwrap()).unwrap().to_string()
        };
        assert_eq!(ends("2026-06-01T10:00:00Z", 2), "2026-06-01T12:00:00Z");
        assert_eq!(ends("2026-06-01T16:00:00Z", 2), "2026-06-02T10:00:00Z");
        assert_eq!(ends("2026-06-01T20:00:00Z", 17), "2026-06-04T10:00:00Z");
        let always = SendingHours::new(None).unwrap();
        assert_eq!(always.end_of(Duration::from_secs(5), Duration::from_secs(6)), Duration::from_secs(11));
    }
}
