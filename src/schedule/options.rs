//! The options of a job that are one of a few words.

use super::problem::DeclarationError;

/// What becomes of instants that passed while nobody could run them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedPolicy {
    /// The latest of them runs, if it is within the grace and no later one is due anyway.
    #[default]
    Once,
    /// None runs.
    Skip,
    /// All that are within the grace run, one after the other.
    All,
}

/// What an instant does that finds an earlier run of its job going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverlapPolicy {
    /// It is left out, and noted.
    #[default]
    Skip,
    /// It waits for its turn.
    Queue,
    /// It ends the earlier one and runs.
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
