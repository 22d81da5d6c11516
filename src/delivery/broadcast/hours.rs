//! The hours of the day during which a broadcast may be sent.

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use serde::Deserialize;

use crate::zones::{self, DayTime};

/// A range of hours in a time zone, or all day for `None`. The range crosses midnight if its start is later than its
/// end.
#[derive(Debug, Clone)]
pub(super) struct SendingHours(Option<HourRange>);

#[derive(Debug, Clone)]
struct HourRange {
    from: Time,
    to: DayTime,
    zone: TimeZone,
}

/// The JSON form in the broadcast's spec.
#[derive(Deserialize)]
struct HoursSpec {
    from: String,
    to: String,
    tz: String,
}

impl SendingHours {
    /// Reads the `window` of a broadcast's spec. An unreadable one is an error: treating it as all day could send at
    /// night.
    pub(super) fn new(window: Option<&serde_json::Value>) -> Result<Self, String> {
        let Some(window) = window else { return Ok(Self(None)) };
        let said = HoursSpec::deserialize(window).map_err(|error| error.to_string())?;
        let (from, to) = (zones::day_time(&said.from)?.time(), zones::day_time(&said.to)?);
        Ok(Self(Some(HourRange { from, to, zone: zones::zone(&said.tz)? })))
    }

    /// How long sending is closed from `unix_time` (since 1970) on; zero while it is open.
    pub(super) fn closed_for(&self, unix_time: Duration) -> Duration {
        let Some(open) = &self.0 else { return Duration::ZERO };
        // A time outside the calendar's range counts as closed; the caller asks again after a minute.
        open.closed_for(unix_time).unwrap_or(Duration::from_mins(1))
    }
}

impl SendingHours {
    /// When sending ends that begins at `begins` (since 1970) and takes `sending`, if it goes on in open hours only.
    pub(super) fn end_of(&self, begins: Duration, sending: Duration) -> Duration {
        let Some(open) = &self.0 else { return begins.saturating_add(sending) };
        let (mut now, mut left) = (begins, sending);
        // Stops after 400 ranges of open hours, about 400 days.
        for _ in 0..400 {
            now += self.closed_for(now);
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
        let now = self.civil(unix_time)?;
        let to = self.to.time();
        let day = if now.time() < to { now.date() } else { now.date().checked_add(1.day()).ok()? };
        let closes = day.to_datetime(to).to_zoned(self.zone.clone()).ok()?;
        Duration::try_from(closes.timestamp().duration_since(now.timestamp())).ok()
    }

    fn civil(&self, unix_time: Duration) -> Option<Zoned> {
        let seconds = i64::try_from(unix_time.as_secs()).ok()?;
        Some(Timestamp::from_second(seconds).ok()?.to_zoned(self.zone.clone()))
    }

    fn closed_for(&self, unix_time: Duration) -> Option<Duration> {
        let now = self.civil(unix_time)?;
        let time = now.time();
        let is_open = match self.to {
            DayTime::End => time >= self.from,
            DayTime::At(to) if self.from < to => (self.from..to).contains(&time),
            DayTime::At(to) => time >= self.from || time < to,
        };
        if is_open {
            return Some(Duration::ZERO);
        }
        let day = if time < self.from { now.date() } else { now.date().checked_add(1.day()).ok()? };
        let opens = day.to_datetime(self.from).to_zoned(self.zone.clone()).ok()?;
        Duration::try_from(opens.timestamp().duration_since(now.timestamp())).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(from: &str, to: &str, tz: &str, now: &str) -> u64 {
        let window = serde_json::json!({ "from": from, "to": to, "tz": tz });
        let now: Timestamp = now.parse().unwrap();
        let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap());
        SendingHours::new(Some(&window)).unwrap().closed_for(now).as_secs() / 60
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

    #[test]
    fn all_day_is_never_closed_and_nonsense_is_an_error() {
        assert_eq!(SendingHours::new(None).unwrap().closed_for(Duration::ZERO), Duration::ZERO);
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
