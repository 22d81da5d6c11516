//! The report as text.

use std::io::{self, Write};

use crate::cli::runs::local_text;
use crate::control::{amount, span};
use crate::delivery::EditPreview;

use super::report::{BroadcastReport, RehearsalReport, SampleReport};

/// The maximum number of problems that are shown. `--json` has more.
const PROBLEMS: usize = 20;

/// The maximum number of other items that are listed of each kind.
const LISTED: usize = 20;

/// The maximum number of characters of a message that are shown.
const LETTERS: usize = 160;

pub(super) fn write(out: &mut impl Write, report: &RehearsalReport) -> io::Result<()> {
    let (totals, duration) = (&report.totals, &report.duration);
    let env = report.env.as_ref().map(|env| format!(" in the environment {env}")).unwrap_or_default();
    writeln!(out, "Rehearsed {}{env}: nothing was sent.", report.script)?;
    writeln!(out)?;
    let mut line = |name: &str, text: String| writeln!(out, "  {name:<14}{text}");
    line("messages", count(totals.messages, "message", &format!(" in {}", plural(totals.calls, "call"))))?;
    line(
        "broadcasts",
        format!("{} to {}", amount(totals.broadcasts as u64), plural(totals.recipients, "recipient")),
    )?;
    line("single sends", amount(totals.single_sends))?;
    if totals.messages > 0 {
        for app in report.apps.iter().filter(|app| app.uses_quotas()) {
            let share = if app.share < 1.0 {
                format!("; {} at the share of {}", time(app.seconds_at_share), app.share)
            } else {
                String::new()
            };
            let rate = rate(app);
            let of = if report.apps.len() > 1 { format!(" ({})", app.app) } else { String::new() };
            line("at the quota", format!("{} at {rate}{share}{of}", time(app.seconds_at_quota)))?;
        }
        line("as rehearsed", format!("{} from the first call to the last", time(duration.rehearsed)))?;
        line("first", duration.first.clone().unwrap_or_default())?;
        line("last", duration.last.clone().unwrap_or_default())?;
        let largest = &report.largest_message;
        line("largest", format!("{} of {} bytes", amount(largest.bytes), amount(largest.limit as u64)))?;
    }
    for broadcast in &report.broadcasts {
        write_broadcast(out, broadcast)?;
    }
    if !report.single_sends.samples.is_empty() {
        writeln!(out, "\nSingle sends, for example")?;
        samples(out, &report.single_sends.samples)?;
    }
    listed(out, "Announcements, which cannot be recalled", &report.announcements, |one| {
        format!(
            "to {}: used {} of {} today (UTC) before it; another one is possible at {}",
            one.to.users(),
            one.used - 1,
            one.per_day,
            one.next_at
        )
    })?;
    problems(out, report)?;
    listed(out, "Files that would be uploaded", &report.uploads, |upload| {
        format!("{}, {} bytes", upload.filename, amount(upload.bytes))
    })?;
    listed(out, "Files that would be changed", &report.files, |change| match change.bytes {
        Some(bytes) => format!("{} {}, {} bytes", change.change, change.path, amount(bytes)),
        None => format!("{} {}", change.change, change.path),
    })?;
    listed(out, "Data that would be changed (`store`)", &report.store, |change| match &change.value {
        Some(value) => {
            format!("{} {}: {} = {}", change.change, change.of, change.key, cut(&value.to_string(), LETTERS))
        }
        None => format!("{} {}: {}", change.change, change.of, change.key),
    })?;
    listed(out, "Requests that would be made", &report.not_sent, |request| request.what.clone())?;
    if let Some(targets) = &report.targets {
        targets.write(out)?;
    }
    end(out, report)
}

