//! What a worker that runs typed lines asks of the host.

use serde::{Deserialize, Serialize};

/// A step of a console: lines come from the host, and what went wrong with them goes there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsoleStep {
    /// The next line. Answered by [`Answer::Json`](super::Answer): `{line}`, `{reset: true}` when what was typed so far is
    /// dropped, or null at the end.
    Next {
        /// Whether what was typed so far needs more lines.
        incomplete: bool,
        /// What the last line failed with.
        problem: Option<String>,
    },
    /// Answered by [`Answer::Nothing`](super::Answer) when the line that runs is to end, or when the next one is asked for.
    Interrupted,
}
