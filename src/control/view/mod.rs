//! The values that the page, the API and the terminal show.
//!
//! Times are texts such as `2026-06-01T08:00:00Z`; durations are in seconds.

mod activity;
mod approval;
mod audit;
mod broadcast;
mod changes;
mod export;
mod host;
mod job;
mod message;
mod needs;
mod overview;
mod quota;
mod recipient;
mod run;
mod script;
mod send;
mod targets;
mod wait;

use crate::core::Call;

pub use activity::ActivityView;
pub use approval::{ApprovalView, OutlookView};
pub use audit::audit_csv;
pub use broadcast::{BroadcastView, DoubtsView, HistoryFileView, ReadersView, standing};
pub use changes::ChangesView;
pub(super) use export::disarmed;
pub use export::{ExportError, ExportFormat, ExportOptions, write_export};
pub use export::{TextExport, workbook};
pub use host::HostView;
pub use job::{JobRunView, JobView};
pub use message::{MediaView, MessageView, find_message, picture_of};
pub use needs::{DiskSpace, NEEDS, NeedCode, NeedSources, NeedView, StoredNeeds};
pub use overview::{Overview, OverviewSource};
#[cfg(test)]
pub use quota::WaitingView;
pub use quota::{AppView, QuotaView};
pub use recipient::RecipientView;
pub use run::{LeftOutView, OutputLineView, OutputView, RunDetail, find_run};
pub use script::ScriptView;
pub use send::{SendView, send_views};
pub use targets::TargetsView;
pub use wait::{WAITS, WaitView};

pub use crate::delivery::WaitKind;

/// Returns the id of a recipient for a field that only groups have.
fn group_id(call: Call, recipient_id: &str) -> Option<String> {
    (call.recipient() == Call::Group.recipient()).then(|| recipient_id.to_owned())
}
