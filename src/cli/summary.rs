//! What a run has come to, said once at its end.

use std::fmt::Write as _;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use crate::delivery::{Counts, End, Underway};
use crate::host::{Ended, Failed};
use crate::message::counted;

use super::Exit;
use super::logging::Format;
use super::logging::indented;
use super::next::Next;

/// A run that is over.
pub(super) struct Summary<'a> {
    pub(super) ended: &'a Ended,
    pub(super) counts: Counts,
    pub(super) elapsed: Duration,
    /// Whether a broadcast was refused because its inputs changed.
    pub(super) refused: bool,
    /// Those that have left something to do are among them.
    pub(super) broadcasts: &'a [Rc<Underway>],
    pub(super) next: Next,
}

impl Summary<'_> {
    /// Says it on standard error, and gives the exit status that it comes to.
    pub(super) fn tell(&self, format: Format) -> Exit {
        match format {
            Format::Text => {
                let mut err = std::io::stderr().lock();
                // Nobody is left to be told when standard error is gone.
                let _ = self.write(&mut err);
            }
            Format::Json => self.log(),
        }
        match self.ended {
            Ended::Interrupted => Exit::Interrupted,
            Ended::Failed(_) if self.refused => Exit::Usage,
            Ended::Failed(_) => Exit::Failed,
            Ended::Finished if !self.counts.all_delivered() => Exit::Undelivered,
            Ended::Finished => Exit::Delivered,
        }
    }

    fn write(&self, err: &mut impl Write) -> std::io::Result<()> {
        match self.ended {
            Ended::Failed(Failed::Script(error)) => {
                writeln!(err, "error: {}", indented(&error.message))?;
                for frame in &error.traceback {
                    writeln!(err, "    {frame}")?;
                }
            }
            Ended::Failed(failed) => writeln!(err, "error: {}", indented(&failed.to_string()))?,
            Ended::Interrupted => writeln!(err, "interrupted")?,
            Ended::Finished => {}
        }
        if self.counts != Counts::default() {
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
            Ended::Failed(Failed::Script(error)) => {
                tracing::error!(traceback = error.traceback.join("\n"), "{}", error.message);
            }
            Ended::Failed(failed) => tracing::error!("{failed}"),
            Ended::Interrupted => tracing::warn!("interrupted"),
            Ended::Finished => {}
        }
        let counts = self.counts;
        if counts != Counts::default() {
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

    /// Writing to a `String` cannot fail, so its results are let go of.
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

fn commands(broadcast: &Underway, next: &Next) -> Vec<String> {
    let counts = broadcast.progress.look().counts;
    let over = matches!(broadcast.end().map(|driven| &driven.end), Some(End::Finished | End::Cancelled));
    next.commands(&broadcast.name, &broadcast.run, &counts, over)
}

/// `news/1: 60 of 100 sent, 3 rejected, 37 not sent yet; paused: 20 failures in a row`
fn stands(broadcast: &Underway) -> String {
    let counts = broadcast.progress.look().counts;
    let mut text =
        format!("{}/{}: {} of {} sent", broadcast.name, broadcast.run, counts.sent, counts.total());
    for (count, what) in [
        (counts.rejected, "rejected"),
        (counts.in_doubt, "in doubt"),
        (counts.cancelled, "cancelled"),
        (Underway::left(&counts), "not sent yet"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    if let Some(End::Paused(why)) = broadcast.end().map(|driven| &driven.end) {
        let _ = write!(text, "; paused: {why}");
    }
    text
}

fn groups(count: u64) -> String {
    counted(count, "group")
}
