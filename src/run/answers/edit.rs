//! Answers the requests to edit messages.

use crate::core::{Call, Priority};
use crate::message::MessageProblems;
use crate::protocol::{HostResponse, RequestFailure};
use crate::run::services::RunServices;

use super::json;

/// Edits messages by their receipts.
pub(super) async fn receipts(
    services: &RunServices,
    app: u32,
    receipts: Vec<(String, String)>,
    change: &[u8],
    priority: Priority,
) -> Result<HostResponse, RequestFailure> {
    let app = services.app(app)?;
    let change = serde_json::from_slice(change)
        .map_err(|error| RequestFailure::invalid("change", format!("the edit cannot be read: {error}")))?;
    let draft = app.check_draft(Call::Edit, change)?;
    app.check_single(services.broadcasts.script_path().as_deref(), Call::Edit, receipts.len())?;
    let edits = receipts.into_iter().map(|(group, message)| draft.edit(group, message));
    let edits = edits.collect::<Result<Vec<_>, MessageProblems>>()?;
    for edit in &edits {
        services.policy.single(app.key(), edit)?;
    }
    json(&app.edit(&edits, priority, &services.origin, &services.stop.stop()).await?)
}
