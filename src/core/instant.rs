//! Instants, as durations since 1970-01-01T00:00:00Z.

use std::time::Duration;

/// An instant as UTC text with a precision of seconds.
pub fn utc(at: Duration) -> String {
    i64::try_from(at.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| "?".to_owned(), |at| at.to_string())
}

/// The instant of a count of milliseconds since 1970. A negative count gives 1970.
pub fn unix_time(ms: i64) -> Duration {
    Duration::from_millis(ms.max(0).unsigned_abs())
}
