//! Prints broadcasts.

use std::io::Write;
use std::time::Duration;

use crate::ledger::{Broadcast, BroadcastStage, DeliveryState, RecalledCounts};

use crate::control::{BroadcastView, ChangesView, WaitKind, rate_text, span};
use crate::message::counted_as;

use super::super::next::FollowUpCommands;

/// Prints a line to standard output.
pub(super) fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Prints one line per broadcast.
pub(super) fn list(broadcasts: &[Broadcast], next: &FollowUpCommands) -> anyhow::Result<()> {
    if broadcasts.is_empty() {
        return say("no broadcasts");
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:>6}  {:<11} {:<28} {:>9} {:>9} {:>9} {:>9}  made",
        "number", "state", "name/run", "total", "sent", "rejected", "in doubt"
    )?;
    for broadcast in broadcasts {
        let counts = &broadcast.counts;
        writeln!(
            out,
            "{:>6}  {:<11} {:<28} {:>9} {:>9} {:>9} {:>9}  {}",
            broadcast.id.0,
            broadcast.status(),
            broadcast.full_name(),
            counts.total(),
            counts.sent,
            counts.rejected,
            counts.in_doubt,
            instant(broadcast.created_at),
        )?;
    }
    for broadcast in broadcasts.iter().filter(|broadcast| broadcast.is_interrupted()) {
        let (name, run) = (&broadcast.name, &broadcast.run);
        writeln!(out, "{name}/{run} is interrupted: {}", way_on(broadcast, next))?;
    }
    Ok(())
}

/// How to continue an interrupted broadcast.
fn way_on(broadcast: &Broadcast, next: &FollowUpCommands) -> String {
    if broadcast.stage == BroadcastStage::Building {
        return "no process builds its plan, and nothing of it was sent; run its script again".to_owned();
    }
    let command = next.command("resume", &broadcast.name, &broadcast.run);
    format!("no process drives it; `{command}` lets it go on")
}

/// Prints one broadcast in full, with the next command.
pub(super) fn one(
    broadcast: &Broadcast,
    view: &BroadcastView,
    recalled: RecalledCounts,
    next: &FollowUpCommands,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let number = broadcast.id.0;
    writeln!(out, "{}/{} (number {number}) is {}", broadcast.name, broadcast.run, broadcast.status())?;
    if let Some(note) = &broadcast.command_note {
        writeln!(out, "  because: {note}")?;
    }
    if !broadcast.is_held_for_changes() {
        for line in view.changes.iter().flat_map(ChangesView::lines) {
            writeln!(out, "  {line}")?;
        }
    }
    match &broadcast.driver {
        Some(driver) => writeln!(out, "  driven by: {} (process {})", driver.owner.name, driver.owner.pid)?,
        None if broadcast.is_interrupted() => writeln!(out, "  {}", way_on(broadcast, next))?,
        None => {}
    }
    standing(&mut out, view)?;
    for state in DeliveryState::ALL {
        let count = broadcast.counts.of(state);
        if count > 0 {
            let left = state == DeliveryState::Sending && broadcast.driver.is_none();
            let note = if left { " (in flight when its process ended; no process sends now)" } else { "" };
            writeln!(out, "  {state:<10} {count}{note}")?;
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
        let dropped = counted_as(broadcast.duplicates, "duplicate was", "duplicates were");
        writeln!(out, "  {dropped} dropped")?;
    }
    writeln!(out, "  largest message: {} bytes", broadcast.largest_message_bytes)?;
    writeln!(out, "  made {}", instant(broadcast.created_at))?;
    if let Some(at) = broadcast.finished_at {
        writeln!(out, "  ended {}", instant(at))?;
    }
    let driven = broadcast.driver.is_some();
    if view.changes.is_some() {
        let command = next.command("resume", &broadcast.name, &broadcast.run);
        writeln!(out, "next: {command} --continue sends the rest as it is stored")?;
        writeln!(
            out,
            "next: {command} --replan sends the rest by the new inputs; so does `mooncast run FILE --replan`"
        )?;
    }
    for command in
        next.commands(&broadcast.name, &broadcast.run, &broadcast.counts, broadcast.is_over() || driven)
    {
        writeln!(out, "next: {command}")?;
    }
    Ok(())
}

/// Prints the rate, the expected end, and the reason for waiting.
fn standing(out: &mut impl Write, view: &BroadcastView) -> anyhow::Result<()> {
    if let Some(rate) = view.rate {
        let most = view.most.map_or_else(String::new, |most| format!(" of {}", rate_text(most)));
        writeln!(out, "  rate: {}{most} a second", rate_text(rate))?;
    }
    if let (Some(end), Some(left)) = (&view.expected_end, view.seconds_left) {
        writeln!(out, "  expected end: {}, in {}", local_text(end), span(left))?;
    }
    // For an interrupted broadcast, the text about how to continue it says this already.
    if let Some(wait) = view.waits_for.as_ref().filter(|wait| wait.kind != WaitKind::Driver) {
        writeln!(out, "  now: {}", wait.sentence(&local_text))?;
    }
    Ok(())
}

/// A time as text in this command's time zone (`TZ`), with the offset from UTC.
pub(in crate::cli) fn instant(at: Duration) -> String {
    i64::try_from(at.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| "?".to_owned(), local)
}

/// Converts a time in text form likewise. Text that is not a time is returned unchanged.
pub(in crate::cli) fn local_text(at: &str) -> String {
    at.parse().map_or_else(|_| at.to_owned(), local)
}

fn local(at: jiff::Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}
