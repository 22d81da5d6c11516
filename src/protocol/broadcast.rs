//! The steps from a script's `im.broadcast` to a fixed plan, and the wait for its end.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A step of a broadcast. `handle` is what [`BroadcastStep::Begin`] was answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum BroadcastStep {
    /// Find or make it. Answered by JSON: `{handle, state, report?}`; `state` is `build`, `resume` or `already`, and
    /// with `already` there is no handle, for nothing more is to be asked.
    Begin {
        /// The app to send through.
        app: u32,
        /// The fields of the broadcast as JSON, functions and lists left out.
        spec: Bytes,
    },
    /// The next recipients of the file that the broadcast names. Answered by JSON: `{items, lines, done}`.
    Page {
        /// Of which broadcast.
        handle: u64,
    },
    /// Put the next recipients of that file into the plan, with the plain message. Answered by JSON: whether they were
    /// the last.
    Take {
        /// Of which broadcast.
        handle: u64,
    },
    /// Put recipients into the plan. Answered by nothing.
    Append {
        /// Of which broadcast.
        handle: u64,
        /// A JSON list of `{r, n, line?, m?}`: the recipient, its number, its line in a file, its message. Without `m`
        /// it gets the plain message, with a null one it is skipped.
        batch: Bytes,
    },
    /// Fix the plan and begin to send. Answered by JSON: the plan's figures.
    Fix {
        /// Of which broadcast.
        handle: u64,
    },
    /// Wait for its end, or about a second. Answered by JSON: `{done, progress, report?}`.
    Wait {
        /// Of which broadcast.
        handle: u64,
    },
    /// Give up a plan that is being built. Answered by nothing.
    Abandon {
        /// Of which broadcast.
        handle: u64,
    },
}

impl BroadcastStep {
    /// Whether it reads or writes a part of a plan.
    #[must_use]
    pub const fn builds(&self) -> bool {
        matches!(self, Self::Page { .. } | Self::Take { .. } | Self::Append { .. } | Self::Fix { .. })
    }
}
