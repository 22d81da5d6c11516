//! The options of a job that take one of a few words.

use super::problem::DeclarationError;

/// The policy for times that passed while no daemon could run them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedPolicy {
    /// The latest one runs if it is within the grace and no later one is due anyway.
    #[default]
    Once,
    /// None of them runs.
    Skip,
    /// All that are within the grace run, one after the other.
    All,
}

/// The policy for a time at which an earlier run of the job has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverlapPolicy {
    /// The time is skipped and recorded.
    #[default]
    Skip,
    /// The run waits until the earlier run has ended.
    Queue,
    /// The earlier run is cancelled, and the new run starts.
    Cancel,
}

impl MissedPolicy {
    pub(super) fn read(word: Option<&str>) -> Result<Self, DeclarationError> {
        match word {
            None | Some("once") => Ok(Self::Once),
            Some("skip") => Ok(Self::Skip),
            Some("all") => Ok(Self::All),
            Some(other) => Err(unknown("missed", other, "\"once\", \"skip\" or \"all\"")),
        }
    }
}

impl OverlapPolicy {
    pub(super) fn read(word: Option<&str>) -> Result<Self, DeclarationError> {
        match word {
            None | Some("skip") => Ok(Self::Skip),
            Some("queue") => Ok(Self::Queue),
            Some("cancel") => Ok(Self::Cancel),
            Some(other) => Err(unknown("overlap", other, "\"skip\", \"queue\" or \"cancel\"")),
        }
    }
}

fn unknown(field: &'static str, value: &str, known: &str) -> DeclarationError {
    DeclarationError::new(field, format!("`{}` is unknown; write {known}", value.escape_debug()))
}
