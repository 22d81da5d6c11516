//! How a run ended, as the ledger records it.

use std::rc::Rc;

use crate::delivery::SendCounts;
use crate::ledger::{JobState, OutputStream};
use crate::run::services::RunServices;
use crate::run::session::{RunEnd, RunError};

use super::output::RunRecord;

/// The note of a run that sent nothing because of earlier runs.
const SENT_BEFORE: &str = "nothing was sent now, because its messages were sent before";

/// The note of a run that was interrupted on the command line.
const INTERRUPTED: &str = "interrupted by Ctrl-C or a signal";

/// How a run ended, as the ledger records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutcome {
    pub state: JobState,
    /// The note about the end.
    pub note: Option<String>,
    /// The frames of the error that ended it.
    traceback: Vec<String>,
}

impl RunOutcome {
    /// Judges the end of a run. `services` are those of the run, if it began. `first` is whether this is its first attempt.
    pub fn of(ended: &RunEnd, services: Option<&Rc<RunServices>>, first: bool) -> Self {
        let counts = services.map(|services| services.tally.counts()).unwrap_or_default();
        // Driven broadcasts have counts of their own.
        let drove = services.is_some_and(|services| !services.broadcasts.watched().is_empty());
        let cancelled = services.and_then(|services| services.broadcasts.cancelled());
        let mut outcome = match ended {
            RunEnd::Finished if let Some(why) = cancelled => Self::cancelled(&why),
            // What an attempt finds sent may be what the attempt before it sent.
            RunEnd::Finished if first && counts.all_sent_before() && !drove => {
                Self::noted(JobState::AlreadySent, SENT_BEFORE)
            }
            RunEnd::Finished => {
                let supervised = services.map(|services| services.broadcasts.supervised());
                Self::finished(&[counts, supervised.unwrap_or_default()])
            }
            RunEnd::Interrupted => Self::noted(JobState::Interrupted, INTERRUPTED),
            RunEnd::Failed(failed) => Self::noted(JobState::Failed, &failed.to_string()),
        };
        if let RunEnd::Failed(RunError::Script(error)) = ended {
            outcome.traceback.clone_from(&error.traceback);
        }
        outcome
    }

    /// A run that was cancelled for this reason.
    pub fn cancelled(why: &str) -> Self {
        Self::noted(JobState::Cancelled, why)
    }

    /// A run that ended without an error.
    fn finished(counts: &[SendCounts; 2]) -> Self {
        match undelivered(counts) {
            what if what.is_empty() => Self { state: JobState::Done, note: None, traceback: Vec::new() },
            what => Self::noted(JobState::Undelivered, &what.join("; ")),
        }
    }

    fn noted(state: JobState, note: &str) -> Self {
        Self { state, note: Some(note.to_owned()), traceback: Vec::new() }
    }

    /// Adds the last lines of a run's output: the error that ended it, or why it ended.
    pub fn write_to(&self, record: &Rc<RunRecord>) {
        let note = self.note.as_deref().unwrap_or_default();
        match self.state {
            JobState::Failed => {
                let frames = self.traceback.iter().map(|frame| format!("    {frame}"));
                let lines: Vec<String> = std::iter::once(note.to_owned()).chain(frames).collect();
                record.say(OutputStream::Error, &lines.join("\n"));
            }
            JobState::Cancelled => record.say(OutputStream::Host, &format!("cancelled: {note}")),
            JobState::AlreadySent | JobState::Interrupted | JobState::Undelivered => {
                record.say(OutputStream::Host, note);
            }
            _ => {}
        }
    }
}

/// What was not delivered: a sentence for each kind.
fn undelivered(counts: &[SendCounts; 2]) -> Vec<String> {
    let sum = |count: fn(&SendCounts) -> u64| counts.iter().map(count).sum::<u64>();
    let missed = sum(|counts| counts.rejected + counts.not_sent);
    let (in_doubt, calls) = (sum(|counts| counts.in_doubt), sum(|counts| counts.requests_in_doubt));
    let kinds = [
        (missed, "recipient did not get its message", "recipients did not get their messages"),
        (
            in_doubt,
            "recipient is in doubt and may have its message",
            "recipients are in doubt and may have their messages",
        ),
        (calls, "call of im.request is in doubt", "calls of im.request are in doubt"),
        (
            sum(|counts| counts.without_recipients),
            "audience had no recipients",
            "audiences had no recipients",
        ),
    ];
    let sentence = |(count, one, other)| {
        (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { other }))
    };
    kinds.into_iter().filter_map(sentence).collect()
}
