//! The changed inputs of an unfinished broadcast.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ledger::BroadcastChanges;

/// What changed under an unfinished broadcast that is paused for it: its stored plan beside the new one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangesView {
    /// The inputs that are not what they were when its plan was made.
    pub inputs: Vec<String>,
    /// Recipients that only the new plan has; 0 too where no new plan was built to compare.
    pub added: u64,
    /// The first groups of them, five at the most.
    pub first_added: Vec<String>,
    /// Recipients that only the stored plan has.
    pub removed: u64,
    /// The first groups of them, five at the most.
    pub first_removed: Vec<String>,
    /// The first group whose message differs, where a new plan was built.
    pub group_id: Option<String>,
    /// Its message by the stored plan, in quotes, cut short.
    pub stored_message: Option<String>,
    /// Its message by the new plan, in quotes, cut short.
    pub new_message: Option<String>,
}

impl ChangesView {
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("inputs changed since: {}", self.inputs.join(", "))];
        for (many, first, what) in
            [(self.added, &self.first_added, "added"), (self.removed, &self.first_removed, "removed")]
        {
            if many > 0 {
                let more = if many > first.len() as u64 { ", …" } else { "" };
                lines.push(format!("recipients {what}: {many} ({}{more})", first.join(", ")));
            }
        }
        let messages = self.stored_message.as_ref().zip(self.new_message.as_ref());
        if let (Some(group_id), Some((stored, new))) = (&self.group_id, messages)
            && stored != new
        {
            lines.push(format!("group {group_id} by the stored plan: {stored}"));
            lines.push(format!("group {group_id} by the new plan:    {new}"));
        }
        lines
    }
}

impl From<&BroadcastChanges> for ChangesView {
    fn from(changes: &BroadcastChanges) -> Self {
        let difference = changes.difference.clone().unwrap_or_default();
        let first = difference.first;
        Self {
            inputs: changes.inputs.clone(),
            added: difference.added,
            first_added: difference.first_added,
            removed: difference.removed,
            first_removed: difference.first_removed,
            group_id: first.as_ref().map(|first| first.group_id.clone()),
            stored_message: first.as_ref().map(|first| first.old.clone()),
            new_message: first.map(|first| first.new),
        }
    }
}
