//! The report as text.

use std::io::{self, Write};

use crate::cli::runs::local_text;

use super::report::{BroadcastReport, RehearsalReport, SampleReport};

/// The maximum number of problems that are shown. `--json` has more.
const PROBLEMS: usize = 20;

/// The maximum number of other items that are listed of each kind.
const LISTED: usize = 20;

/// The maximum number of characters of a message that are shown.
const LETTERS: usize = 160;

pub(super) fn write(out: &mut impl Write, report: &RehearsalReport) -> io::Result<()> {
    let (totals, duration) = (&report.totals, &report.duration);
    writeln!(out, "Rehearsed {}: nothing was sent.", report.script)?;
    writeln!(out)?;
    let mut line = |name: &str, text: String| writeln!(out, "  {name:<14}{text}");
    line("messages", count(totals.messages, "message", &format!(" in {}", plural(totals.calls, "call"))))?;
    line(
        "broadcasts",
        format!("{} to {}", number(totals.broadcasts as u64), plural(totals.recipients, "recipient")),
    )?;
    line("single sends", number(totals.single_sends))?;
    if totals.messages > 0 {
        for app in &report.apps {
            let share = if app.share < 1.0 {
                format!("; {} at the share of {}", time(app.seconds_at_share), app.share)
            } else {
                String::new()
            };
            let rate = match (app.group_messages, app.targeted_calls) {
                (_, 0) => format!("{} messages a second", number(app.group_per_second.into())),
                (0, _) => format!("{} targeted calls a second", number(app.targeted_per_second.into())),
                _ => format!(
                    "{} messages and {} targeted calls a second",
                    number(app.group_per_second.into()),
                    number(app.targeted_per_second.into())
                ),
            };
            let of = if report.apps.len() > 1 { format!(" ({})", app.app) } else { String::new() };
            line("at the quota", format!("{} at {rate}{share}{of}", time(app.seconds_at_quota)))?;
        }
        line("as rehearsed", format!("{} from the first to the last", time(duration.rehearsed)))?;
        line("first", duration.first.clone().unwrap_or_default())?;
        line("last", duration.last.clone().unwrap_or_default())?;
        let largest = &report.largest_message;
        line("largest", format!("{} of {} bytes", number(largest.bytes), number(largest.limit as u64)))?;
    }
    for broadcast in &report.broadcasts {
        write_broadcast(out, broadcast)?;
    }
    if !report.single_sends.samples.is_empty() {
        writeln!(out, "\nSingle sends, for example")?;
        samples(out, &report.single_sends.samples)?;
    }
    problems(out, report)?;
    listed(out, "Files that would be uploaded", &report.uploads, |upload| {
        format!("{}, {} bytes", upload.filename, number(upload.bytes))
    })?;
    listed(out, "Files that would be changed", &report.files, |change| match change.bytes {
        Some(bytes) => format!("{} {}, {} bytes", change.change, change.path, number(bytes)),
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

fn write_broadcast(out: &mut impl Write, broadcast: &BroadcastReport) -> io::Result<()> {
    let BroadcastReport { name, run, .. } = broadcast;
    write!(out, "\nBroadcast `{name}` (run {run}): {}", plural(broadcast.recipients, "recipient"))?;
    for (many, what) in [
        (broadcast.duplicates, "named twice and dropped"),
        (broadcast.skipped, "skipped"),
        (broadcast.bad_lines, "bad lines left out"),
    ] {
        if many > 0 {
            write!(out, ", {} {what}", number(many))?;
        }
    }
    writeln!(out)?;
    if let Some(read) = &broadcast.read {
        writeln!(out, "  read as {read}")?;
    }
    match (broadcast.state, &broadcast.first, &broadcast.last) {
        ("already", ..) => {
            writeln!(
                out,
                "  It was sent before; nothing is left of it. For another, give it another `run`."
            )?;
        }
        (_, Some(first), Some(last)) => {
            let (first, last, took) = (local_text(first), local_text(last), time(broadcast.seconds));
            writeln!(out, "  {first} to {last}, {took}, {}", plural(broadcast.calls, "call"))?;
        }
        _ => writeln!(out, "  nobody would get it")?,
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

fn samples(out: &mut impl Write, samples: &[SampleReport]) -> io::Result<()> {
    for sample in samples {
        let users =
            if sample.users.is_empty() { String::new() } else { format!(" for {}", sample.users.join(", ")) };
        let to = cut(&format!("{}{users}", sample.to.join(", ")), 60);
        writeln!(
            out,
            "  -> {to}: {} ({} bytes)",
            cut(&sample.message.to_string(), LETTERS),
            number(sample.bytes as u64)
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
        "\n{} in {}; a run would stop at the first",
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
        writeln!(out, "  and {} more", number(problems.total - shown))?;
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
        writeln!(out, "  and {} more", number((items.len() - LISTED) as u64))?;
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
        return writeln!(out, "What is above is what it did until then.");
    }
    if report.outcome == "interrupted" {
        return writeln!(out, "The rehearsal was interrupted; what is above is what it did until then.");
    }
    match &report.command {
        Some(_) if report.totals.messages == 0 => writeln!(out, "The script sends nothing."),
        Some(command) if report.deliverable => {
            writeln!(out, "To send this, and nothing else:\n  {command}")
        }
        Some(command) => {
            writeln!(out, "Not all of it would be delivered. To send it all the same:\n  {command}")
        }
        None => {
            writeln!(out, "Not all of it would be delivered: mend the problems above and rehearse again.")
        }
    }
}

/// `720,000 messages in 720,000 calls`, or `none`.
fn count(many: u64, what: &str, more: &str) -> String {
    if many == 0 { "none".to_owned() } else { format!("{}{more}", plural(many, what)) }
}

pub(in super::super) fn plural(many: u64, what: &str) -> String {
    if many == 1 { format!("1 {what}") } else { format!("{} {what}s", number(many)) }
}

/// A number with thousands separators.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `10 h 0 min`, `2 min 5 s`, `1.5 s`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "no broadcast takes as long as that"
)]
fn time(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", number(whole / 3600), whole % 3600 / 60),
    }
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
            [0, 999, 1000, 720_000, 1_234_567].map(number),
            ["0", "999", "1,000", "720,000", "1,234,567"]
        );
        assert_eq!([1.54, 125.0, 36_072.0].map(time), ["1.5 s", "2 min 5 s", "10 h 1 min"]);
        assert_eq!(cut("a\nb", 5), "a b");
        assert_eq!(cut("abcdef", 5), "abcde…");
    }
}
