//! A job as a script declared it, understood.

use std::time::Duration;

use crate::protocol::{Declaration, When};

/// For how long a missed instant is worth running, where a script does not say.
const GRACE: Duration = Duration::from_secs(3600);

/// A job that is declared and makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Unique in the project.
    pub name: String,
    /// Where it is declared: `scripts/digest.lua:3`.
    pub place: String,
    /// What becomes of missed instants.
    pub missed: Missed,
    /// For how long a missed instant is worth running. Default 1 h.
    pub grace: Duration,
    /// What an instant does that finds an earlier run going on.
    pub overlap: Overlap,
    /// Real time that a run may take; without one the project's.
    pub timeout: Option<Duration>,
    /// The most by which a run is put off.
    pub jitter: Duration,
    /// Whether a run that was killed half-way is entered again whatever it had sent.
    pub rerun: bool,
    when: When,
}

/// What becomes of instants that passed while nobody could run them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missed {
    /// The latest of them runs, if it is within the grace.
    #[default]
    Once,
    /// None runs.
    Skip,
    /// All that are within the grace run, one after the other.
    All,
}

/// What an instant does that finds an earlier run of its job going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// It is left out, and noted.
    #[default]
    Skip,
    /// It waits for its turn.
    Queue,
    /// It ends the earlier one and runs.
    Cancel,
}

/// What is wrong with a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The argument or option.
    pub field: &'static str,
    /// What is wrong and what is right.
    pub message: String,
}

impl Job {
    /// Understands a declaration.
    ///
    /// # Errors
    ///
    /// The first [`Problem`].
    pub fn new(declared: &Declaration) -> Result<Self, Problem> {
        let missed = match declared.missed.as_deref() {
            None | Some("once") => Missed::Once,
            Some("skip") => Missed::Skip,
            Some("all") => Missed::All,
            Some(other) => return Err(unknown("missed", other, "\"once\", \"skip\" or \"all\"")),
        };
        let overlap = match declared.overlap.as_deref() {
            None | Some("skip") => Overlap::Skip,
            Some("queue") => Overlap::Queue,
            Some("cancel") => Overlap::Cancel,
            Some(other) => return Err(unknown("overlap", other, "\"skip\", \"queue\" or \"cancel\"")),
        };
        Ok(Self {
            name: declared.name.clone(),
            place: declared.place.clone(),
            missed,
            grace: declared.grace_ms.map_or(GRACE, Duration::from_millis),
            overlap,
            timeout: declared.timeout_ms.map(Duration::from_millis),
            jitter: Duration::from_millis(declared.jitter_ms.unwrap_or(0)),
            rerun: declared.rerun,
            when: declared.when.clone(),
        })
    }

    /// The first instant after `after` at which it runs, both since 1970-01-01T00:00:00Z; none when there is no more.
    #[must_use]
    pub fn next_after(&self, after: Duration) -> Option<Duration> {
        match &self.when {
            When::Every { ms } => {
                let length = u128::from(*ms);
                let next = (after.as_millis().checked_div(length)? + 1) * length;
                Some(Duration::from_millis(u64::try_from(next).ok()?))
            }
            When::AtInstant { ms } => {
                let at = Duration::from_millis(u64::try_from(*ms).ok()?);
                (at > after).then_some(at)
            }
            When::Cron(_) | When::At(_) => None,
        }
    }
}

fn unknown(field: &'static str, value: &str, known: &str) -> Problem {
    Problem { field, message: format!("{field}: \"{value}\" is unknown; write {known}") }
}