/// Returns the rates of the quotas that the app's messages use.
fn rate(app: &super::report::AppReport) -> String {
    let amount = |limit: u32| amount(limit.into());
    let mut rates = Vec::new();
    match (app.group_messages, app.targeted_calls) {
        (0, 0) => {}
        (_, 0) => rates.push(format!("{} messages a second", amount(app.group_per_second))),
        (0, _) => rates.push(format!("{} targeted calls a second", amount(app.targeted_per_second))),
        _ => rates.push(format!(
            "{} messages and {} targeted calls a second",
            amount(app.group_per_second),
            amount(app.targeted_per_second)
        )),
    }
    if app.user_messages > 0 {
        rates.push(format!("{} user messages a minute", amount(app.user_messages_per_minute)));
    }
    if app.room_messages > 0 {
        rates.push(format!("{} room messages a second", amount(app.room_messages_per_second)));
    }
    if rates.is_empty() {
        rates.push(format!("{} edits a second", amount(app.edit_per_second)));
    }
    rates.join(" and ")
}

/// Writes what the broadcasts would do, and what fails.
pub(super) fn preview(out: &mut impl Write, report: &RehearsalReport) -> io::Result<()> {
    for broadcast in &report.broadcasts {
        write_broadcast(out, broadcast)?;
    }
    problems(out, report)?;
    if let Some(error) = &report.error {
        writeln!(out, "{}", error.message)?;
    }
    writeln!(out)
}

fn write_broadcast(out: &mut impl Write, broadcast: &BroadcastReport) -> io::Result<()> {
    let BroadcastReport { name, run, .. } = broadcast;
    write!(out, "\nBroadcast `{name}` (run {run}): {}", plural(broadcast.recipients, "recipient"))?;
    for (many, what) in [
        (broadcast.duplicates, "listed twice and dropped"),
        (broadcast.skipped, "skipped"),
        (broadcast.bad_lines, "invalid lines skipped"),
        (if broadcast.overrides { 0 } else { broadcast.suppressed }, "on the suppression list and skipped"),
        (broadcast.capped, "at the cap and skipped"),
    ] {
        if many > 0 {
            write!(out, ", {} {what}", amount(many))?;
        }
    }
    writeln!(out)?;
    if let Some(read) = &broadcast.read {
        writeln!(out, "  read as {read}")?;
    }
    if broadcast.overrides {
        let listed = plural(broadcast.suppressed, "recipient");
        writeln!(out, "  `override = true`: it is also sent to {listed} on the suppression list")?;
    }
    match (broadcast.state, &broadcast.first, &broadcast.last) {
        ("already", ..) => {
            writeln!(
                out,
                "  It was already sent, and nothing is left to send. To send it again, set `run` to a new value."
            )?;
        }
        ("cancelled", ..) => {
            writeln!(
                out,
                "  It was rejected or cancelled before, and nothing of it is sent. To send it, correct it and set `run` to a new value."
            )?;
        }
        (_, Some(first), Some(last)) => {
            let (first, last, took) = (local_text(first), local_text(last), time(broadcast.seconds));
            writeln!(out, "  {first} to {last}, {took}, {}", plural(broadcast.calls, "call"))?;
        }
        _ => writeln!(out, "  it has no recipients")?,
    }
    if broadcast.needs_approval {
        writeln!(out, "  It is sent only once another person has approved it (`mooncast runs approve`).")?;
    }
    if let Some(edits) = &broadcast.edits {
        return write_edits(out, edits);
    }
    samples(out, &broadcast.samples)?;
    if let Some(largest) = &broadcast.largest
        && broadcast.samples.iter().all(|sample| sample.message != largest.message)
    {
        writeln!(out, "  the largest:")?;
        samples(out, std::slice::from_ref(largest))?;
    }
    Ok(())
}

/// Writes messages before and after their edit, and how many cannot be edited.
fn write_edits(out: &mut impl Write, edits: &EditPreview) -> io::Result<()> {
    for example in &edits.examples {
        writeln!(out, "  the message to {}", example.group_id)?;
        writeln!(out, "    now:  {}", cut(&example.old, LETTERS))?;
        writeln!(out, "    then: {}", cut(&example.new, LETTERS))?;
    }
    for (why, count) in &edits.left_out {
        writeln!(out, "  not edited: {}: {why}", plural(*count, "message"))?;
    }
    Ok(())
}

