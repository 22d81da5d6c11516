//! Prints broadcasts.

use std::io::Write;
use std::time::Duration;

use crate::core::HistoryResult;
use crate::ledger::{Broadcast, BroadcastStage, RecalledCounts, RecipientState};

use crate::control::{
    ApprovalView, BroadcastView, ChangesView, DoubtsView, HistoryFileView, OutlookView, ReadersView,
    WaitKind, rate_text, span,
};
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
        "{:>6}  {:<17} {:<28} {:>9} {:>9} {:>9} {:>9}  made",
        "number", "state", "name/run", "total", "sent", "rejected", "in doubt"
    )?;
    for broadcast in broadcasts {
        let counts = &broadcast.counts;
        writeln!(
            out,
            "{:>6}  {:<17} {:<28} {:>9} {:>9} {:>9} {:>9}  {}",
            broadcast.id.0,
            broadcast.status(),
            broadcast.full_name(),
            counts.total(),
            counts.sent,
            counts.rejected,
            counts.in_doubt,
            format_time(broadcast.created_at),
        )?;
    }
    for broadcast in broadcasts.iter().filter(|broadcast| broadcast.is_interrupted()) {
        let (name, run) = (&broadcast.name, &broadcast.run);
        writeln!(out, "{name}/{run} is interrupted: {}", how_to_continue(broadcast, next))?;
    }
    Ok(())
}

/// The explanation for a broadcast whose process died while it made the plan.
pub(super) const INCOMPLETE: &str = "its plan is incomplete and nothing was sent; run its script again";

/// How to continue an interrupted broadcast.
fn how_to_continue(broadcast: &Broadcast, next: &FollowUpCommands) -> String {
    if broadcast.stage == BroadcastStage::Building {
        return INCOMPLETE.to_owned();
    }
    let command = next.command("resume", &broadcast.name, &broadcast.run);
    format!("no process sends it; to continue it: `{command}`")
}

/// Prints one broadcast in full, with the next command.
pub(super) fn one(
    broadcast: &Broadcast,
    view: &BroadcastView,
    recalled: RecalledCounts,
    readers: Option<&ReadersView>,
    outlook: Option<&OutlookView>,
    next: &FollowUpCommands,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    origin(&mut out, broadcast, view)?;
    if let Some(approval) = &view.approval {
        approved(&mut out, broadcast, approval)?;
    }
    if let Some(outlook) = outlook {
        looked_at(&mut out, outlook)?;
    }
    match &broadcast.driver {
        Some(driver) => {
            writeln!(out, "  sent by: {} (process {})", driver.instance.name, driver.instance.pid)?;
        }
        None if broadcast.is_interrupted() => writeln!(out, "  {}", how_to_continue(broadcast, next))?,
        None => {}
    }
    standing(&mut out, view)?;
    recipients(&mut out, broadcast)?;
    doubts(&mut out, view)?;
    if let Some(verification) = &view.verification {
        writeln!(out, "  verified {}: {}", local_text(&verification.at), verification.text)?;
    }
    recalls(&mut out, recalled)?;
    if let Some(readers) = readers {
        read_receipts(&mut out, readers, broadcast.counts.sent)?;
    }
    plan(&mut out, broadcast)?;
    next_commands(&mut out, broadcast, view, next)
}

