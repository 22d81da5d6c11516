//! Time zones, and the only conversion of a time of the day into an instant.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::problem::DeclarationError;

/// Returns a time zone by its IANA name or its offset. None means UTC.
pub(super) fn by_name(name: Option<&str>) -> Result<TimeZone, DeclarationError> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    crate::zones::zone(name).map_err(|why| DeclarationError::new("tz", why))
}

/// Returns the instant at which the clocks of a zone show a time. A time that they skip in spring becomes the first
/// instant after the gap. A time that they show twice in autumn becomes the first of its two instants. Returns None
/// outside the years of [`Timestamp`].
pub(super) fn to_timestamp(zone: &TimeZone, shown: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(shown);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(shown).ok()
        }
        AmbiguousOffset::Gap { before, .. } => {
            // By the clocks before the change, it would have come at or after the instant of the change.
            let without = before.to_timestamp(shown).ok()?;
            let soon = without.checked_add(SignedDuration::from_secs(1)).ok()?;
            zone.preceding(soon).next().map(|moved| moved.timestamp())
        }
    }
}

/// Converts to a jiff timestamp. A later time than jiff supports becomes its last one.
pub(super) fn timestamp(unix_time: Duration) -> Timestamp {
    SignedDuration::try_from(unix_time)
        .ok()
        .and_then(|since| Timestamp::from_duration(since).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Converts from a jiff timestamp. Returns None before 1970.
pub(super) fn since_epoch(timestamp: Timestamp) -> Option<Duration> {
    Duration::try_from(timestamp.as_duration()).ok()
}
