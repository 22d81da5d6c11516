//! How a run ended, as the ledger records it.

use std::rc::Rc;

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
            RunEnd::Finished => Self { state: JobState::Done, note: None, traceback: Vec::new() },
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
            JobState::AlreadySent | JobState::Interrupted => record.say(OutputStream::Host, note),
            _ => {}
        }
    }
}
