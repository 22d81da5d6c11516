//! The hours of history files, and which of them a send in doubt needs.

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::core::HistoryZone;

use super::CLOCK_SKEW_MS;
use super::fields::MAX_TIME_MS;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Milliseconds after the end of an hour when its history file is complete (the service: 24 hours at the latest).
pub const COMPLETE_AFTER_MS: i64 = 24 * HOUR_MS;

/// Milliseconds for which the service keeps a history file (the service: the last 3 days).
pub const KEPT_MS: i64 = 3 * 24 * HOUR_MS;

/// An hour of the service's history. Both zones begin their hours at the same moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour {
    start_ms: i64,
}

impl Hour {
    /// Returns the hour of a time in milliseconds since 1970-01-01T00:00:00Z. A time before 1970 or after the year 9998
    /// counts as the nearest one within.
    pub fn of(at_ms: i64) -> Self {
        const LAST_MS: i64 = MAX_TIME_MS - 366 * 24 * HOUR_MS;
        let at_ms = at_ms.clamp(0, LAST_MS);
        Self { start_ms: at_ms - at_ms % HOUR_MS }
    }

    /// Returns the first millisecond of the hour, since 1970-01-01T00:00:00Z.
    pub const fn start_ms(self) -> i64 {
        self.start_ms
    }

    /// Returns the first millisecond after the hour, since 1970-01-01T00:00:00Z.
    pub const fn end_ms(self) -> i64 {
        self.start_ms + HOUR_MS
    }

    /// Returns when the hour's file is complete, in milliseconds since 1970-01-01T00:00:00Z.
    pub const fn complete_ms(self) -> i64 {
        self.end_ms() + COMPLETE_AFTER_MS
    }

    /// Returns the `{hour}` of `GET /chatmessages/{hour}`, as in `2026112919`.
    pub fn name(self, zone: HistoryZone) -> String {
        let offset = match zone {
            HistoryZone::Shanghai => Offset::constant(8),
            HistoryZone::Utc => Offset::UTC,
        };
        let start = Timestamp::from_millisecond(self.start_ms).unwrap_or_default();
        offset.to_datetime(start).strftime("%Y%m%d%H").to_string()
    }
}

/// Returns the hours whose history files can hold the record of a send, in order: from [`CLOCK_SKEW_MS`] before its
/// intent to the end of its window. A window over the end of an hour has two.
pub fn hours_of(from_ms: i64, until_ms: i64) -> impl DoubleEndedIterator<Item = Hour> {
    let first = Hour::of(from_ms.saturating_sub(CLOCK_SKEW_MS)).start_ms / HOUR_MS;
    let last = Hour::of(until_ms).start_ms / HOUR_MS;
    (first..=last.max(first)).map(|hour| Hour { start_ms: hour * HOUR_MS })
}
