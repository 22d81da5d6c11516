//! The values that the page, the API and the terminal show.
//!
//! Times are texts such as `2026-06-01T08:00:00Z`; durations are in seconds.

mod activity;
mod broadcast;
mod changes;
mod export;
mod host;
mod job;
mod log;
mod overview;
mod quota;
mod script;
mod send;
mod wait;

use std::time::Duration;

pub use activity::ActivityView;
pub use broadcast::{BroadcastView, RecipientView, standing};
pub use changes::ChangesView;
pub use export::{ExportError, ExportFormat, ExportOptions, write_export};
pub(in crate::web) use export::{TextExport, workbook};
pub use host::HostView;
pub use job::{JobRunView, JobView};
pub use log::{LogLineView, LogTail, LogTailLayer};
pub use overview::Overview;
#[cfg(test)]
pub use quota::WaitingView;
pub use quota::{AppView, QuotaView};
pub use script::ScriptView;
pub use send::SendView;
pub use wait::WaitView;

pub use crate::delivery::WaitKind;

/// A time as UTC text with a precision of seconds.
pub(super) fn instant(at: Duration) -> String {
    i64::try_from(at.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| "?".to_owned(), |at| at.to_string())
}
