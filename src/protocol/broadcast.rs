//! The steps from a script's `im.broadcast` to a fixed plan, and the wait for its end.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A step of a broadcast. `handle` is what [`BroadcastStep::Begin`] was answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum BroadcastStep {
    /// Find or make it. Answered by JSON: `{handle, state, report?}`; `state` is `build`, `compare`, `resume` or `already`, and
    /// with `already` there is no handle, for nothing more is to be asked. `compare` is like `build`, but the recipients go
    /// without messages, and [`BroadcastStep::Compared`] comes after them. `test_only` says that it ends after the test,
    /// `stored` that its plan was fixed before.
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
    /// All recipients were drawn: are they those of the stored plan? Answered by JSON: `{state}`, `resume` or `build`.
    Compared {
        /// Of which broadcast.
        handle: u64,
    },
    /// Check the plan without fixing it. Answered by JSON: the plan's figures.
    Check {
        /// Of which broadcast.
        handle: u64,
    },
    /// The recipients of a group in a plan that was checked. Answered by JSON: a list of `{users, message}`.
    Rows {
        /// Of which broadcast.
        handle: u64,
        /// The group.
        group_id: String,
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
