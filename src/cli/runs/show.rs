//! How broadcasts are shown.

use std::io::Write;
use std::time::Duration;

use crate::ledger::{Broadcast, RecalledCounts, State};

use super::super::next::Next;

/// A line on standard output.
pub(super) fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// A line for each.
pub(super) fn list(broadcasts: &[Broadcast]) -> anyhow::Result<()> {
    if broadcasts.is_empty() {
        return say("no broadcasts");
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:>6}  {:<10} {:<28} {:>9} {:>9} {:>9} {:>9}  made",
        "number", "state", "name/run", "total", "sent", "rejected", "in doubt"
    )?;
    for broadcast in broadcasts {
        let counts = &broadcast.counts;
        let name = format!("{}/{}", broadcast.name, broadcast.run);
        writeln!(
            out,
            "{:>6}  {:<10} {:<28} {:>9} {:>9} {:>9} {:>9}  {}",
            broadcast.id.0,
            broadcast.state_name(),
            name,
            counts.total(),
            counts.sent,
            counts.rejected,
            counts.in_doubt,
            instant(broadcast.created_at),
        )?;
    }
    Ok(())
}

/// All of one, with the command that is next.
pub(super) fn one(broadcast: &Broadcast, recalled: RecalledCounts, next: &Next) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let number = broadcast.id.0;
    writeln!(out, "{}/{} (number {number}) is {}", broadcast.name, broadcast.run, broadcast.state_name())?;
    if let Some(note) = &broadcast.wish_note {
        writeln!(out, "  because: {note}")?;
    }
    match &broadcast.driver {
        Some(driver) => writeln!(out, "  driven by: {} (process {})", driver.owner.name, driver.owner.pid)?,
        None if !broadcast.is_over() => writeln!(out, "  driven by: nobody")?,
        None => {}
    }
    for state in State::ALL {
        let count = broadcast.counts.of(*state);
        if count > 0 {
            writeln!(out, "  {:<10} {count}", state.name())?;
        }
    }
    for (count, what) in
        [(recalled.done, "were recalled"), (recalled.refused, "the service would not recall")]
    {
        if count > 0 {
            writeln!(out, "  {count} {what}")?;
        }
    }
    if broadcast.duplicates > 0 {
        writeln!(out, "  {} duplicates were dropped", broadcast.duplicates)?;
    }
    writeln!(out, "  largest message: {} bytes", broadcast.largest_message_bytes)?;
    writeln!(out, "  made {}", instant(broadcast.created_at))?;
    if let Some(at) = broadcast.finished_at {
        writeln!(out, "  ended {}", instant(at))?;
    }
    let driven = broadcast.driver.is_some();
    for command in
        next.commands(&broadcast.name, &broadcast.run, &broadcast.counts, broadcast.is_over() || driven)
    {
        writeln!(out, "next: {command}")?;
    }
    Ok(())
}

/// An instant as people read it, in UTC.
pub(in crate::cli) fn instant(at: Duration) -> String {
    i64::try_from(at.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| "?".to_owned(), |at| at.to_string())
}
