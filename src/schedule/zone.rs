//! Time zones, and the one place where a time of the day becomes an instant.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::problem::DeclarationError;

/// A time zone by its IANA name or its offset; UTC where there is none.
pub(super) fn by_name(name: Option<&str>) -> Result<TimeZone, DeclarationError> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    crate::zones::zone(name).map_err(|why| DeclarationError::new("tz", why))
}

/// The instant at which the clocks of a zone show a time. One that they leave out in spring stands for the first
/// instant after the gap; of one that they show twice in autumn the first counts. None outside the years of
/// [`Timestamp`].
pub(super) fn instant(zone: &TimeZone, shown: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(shown);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(shown).ok()
        }
        AmbiguousOffset::Gap { before, .. } => {
            // By the clocks as they were, it would have come at or after the instant at which they were moved.
            let without = before.to_timestamp(shown).ok()?;
            let soon = without.checked_add(SignedDuration::from_secs(1)).ok()?;
            zone.preceding(soon).next().map(|moved| moved.timestamp())
        }
    }
}

/// An instant as jiff has it; the last one of all where it is later.
pub(super) fn timestamp(instant: Duration) -> Timestamp {
    SignedDuration::try_from(instant)
        .ok()
        .and_then(|since| Timestamp::from_duration(since).ok())
        .unwrap_or(Timestamp::MAX)
}

/// An instant as the house has it; none before 1970.
pub(super) fn since_epoch(timestamp: Timestamp) -> Option<Duration> {
    Duration::try_from(timestamp.as_duration()).ok()
}
