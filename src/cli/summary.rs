//! The summary of a run, printed once at its end.

use std::fmt::Write as _;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use crate::config::EnvName;
use crate::core::Call;
use crate::delivery::{ActiveBroadcast, DriveEnd, SendCounts};
use crate::message::counted;
use crate::run::{RunEnd, RunError};

use super::Exit;
use super::logging::LogFormat;
use super::logging::indented;
use super::next::FollowUpCommands;

/// The results of a finished run.
pub(super) struct RunSummary<'a> {
    pub(super) ended: &'a RunEnd,
    pub(super) counts: SendCounts,
    pub(super) elapsed: Duration,
    /// Whether a broadcast was refused because its inputs changed.
    pub(super) refused: bool,
    /// The broadcasts of the run, including those that left something to do.
    pub(super) broadcasts: &'a [Rc<ActiveBroadcast>],
    pub(super) next: FollowUpCommands,
    /// Whether the run edits messages and sends none.
    pub(super) edits: bool,
}

impl RunSummary<'_> {
    /// Prints the summary to standard error, and returns the exit status.
    pub(super) fn report(&self, format: LogFormat) -> Exit {
        match format {
            LogFormat::Text => {
                let mut err = std::io::stderr().lock();
                // Without standard error, nothing can be shown.
                let _ = self.write(&mut err);
            }
            LogFormat::Json => self.log(),
        }
        match self.ended {
            RunEnd::Interrupted => Exit::Interrupted,
            RunEnd::Failed(_) if self.refused => Exit::Usage,
            RunEnd::Failed(_) => Exit::Failed,
            RunEnd::Finished if !self.counts.all_delivered() => Exit::Undelivered,
            RunEnd::Finished => Exit::Delivered,
        }
    }

    fn write(&self, err: &mut impl Write) -> std::io::Result<()> {
        match self.ended {
            RunEnd::Failed(RunError::Script(error)) => {
                writeln!(err, "error: {}", indented(&error.message))?;
                for frame in &error.traceback {
                    writeln!(err, "    {frame}")?;
                }
            }
            RunEnd::Failed(failed) => writeln!(err, "error: {}", indented(&failed.to_string()))?,
            RunEnd::Interrupted => writeln!(err, "interrupted")?,
            RunEnd::Finished => {}
        }
        if self.counts != SendCounts::default() {
            writeln!(err, "{}", self.sentence())?;
        }
        for broadcast in self.broadcasts {
            let commands = commands(broadcast, &self.next);
            if commands.is_empty() {
                continue;
            }
            writeln!(err, "{}", stands(broadcast, self.edits))?;
            for command in commands {
                writeln!(err, "  next: {command}")?;
            }
        }
        Ok(())
    }

    fn log(&self) {
        match self.ended {
            RunEnd::Failed(RunError::Script(error)) => {
                tracing::error!(traceback = error.traceback.join("\n"), "{}", error.message);
            }
            RunEnd::Failed(failed) => tracing::error!("{failed}"),
            RunEnd::Interrupted => tracing::warn!("interrupted"),
            RunEnd::Finished => {}
        }
        let counts = self.counts;
        if counts != SendCounts::default() {
            tracing::info!(
                sent = counts.sent,
                rejected = counts.rejected,
                in_doubt = counts.in_doubt,
                not_sent = counts.not_sent,
                throttled = counts.throttled,
                sent_before = counts.sent_before,
                env = self.next.env().map(EnvName::as_str),
                seconds = self.elapsed.as_secs_f64(),
                "{}",
                self.sentence()
            );
        }
        for broadcast in self.broadcasts {
            let commands = commands(broadcast, &self.next);
            if !commands.is_empty() {
                tracing::warn!(
                    broadcast = broadcast.name,
                    run = broadcast.run,
                    next = commands.join("; "),
                    "{}",
                    stands(broadcast, self.edits)
                );
            }
        }
    }

    /// Writing to a `String` cannot fail, so the results are ignored.
    fn sentence(&self) -> String {
        let (counts, seconds) = (self.counts, self.elapsed.as_secs_f64());
        let env = self.next.env().map(|env| format!("[{env}] ")).unwrap_or_default();
        let mut text = if self.edits {
            format!("{env}edited {} in {seconds:.1} s", counted(counts.sent, "message"))
        } else if counts.noun() == Call::Announce.recipient() {
            format!("{env}made {} in {seconds:.1} s", counted(counts.sent, counts.noun()))
        } else if counts.sent_before > 0 && counts.recipient.is_none() {
            format!("{env}nothing was sent in {seconds:.1} s")
        } else {
            format!("{env}sent to {} in {seconds:.1} s", counted(counts.sent, counts.noun()))
        };
        for (count, what) in [
            (counts.rejected, "rejected"),
            (counts.in_doubt, "in doubt (possibly sent; check before you send again)"),
            (counts.not_sent, if self.edits { "not edited" } else { "not sent" }),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        if counts.skipped > 0 {
            let _ = write!(text, ", {} skipped (`mooncast runs export` has the reasons)", counts.skipped);
        }
        if counts.requests_in_doubt > 0 {
            let calls = counted(counts.requests_in_doubt, "call");
            let _ = write!(
                text,
                "; {calls} of im.request in doubt (possibly made; `mooncast runs list` shows each)"
            );
        }
        if counts.sent_before > 0 {
            let found = counted(counts.sent_before, "call");
            let _ = write!(text, "; {found} sent nothing, because the messages were sent before");
        }
        if counts.throttled > 0 {
            let refused = counted(counts.throttled, "call");
            let _ = write!(
                text,
                "; the service refused {refused} because of its rate limit, and each was sent again"
            );
        }
        text
    }
}

fn commands(broadcast: &ActiveBroadcast, next: &FollowUpCommands) -> Vec<String> {
    let counts = broadcast.progress.snapshot().counts;
    let driven = broadcast.end().map(|driven| &driven.end);
    let awaits = broadcast.awaits_approval();
    let over = awaits || matches!(driven, Some(DriveEnd::Finished | DriveEnd::Cancelled));
    let mut commands = next.commands(&broadcast.name, &broadcast.run, &counts, over);
    if awaits {
        let approve = next.command("approve", &broadcast.name, &broadcast.run);
        commands.push(format!("{approve}, by a person who neither began the broadcast nor changed its plan"));
    }
    commands
}

/// `news/1: 60 of 100 sent, 3 rejected, 37 not sent yet; paused: 20 failures in a row`
fn stands(broadcast: &ActiveBroadcast, edits: bool) -> String {
    let counts = broadcast.progress.snapshot().counts;
    let (name, run, done, total) = (&broadcast.name, &broadcast.run, counts.sent, counts.total());
    let (sent, left) = if edits { ("edited", "not edited yet") } else { ("sent", "not sent yet") };
    let mut text = format!("{name}/{run}: {done} of {total} {sent}");
    for (count, what) in [
        (counts.rejected, "rejected"),
        (counts.in_doubt, "in doubt"),
        (counts.skipped, "skipped"),
        (counts.cancelled, "cancelled"),
        (ActiveBroadcast::left(&counts), left),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    if broadcast.awaits_approval() {
        text.push_str("; awaits approval");
    }
    if let Some(DriveEnd::Paused(why)) = broadcast.end().map(|driven| &driven.end) {
        let _ = write!(text, "; paused: {why}");
    }
    text
}
