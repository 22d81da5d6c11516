//! Random schedules, compared with an implementation of the rules that visits every minute.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;

use super::{job, zone};

/// Zones with gaps and folds of many kinds, and instants near them.
const ZONES: [(&str, &str); 14] = [
    ("UTC", "2026-03-08T00:00:00Z"),
    ("America/New_York", "2026-03-08T00:00:00Z"),
    ("America/New_York", "2026-11-01T00:00:00Z"),
    ("Europe/Berlin", "2026-10-25T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T12:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T12:00:00Z"),
    ("Pacific/Apia", "2011-12-30T06:00:00Z"),
    ("Africa/Cairo", "2026-04-23T20:00:00Z"),
    ("Africa/Cairo", "2026-10-29T20:00:00Z"),
    ("America/Havana", "2026-03-08T03:00:00Z"),
    ("America/Sao_Paulo", "2018-11-04T02:00:00Z"),
    ("Asia/Tehran", "2021-03-21T19:00:00Z"),
    ("Antarctica/Troll", "2026-03-29T00:00:00Z"),
    ("America/St_Johns", "2006-10-29T02:00:00Z"),
];

#[derive(Debug, Clone)]
struct Fields {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    weekdays: BTreeSet<i8>,
}

impl Fields {
    fn text(&self) -> String {
        let list =
            |values: &BTreeSet<i8>| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        format!("{} {} * * {}", list(&self.minutes), list(&self.hours), list(&self.weekdays))
    }

    fn shown(&self, time: DateTime) -> bool {
        self.minutes.contains(&time.minute())
            && self.hours.contains(&time.hour())
            && self.weekdays.contains(&time.weekday().to_sunday_zero_offset())
    }

    /// Returns every scheduled time from `from` to `to`, found minute by minute by the rules.
    fn instants(&self, tz: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        let mut now = from.checked_sub(SignedDuration::from_hours(30)).unwrap();
        let mut before = tz.to_datetime(now.checked_sub(SignedDuration::from_mins(1)).unwrap());
        while now <= to {
            let shown = tz.to_datetime(now);
            let comes = if self.hours.len() == 24 {
                self.shown(shown)
            } else {
                // First the times that the clocks left out, then the times that they show, unless they have shown
                // them before.
                let left_out = before.series(1.minute()).skip(1).take_while(|time| *time < shown);
                let gap = left_out.into_iter().any(|time| self.shown(time));
                gap || (seen.insert(shown) && self.shown(shown))
            };
            if comes && now > from {
                found.push(now);
            }
            before = shown;
            now = now.checked_add(SignedDuration::from_mins(1)).unwrap();
        }
        found
    }
}

fn some_of(most: i8) -> impl Strategy<Value = BTreeSet<i8>> {
    prop_oneof![
        Just((0..=most).collect()),
        proptest::collection::btree_set(0..=most, 1..4),
        (0..=most, 1..7_usize).prop_map(move |(from, step)| (from..=most).step_by(step).collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn cron_is_what_a_walk_through_the_minutes_finds(
        (minutes, hours, weekdays) in (some_of(59), some_of(23), some_of(6)),
        zone_index in 0..ZONES.len(),
        shift in -2000_i64..2000,
    ) {
        let (name, near) = ZONES[zone_index];
        let tz = TimeZone::get(name).unwrap();
        let fields = Fields { minutes, hours, weekdays };
        let near: Timestamp = near.parse().unwrap();
        let from = near.checked_add(SignedDuration::from_mins(shift)).unwrap();
        let to = from.checked_add(SignedDuration::from_hours(60)).unwrap();
        let job = job(&fields.text(), name);
        let until = zone::since_epoch(to).unwrap();
        let first = job.next_after(zone::since_epoch(from).unwrap());
        let found: Vec<Timestamp> = std::iter::successors(first, |last| job.next_after(*last))
            .take_while(|scheduled_at| *scheduled_at <= until)
            .map(zone::timestamp)
            .collect();
        prop_assert_eq!(found, fields.instants(&tz, from, to), "{} in {}", fields.text(), name);
    }

    #[test]
    fn instants_ascend_and_do_not_depend_on_where_one_asks(
        (seconds, minutes, hours) in (some_of(59), some_of(59), some_of(23)),
        zone_index in 0..ZONES.len(),
        after in 1_500_000_000_u64..1_800_000_000,
        between in 0.0..1.0_f64,
    ) {
        let (name, _) = ZONES[zone_index];
        let fields = Fields { minutes, hours, weekdays: (0..=6).collect() };
        let list: Vec<_> = seconds.iter().map(ToString::to_string).collect();
        let job = job(&format!("{} {}", list.join(","), fields.text()), name);
        let mut last = Duration::from_secs(after);
        for _ in 0..50 {
            let next = job.next_after(last).unwrap();
            prop_assert!(next > last);
            // The result is the same from any instant between the two.
            prop_assert_eq!(job.next_after(last + next.saturating_sub(last).mul_f64(between * 0.999)), Some(next));
            last = next;
        }
    }
}

/// The times in a gap stand for the instant of the jump, in every zone.
#[test]
fn each_gap_of_every_zone_has_one_instant() {
    let from: Timestamp = "1971-01-01T00:00:00Z".parse().unwrap();
    let to: Timestamp = "2040-01-01T00:00:00Z".parse().unwrap();
    let mut gaps = 0;
    for name in jiff::tz::db().available() {
        let tz = TimeZone::get(name.as_str()).unwrap();
        for moved in tz.following(from).take_while(|moved| moved.timestamp() < to) {
            let just_before = moved.timestamp().checked_sub(SignedDuration::from_secs(1)).unwrap();
            let shown = tz.to_datetime(just_before).checked_add(SignedDuration::from_secs(1)).unwrap();
            let jump = moved.offset().duration_since(tz.to_offset(just_before));
            if jump > SignedDuration::ZERO {
                gaps += 1;
                for part in [SignedDuration::ZERO, jump / 2, jump - SignedDuration::from_secs(1)] {
                    let missing = shown.checked_add(part).unwrap();
                    assert_eq!(
                        zone::to_timestamp(&tz, missing),
                        Some(moved.timestamp()),
                        "{missing} in {name:?}"
                    );
                }
            } else if jump < SignedDuration::ZERO {
                let twice = shown.checked_add(jump / 2).unwrap();
                let first = zone::to_timestamp(&tz, twice).unwrap();
                assert!(first < moved.timestamp(), "{twice} in {name:?}");
                assert_eq!(tz.to_datetime(first), twice);
            }
        }
    }
    assert!(gaps > 5000, "{gaps}");
}
