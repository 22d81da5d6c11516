//! Taking messages back.

use serde::Serialize;

use crate::client::{self, RECALL_MAX};

use super::{Delivery, Stop, Undelivered};

/// What became of a recall.
#[derive(Debug, Default, Serialize)]
pub struct Recalled {
    /// How many messages were recalled.
    pub recalled: usize,
    /// Those that were not.
    pub failed: Vec<NotRecalled>,
}

/// A message that was not recalled.
#[derive(Debug, Serialize)]
pub struct NotRecalled {
    /// The group that has it.
    pub group_id: String,
    /// The message.
    pub message_id: String,
    /// The service's word for why.
    pub reason: String,
}

impl Delivery {
    /// Recalls messages, 30 a call (contract). A recall may be repeated: what is recalled stays recalled.
    ///
    /// # Errors
    ///
    /// [`Undelivered`] when a call did not get through; what was recalled before stays recalled.
    pub async fn recall(
        &self,
        receipts: &[(String, String)],
        force: bool,
        from: Option<&str>,
        stop: &Stop,
    ) -> Result<Recalled, Undelivered> {
        let mut outcome = Recalled::default();
        for batch in receipts.chunks(RECALL_MAX) {
            let messages: Vec<client::Recall> = batch
                .iter()
                .map(|(group, message)| client::Recall {
                    msg_id: message.clone(),
                    to: group.clone(),
                    from: from.map(str::to_owned),
                    force,
                })
                .collect();
            for answer in self.ask(stop, || self.client.recall(&messages)).await? {
                if answer.recalled {
                    outcome.recalled += 1;
                } else {
                    let group_id = batch
                        .iter()
                        .find(|(_, message)| *message == answer.msg_id)
                        .map_or_else(String::new, |(group, _)| group.clone());
                    let reason = if answer.note.is_empty() { "not recalled".to_owned() } else { answer.note };
                    outcome.failed.push(NotRecalled { group_id, message_id: answer.msg_id, reason });
                }
            }
        }
        Ok(outcome)
    }
}