fn samples(out: &mut impl Write, samples: &[SampleReport]) -> io::Result<()> {
    for sample in samples {
        let users =
            if sample.users.is_empty() { String::new() } else { format!(" for {}", sample.users.join(", ")) };
        let to = cut(&format!("{}{users}", sample.to.join(", ")), 60);
        writeln!(
            out,
            "  -> {to}: {} ({} bytes)",
            cut(&sample.message.to_string(), LETTERS),
            amount(sample.bytes as u64)
        )?;
    }
    Ok(())
}

fn problems(out: &mut impl Write, report: &RehearsalReport) -> io::Result<()> {
    let problems = &report.problems;
    if problems.total == 0 {
        return Ok(());
    }
    writeln!(
        out,
        "\n{} in {}; a real run stops at the first",
        plural(problems.total, "problem"),
        plural(problems.messages, "message")
    )?;
    for problem in problems.listed.iter().take(PROBLEMS) {
        let place = if problem.place.is_empty() { &report.script } else { &problem.place };
        let broadcast =
            problem.broadcast.as_ref().map_or_else(String::new, |name| format!("broadcast `{name}`: "));
        // A problem that the host found names the recipient already.
        let recipient = if problem.recipient.is_empty() || problem.message.contains(&problem.recipient) {
            String::new()
        } else {
            format!("{}: ", problem.recipient)
        };
        writeln!(out, "  {place}: {broadcast}{recipient}{}", problem.message)?;
    }
    let shown = problems.listed.len().min(PROBLEMS) as u64;
    if problems.total > shown {
        writeln!(out, "  and {} more", amount(problems.total - shown))?;
    }
    Ok(())
}

fn listed<T>(out: &mut impl Write, title: &str, items: &[T], show: impl Fn(&T) -> String) -> io::Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    for item in items.iter().take(LISTED) {
        writeln!(out, "  {}", show(item))?;
    }
    if items.len() > LISTED {
        writeln!(out, "  and {} more", amount((items.len() - LISTED) as u64))?;
    }
    Ok(())
}

fn end(out: &mut impl Write, report: &RehearsalReport) -> io::Result<()> {
    writeln!(out)?;
    if let Some(error) = &report.error {
        writeln!(out, "The script failed: {}", error.message)?;
        for frame in &error.traceback {
            writeln!(out, "    {frame}")?;
        }
        return writeln!(out, "The report above is what it did until then.");
    }
    if report.outcome == "interrupted" {
        return writeln!(out, "The rehearsal was interrupted; the report above is what it did until then.");
    }
    match &report.command {
        Some(_) if report.totals.messages == 0 && report.not_sent.is_empty() => {
            writeln!(out, "The script sends nothing.")
        }
        Some(command) if report.totals.messages == 0 => {
            writeln!(out, "The script sends no messages. To run exactly this:\n  {command}")
        }
        Some(command) => {
            writeln!(out, "To send exactly this:\n  {command}")
        }
        None => {
            writeln!(out, "Not all messages would be delivered; fix the problems above and rehearse again.")
        }
    }
}

/// `720,000 messages in 720,000 calls`, or `none`.
fn count(many: u64, what: &str, more: &str) -> String {
    if many == 0 { "none".to_owned() } else { format!("{}{more}", plural(many, what)) }
}

pub(in super::super) fn plural(many: u64, what: &str) -> String {
    if many == 1 { format!("1 {what}") } else { format!("{} {what}s", amount(many)) }
}

/// `10 h`, `2 min 5 s`, `1.5 s`.
fn time(seconds: f64) -> String {
    if seconds < 60.0 { format!("{seconds:.1} s") } else { span(seconds) }
}

fn cut(text: &str, most: usize) -> String {
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    if text.chars().count() <= most {
        return text.chars().map(clean).collect();
    }
    text.chars().take(most).map(clean).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!(
            [0, 999, 1000, 720_000, 1_234_567].map(amount),
            ["0", "999", "1,000", "720,000", "1,234,567"]
        );
        assert_eq!([1.54, 125.0, 36_072.0].map(time), ["1.5 s", "2 min 5 s", "10 h 1 min"]);
        assert_eq!(cut("a\nb", 5), "a b");
        assert_eq!(cut("abcdef", 5), "abcde…");
    }
}
