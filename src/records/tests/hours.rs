//! The hours of history files.

use crate::core::HistoryZone;
use crate::records::{Hour, hours_of};

/// 2026-11-29T15:59:59.999Z
const BEFORE_MIDNIGHT_IN_BEIJING: i64 = 1_795_967_999_999;

#[test]
fn an_hour_is_named_by_the_zone_of_its_cluster() {
    let hour = Hour::of(BEFORE_MIDNIGHT_IN_BEIJING);
    assert_eq!(hour.name(HistoryZone::Utc), "2026112915");
    assert_eq!(hour.name(HistoryZone::Shanghai), "2026112923");
    let next = Hour::of(BEFORE_MIDNIGHT_IN_BEIJING + 1);
    assert_eq!(next.name(HistoryZone::Utc), "2026112916");
    assert_eq!(next.name(HistoryZone::Shanghai), "2026113000");
    assert_eq!(hour.end_ms(), next.start_ms());
    assert_eq!(next.complete_ms(), next.start_ms() + 25 * 60 * 60 * 1000);
    for (zone, word) in [(HistoryZone::Utc, "\"UTC\""), (HistoryZone::Shanghai, "\"Asia/Shanghai\"")] {
        assert_eq!(serde_json::to_string(&zone).unwrap(), word);
        assert_eq!(serde_json::from_str::<HistoryZone>(word).unwrap(), zone);
    }
    for extreme in [i64::MIN, -1, i64::MAX] {
        assert_eq!(Hour::of(extreme).name(HistoryZone::Shanghai).len(), 10);
    }
}

#[test]
fn a_window_over_the_end_of_an_hour_has_both_hours() {
    let hour = Hour::of(BEFORE_MIDNIGHT_IN_BEIJING);
    let next = Hour::of(hour.end_ms());
    let hours = |from: i64, until: i64| hours_of(from, until).collect::<Vec<_>>();
    let end = hour.end_ms();
    assert_eq!(hours(end - 100_000, end - 1), [hour]);
    assert_eq!(hours(end - 100_000, end), [hour, next]);
    assert_eq!(hours(end + 30_000, end + 90_000), [hour, next], "the service's clock may be behind");
    assert_eq!(hours(end + 60_000, end + 90_000), [next]);
    assert_eq!(hours(end + 90_000, end - 90_000), [next], "never none");
}
