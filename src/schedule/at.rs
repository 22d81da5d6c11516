//! `at`: one date and time in text form.

use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::zone;

const RIGHT: &str = "write it like \"2026-12-24 18:00\" (in the job's `tz`) or \"2026-12-24T18:00:00+08:00\"";

/// Reads a date and a time, with an offset or a zone in brackets. Without either, the time is in `zone`.
pub(super) fn parse(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let wrong = |why: &str| format!("`{}` {why}; {RIGHT}", text.escape_debug());
    let unread = |error: jiff::Error| wrong(&format!("is not a date and time ({error})"));
    let pieces = Pieces::parse(text.trim()).map_err(unread)?;
    let Some(time) = pieces.time() else {
        return Err(wrong("has no time of day"));
    };
    let shown = pieces.date().to_datetime(time);
    let annotated = pieces.to_time_zone().map_err(unread)?;
    match (pieces.offset(), annotated) {
        // The offset and the zone must agree. jiff refuses the text if they do not.
        (Some(_), Some(_)) => Ok(text.trim().parse::<Zoned>().map_err(unread)?.timestamp()),
        (Some(PiecesOffset::Numeric(offset)), None) => offset.offset().to_timestamp(shown).map_err(unread),
        (Some(_), None) => TimeZone::UTC.to_timestamp(shown).map_err(unread),
        (None, Some(own)) => in_zone(&own, shown).ok_or_else(|| wrong("is out of range")),
        (None, None) => in_zone(zone, shown).ok_or_else(|| wrong("is out of range")),
    }
}

fn in_zone(zone: &TimeZone, shown: jiff::civil::DateTime) -> Option<Timestamp> {
    zone::to_timestamp(zone, shown)
}
