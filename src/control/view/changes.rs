//! The changed inputs of an unfinished broadcast.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::group_id;
use crate::core::Call;
use crate::ledger::BroadcastChanges;

/// The changed inputs of an unfinished broadcast that was paused because of them: its stored plan compared with the new
/// one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangesView {
    /// The inputs that changed since its plan was made.
    pub inputs: Vec<String>,
    /// The number of recipients that only the new plan has. Also 0 if no new plan was built.
    pub added: u64,
    /// The IDs of the first of them, at most five.
    pub first_added: Vec<String>,
    /// The number of recipients that only the stored plan has.
    pub removed: u64,
    /// The IDs of the first of them, at most five.
    pub first_removed: Vec<String>,
    /// The first recipient whose message differs, if a new plan was built.
    pub recipient_id: Option<String>,
    /// What the recipients are: `group`, `user` or `room`.
    pub recipient_kind: String,
    /// The same as `recipient_id`, of a broadcast to groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// Its message in the stored plan, quoted and shortened.
    pub stored_message: Option<String>,
    /// Its message in the new plan, quoted and shortened.
    pub new_message: Option<String>,
}

impl ChangesView {
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("inputs changed since the plan was made: {}", self.inputs.join(", "))];
        for (many, first, what) in
            [(self.added, &self.first_added, "added"), (self.removed, &self.first_removed, "removed")]
        {
            if many > 0 {
                let more = if many > first.len() as u64 { ", …" } else { "" };
                lines.push(format!("recipients {what}: {many} ({}{more})", first.join(", ")));
            }
        }
        let messages = self.stored_message.as_ref().zip(self.new_message.as_ref());
        if let (Some(id), Some((stored, new))) = (&self.recipient_id, messages)
            && stored != new
        {
            let kind = &self.recipient_kind;
            lines.push(format!("{kind} {id} by the stored plan: {stored}"));
            lines.push(format!("{kind} {id} by the new plan:    {new}"));
        }
        lines
    }
}

impl ChangesView {
    /// The changes of a broadcast that this call sends.
    pub fn of(changes: &BroadcastChanges, call: Call) -> Self {
        let difference = changes.difference.clone().unwrap_or_default();
        let first = difference.first;
        Self {
            inputs: changes.inputs.clone(),
            added: difference.added,
            first_added: difference.first_added,
            removed: difference.removed,
            first_removed: difference.first_removed,
            recipient_id: first.as_ref().map(|first| first.group_id.clone()),
            recipient_kind: call.recipient().to_owned(),
            group_id: first.as_ref().and_then(|first| group_id(call, &first.group_id)),
            stored_message: first.as_ref().map(|first| first.old.clone()),
            new_message: first.map(|first| first.new),
        }
    }
}
