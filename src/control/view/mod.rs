//! The values that the page, the API and the terminal show.
//!
//! Times are texts such as `2026-06-01T08:00:00Z`; durations are in seconds.

mod activity;
mod broadcast;
mod changes;
mod export;
mod host;
mod job;
mod overview;
mod quota;
mod script;
mod send;
mod wait;

pub use activity::ActivityView;
pub use broadcast::{BroadcastView, RecipientView, standing};
pub use changes::ChangesView;
pub use export::{ExportError, ExportFormat, ExportOptions, write_export};
pub use export::{TextExport, workbook};
pub use host::HostView;
pub use job::{JobRunView, JobView};
pub use overview::Overview;
#[cfg(test)]
pub use quota::WaitingView;
pub use quota::{AppView, QuotaView};
pub use script::ScriptView;
pub use send::SendView;
pub use wait::{WAITS, WaitView};

pub use crate::delivery::WaitKind;
