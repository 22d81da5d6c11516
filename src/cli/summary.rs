//! The summary of a run, printed once at its end.

use std::fmt::Write as _;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

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
}

impl RunSummary<'_> {
    /// Prints the summary to standard error, and returns the exit status.
    pub(super) fn tell(&self, format: LogFormat) -> Exit {
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
            writeln!(err, "{}", stands(broadcast))?;
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
                    stands(broadcast)
                );
            }
        }
    }

    /// Writing to a `String` cannot fail, so the results are ignored.
    fn sentence(&self) -> String {
        let (counts, seconds) = (self.counts, self.elapsed.as_secs_f64());
        let mut text = format!("sent to {} in {seconds:.1} s", groups(counts.sent));
        for (count, what) in [
            (counts.rejected, "rejected"),
            (counts.in_doubt, "in doubt (it may have been sent: look before sending again)"),
            (counts.not_sent, "not sent"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        if counts.throttled > 0 {
            let refused = counted(counts.throttled, "call");
            let _ = write!(text, "; the service refused {refused} as too many, each was sent again");
        }
        text
    }
}

fn commands(broadcast: &ActiveBroadcast, next: &FollowUpCommands) -> Vec<String> {
    let counts = broadcast.progress.snapshot().counts;
    let over =
        matches!(broadcast.end().map(|driven| &driven.end), Some(DriveEnd::Finished | DriveEnd::Cancelled));
    next.commands(&broadcast.name, &broadcast.run, &counts, over)
}

/// `news/1: 60 of 100 sent, 3 rejected, 37 not sent yet; paused: 20 failures in a row`
fn stands(broadcast: &ActiveBroadcast) -> String {
    let counts = broadcast.progress.snapshot().counts;
    let mut text =
        format!("{}/{}: {} of {} sent", broadcast.name, broadcast.run, counts.sent, counts.total());
    for (count, what) in [
        (counts.rejected, "rejected"),
        (counts.in_doubt, "in doubt"),
        (counts.cancelled, "cancelled"),
        (ActiveBroadcast::left(&counts), "not sent yet"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    if let Some(DriveEnd::Paused(why)) = broadcast.end().map(|driven| &driven.end) {
        let _ = write!(text, "; paused: {why}");
    }
    text
}

fn groups(count: u64) -> String {
    counted(count, "group")
}
