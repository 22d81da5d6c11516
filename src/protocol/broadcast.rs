//! The steps from a script's `im.broadcast` to a fixed plan, and the wait for the broadcast's end.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A step of a broadcast. `handle` is the number that the answer to [`BroadcastStep::Begin`] gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum BroadcastStep {
    /// Find or make the broadcast. Answered by JSON: `{handle, state, report?}`.
    ///
    /// - `state` is `build`, `compare`, `resume` or `already`. With `already` there is no handle, since no step
    ///   follows.
    /// - `compare` is like `build`, but the recipients go without messages, and [`BroadcastStep::Compared`] comes
    ///   after them.
    /// - `test_only` says that the broadcast ends after the test; `stored` says that its plan was fixed before.
    Begin {
        /// The app to send through.
        app: u32,
        /// The fields of the broadcast as JSON, without functions and lists.
        spec: Bytes,
    },
    /// Read the next recipients of the file that the broadcast names. Answered by JSON: `{items, lines, done}`.
    Page { handle: u64 },
    /// Put the next recipients of that file into the plan, with the plain message. Answered by JSON: whether they
    /// were the last.
    Take { handle: u64 },
    /// Put recipients into the plan. Answered by nothing.
    Append {
        handle: u64,
        /// A JSON list of `{r, n, line?, m?}`: the recipient, its number, its line in a file, its message. Without
        /// `m` the recipient gets the plain message; with a null `m` it is skipped.
        batch: Bytes,
    },
    /// Compare the recipients with those of the stored plan; all recipients were given. Answered by JSON: `{state}`,
    /// `resume` or `build`.
    Compared { handle: u64 },
    /// Check the plan without fixing it. Answered by JSON: the plan's figures.
    Check { handle: u64 },
    /// Read the recipients of a group in a plan that was checked. Answered by JSON: a list of `{users, message}`.
    Rows { handle: u64, group_id: String },
    /// Fix the plan and start sending. Answered by JSON: the plan's figures.
    Fix { handle: u64 },
    /// Wait for the broadcast's end, at most about a second. Answered by JSON: `{done, progress, report?}`.
    Wait { handle: u64 },
    /// Give up a plan that is not fixed yet. Answered by nothing.
    Abandon { handle: u64 },
}

impl BroadcastStep {
    /// Whether the step reads or writes a part of a plan.
    pub const fn builds(&self) -> bool {
        matches!(self, Self::Page { .. } | Self::Take { .. } | Self::Append { .. } | Self::Fix { .. })
    }
}