/// Prints which broadcast it is, what it belongs to, and why it is in its state.
fn origin(out: &mut impl Write, broadcast: &Broadcast, view: &BroadcastView) -> anyhow::Result<()> {
    let number = broadcast.id.0;
    writeln!(out, "{}/{} (number {number}) is {}", broadcast.name, broadcast.run, broadcast.status())?;
    if let Some(corrected) = &view.corrects {
        writeln!(out, "  corrects {corrected}")?;
    }
    for run in &view.job_runs {
        writeln!(out, "  job run: {run}")?;
    }
    if let Some(note) = &broadcast.command_note {
        writeln!(out, "  because: {note}")?;
    }
    if !broadcast.is_held_for_changes() {
        for line in view.changes.iter().flat_map(ChangesView::lines) {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

/// Prints how many recipients are in each state.
fn recipients(out: &mut impl Write, broadcast: &Broadcast) -> anyhow::Result<()> {
    for state in RecipientState::ALL {
        let count = broadcast.counts.of(state);
        if count > 0 {
            let left = state == RecipientState::Sending && broadcast.driver.is_none();
            let note = if left { " (in flight when the sending process ended)" } else { "" };
            writeln!(out, "  {state:<10} {count}{note}")?;
        }
    }
    Ok(())
}

/// Prints how many messages were recalled.
fn recalls(out: &mut impl Write, recalled: RecalledCounts) -> anyhow::Result<()> {
    for (count, what) in
        [(recalled.done, "were recalled"), (recalled.refused, "the service would not recall")]
    {
        if count > 0 {
            writeln!(out, "  {count} {what}")?;
        }
    }
    Ok(())
}

/// Prints how many of the `sent` messages were read.
fn read_receipts(out: &mut impl Write, view: &ReadersView, sent: u64) -> anyhow::Result<()> {
    let ReadersView { readers, read, over_time, .. } = view;
    let readers = counted_as(*readers, "reader", "readers");
    writeln!(out, "  {readers}; {read} of {sent} messages ({} %) were read", view.percent())?;
    for within in over_time {
        let readers = counted_as(within.readers, "reader", "readers");
        let (hours, percent) = (within.hours, within.percent());
        writeln!(out, "    within {}: {readers}, {percent} % read", span(hours as f64 * 3600.0))?;
    }
    Ok(())
}

/// Prints what the plan left out, the size of its largest message, and when it was made and sent.
fn plan(out: &mut impl Write, broadcast: &Broadcast) -> anyhow::Result<()> {
    if broadcast.duplicates > 0 {
        let dropped = counted_as(broadcast.duplicates, "duplicate was", "duplicates were");
        writeln!(out, "  {dropped} dropped")?;
    }
    writeln!(out, "  largest message: {} bytes", broadcast.largest_message_bytes)?;
    writeln!(out, "  made {}", format_time(broadcast.created_at))?;
    if let Some(at) = broadcast.finished_at {
        writeln!(out, "  ended {}", format_time(at))?;
    }
    Ok(())
}

/// Prints the commands that can follow.
fn next_commands(
    out: &mut impl Write,
    broadcast: &Broadcast,
    view: &BroadcastView,
    next: &FollowUpCommands,
) -> anyhow::Result<()> {
    if view.changes.is_some() {
        let command = next.command("resume", &broadcast.name, &broadcast.run);
        writeln!(out, "next: {command} --continue sends the rest by the stored plan")?;
        writeln!(
            out,
            "next: {command} --replan sends the rest by a new plan; so does `mooncast run FILE --replan`"
        )?;
    }
    let awaits = broadcast.awaits_approval();
    if awaits {
        let command = next.command("approve", &broadcast.name, &broadcast.run);
        writeln!(
            out,
            "next: {command} (or `reject` instead of `approve`), by a person who neither began the broadcast nor changed its plan"
        )?;
    }
    let driven = broadcast.driver.is_some();
    let resumes = !(broadcast.is_over() || driven || awaits || broadcast.stage == BroadcastStage::Building);
    for command in next.commands(&broadcast.name, &broadcast.run, &broadcast.counts, !resumes) {
        writeln!(out, "next: {command}")?;
    }
    Ok(())
}

/// Prints the approval of a broadcast, or how it is given.
fn approved(out: &mut impl Write, broadcast: &Broadcast, approval: &ApprovalView) -> anyhow::Result<()> {
    if approval.awaited {
        writeln!(out, "  awaits approval: {}", broadcast.approval_wanted())?;
    }
    if let (Some(by), Some(at)) = (&approval.approved_by, &approval.approved_at) {
        let note = approval.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
        writeln!(out, "  approved by {by} at {}{note}", local_text(at))?;
    }
    Ok(writeln!(out, "  approval of: {}", approval.hash)?)
}

/// Prints what an approver looks at.
fn looked_at(out: &mut impl Write, outlook: &OutlookView) -> anyhow::Result<()> {
    for (what, recipients) in [("first", &outlook.first), ("last", &outlook.last)] {
        if !recipients.is_empty() {
            writeln!(out, "  {what} recipients: {}", recipients.join(", "))?;
        }
    }
    for (what, count) in
        [("on the suppression list now", outlook.suppressed), ("at their cap now", outlook.capped)]
    {
        if count > 0 {
            writeln!(out, "  {what}: {count}")?;
        }
    }
    if let Some(number) = outlook.rehearsal {
        writeln!(out, "  rehearsed before: on the page, /rehearsals/{number}")?;
    }
    writeln!(out, "  sent to its test groups: {}", if outlook.tested { "yes" } else { "no" })?;
    let looked_up = match &outlook.targets {
        Some(targets) => targets.groups.to_string(),
        None if outlook.preflight => "asked for, but no result is stored".to_owned(),
        None => "no".to_owned(),
    };
    writeln!(out, "  groups looked up before: {looked_up}")?;
    for warning in outlook.targets.iter().flat_map(|targets| &targets.warnings) {
        let named = warning.first.join(", ");
        let more = if warning.total > warning.first.len() as u64 { ", …" } else { "" };
        writeln!(out, "    {} ({}): {named}{more}", warning.kind.phrase(), warning.total)?;
    }
    for (name, value) in &outlook.settings {
        writeln!(out, "  {name}: {value}")?;
    }
    for sample in &outlook.samples {
        let text =
            sample.text.as_deref().map_or_else(|| sample.r#type.clone(), |text| Some(format!("{text:?}")));
        writeln!(out, "  message to {}: {}", sample.recipient_id, text.unwrap_or_default())?;
    }
    Ok(())
}

/// Prints what the recipients in doubt wait for.
fn doubts(out: &mut impl Write, view: &BroadcastView) -> anyhow::Result<()> {
    for line in view.doubts.iter().flat_map(doubt_lines) {
        writeln!(out, "  in doubt: {line}")?;
    }
    for file in view.doubts.iter().flat_map(|doubts| &doubts.files) {
        writeln!(out, "  {}", file_line(file))?;
    }
    Ok(())
}

/// Returns the line about a history file: the result of the last request for it, and the time of the next.
fn file_line(file: &HistoryFileView) -> String {
    let asked = match (&file.asked_at, file.result.as_deref().and_then(HistoryResult::from_name)) {
        (Some(at), Some(result)) => {
            let result = match result {
                HistoryResult::Asked => "the process that asked has ended since",
                HistoryResult::Whole => "read, and not complete yet",
                HistoryResult::NoFile => "the service has no such file, which proves nothing",
                HistoryResult::Failed => "the service or the file could not be reached",
                HistoryResult::Broken => {
                    "the file broke off or has a bad line, so it cannot show that a message is missing"
                }
                HistoryResult::OtherHours => {
                    "the file has records of other hours; check `history_zone` in mooncast.toml"
                }
                HistoryResult::Empty => {
                    "the file is empty, which proves nothing until another file has shown the time zone or mooncast.toml sets `history_zone`"
                }
            };
            format!("asked for at {}: {result}", local_text(at))
        }
        _ => "not asked for yet".to_owned(),
    };
    let next = file.next_at.as_deref().map_or_else(
        || "it is not asked for again".to_owned(),
        |at| format!("next at {} by a daemon or the run", local_text(at)),
    );
    format!("history of the hour from {}: {asked}; {next}", local_text(&file.hour))
}

/// What messages in doubt wait for.
pub(super) fn doubt_lines(doubts: &DoubtsView) -> Vec<String> {
    let until =
        doubts.until.as_deref().map_or_else(String::new, |until| format!(", until {}", local_text(until)));
    let lines = [
        (doubts.waiting, format!("may still be settled by the service's records{until}")),
        (doubts.absent, "were not accepted by the service, as its history proves".to_owned()),
        (doubts.open, "are settled by no record: decide yourself".to_owned()),
    ];
    lines.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
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
pub(in crate::cli) fn format_time(at: Duration) -> String {
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
