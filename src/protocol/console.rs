//! The requests of a worker that runs typed lines.

use serde::{Deserialize, Serialize};

/// A step of a console. The host gives the lines and receives their errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsoleStep {
    /// Ask for the next line. Answered by [`HostResponse::Json`](super::HostResponse): `{line}`, `{reset: true}` if
    /// the incomplete input is dropped, or null at the end.
    Next {
        /// Whether the input so far needs more lines.
        incomplete: bool,
        /// The error of the last line.
        problem: Option<String>,
    },
    /// Wait for an interrupt. Answered by [`HostResponse::Nothing`](super::HostResponse) when the running line must
    /// end, or when the worker asks for the next line.
    Interrupted,
}
