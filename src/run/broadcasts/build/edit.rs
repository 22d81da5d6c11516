//! Adds the edits of a broadcast's sent messages to a plan.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::core::Call;
use crate::delivery::{EditPreview, EditableMessage, SentMessages, edit_of};
use crate::ledger::{BroadcastId, CorrectedRun, Ledger, NewRecipient};
use crate::protocol::RequestFailure;
use crate::run::services::RunServices;

use super::super::audience::RawRecipient;
use super::super::fault;
use super::PlanBuilder;

/// The sent messages of the broadcast that is edited.
pub(super) struct MessageEdits {
    sent: SentMessages,
    pub(super) preview: EditPreview,
    /// The messages for which the worker makes edits, by their number.
    awaited: HashMap<u64, EditableMessage>,
}

impl MessageEdits {
    pub(super) async fn open(ledger: &Ledger, corrected: &CorrectedRun) -> Result<Self, RequestFailure> {
        let broadcast = ledger.show(BroadcastId(corrected.id)).await.map_err(fault)?;
        let sent = SentMessages::open(ledger, &broadcast).await?;
        Ok(Self { sent, preview: EditPreview::default(), awaited: HashMap::new() })
    }
}

impl PlanBuilder {
    /// Returns the next messages, for the script's function.
    pub(super) async fn edit_page(&mut self) -> Result<Value, RequestFailure> {
        let Some(page) = self.next_sent().await? else {
            return Ok(json!({ "items": [], "messages": [], "lines": [], "done": true }));
        };
        let id_field = self.spec.recipients().id_field();
        let (mut items, mut messages) = (Vec::with_capacity(page.len()), Vec::with_capacity(page.len()));
        for sent in page {
            let mut item: Map<String, Value> = sent.fields.iter().cloned().collect();
            item.insert(id_field.to_owned(), sent.group_id.as_str().into());
            if !sent.users.is_empty() {
                item.insert("users".to_owned(), json!(sent.users));
            }
            items.push(item);
            let mut message = sent.message.clone();
            if let Some(body) = message.get_mut("body").and_then(Value::as_object_mut) {
                body.remove("secret");
                body.remove("thumb_secret");
            }
            messages.push(message);
            self.given += 1;
            if let Some(edits) = &mut self.edits {
                edits.awaited.insert(self.given, sent);
            }
        }
        Ok(json!({ "items": items, "messages": messages, "lines": [], "done": false }))
    }

    /// Adds the same edit of the next messages. Returns whether they were the last.
    pub(super) async fn edit_all_alike(&mut self, services: &RunServices) -> Result<bool, RequestFailure> {
        let Some(page) = self.next_sent().await? else { return Ok(true) };
        let change = self.request.message.clone().unwrap_or_default();
        self.add_edits(services, page.into_iter().map(|sent| (sent, change.clone())).collect()).await?;
        Ok(false)
    }

    /// Adds the edits that the script's function made. A message without an edit stays as it is.
    pub(super) async fn edit_given(
        &mut self,
        services: &RunServices,
        given: Vec<RawRecipient>,
    ) -> Result<(), RequestFailure> {
        let mut made = Vec::with_capacity(given.len());
        for given in given {
            // The worker names a message by its number alone. What the message is, the host knows.
            let sent = self.edits.as_mut().and_then(|edits| edits.awaited.remove(&given.number()));
            let sent = sent.ok_or_else(|| {
                RequestFailure::invalid("message", format!("{}: it is not awaited", given.position()))
            })?;
            match given.message {
                Some(Value::Null) | None => {
                    self.leave_out(&[(sent.group_id, "the script left it as it is".to_owned())]).await?;
                }
                Some(change) => made.push((sent, change)),
            }
        }
        self.add_edits(services, made).await
    }

    /// Reads the next messages that can be edited, and records those that cannot as skipped.
    async fn next_sent(&mut self) -> Result<Option<Vec<EditableMessage>>, RequestFailure> {
        let Some(edits) = &mut self.edits else { return Ok(None) };
        let Some((editable, left_out)) = edits.sent.next(&mut edits.preview).await? else { return Ok(None) };
        self.role.ledger.append_skipped(self.role.lease, &left_out).await.map_err(fault)?;
        Ok(Some(editable))
    }

    async fn leave_out(&mut self, messages: &[(String, String)]) -> Result<(), RequestFailure> {
        let Some(edits) = &mut self.edits else { return Ok(()) };
        let reasons: Vec<String> =
            messages.iter().map(|(group_id, why)| edits.preview.leave_out(group_id, why)).collect();
        self.role.ledger.append_skipped(self.role.lease, &reasons).await.map_err(fault)
    }

    async fn add_edits(
        &mut self,
        services: &RunServices,
        all: Vec<(EditableMessage, Value)>,
    ) -> Result<(), RequestFailure> {
        let from = self.request.corrects.as_ref().and_then(|corrected| corrected.from.clone());
        let (mut recipients, mut unfit) = (Vec::with_capacity(all.len()), Vec::new());
        for (sent, change) in all {
            let edit = match edit_of(&sent.message, &change, from.as_deref()) {
                Ok(edit) => edit,
                Err(why) => {
                    unfit.push((sent.group_id, why));
                    continue;
                }
            };
            let position = format!("the message to {}", sent.group_id);
            let message = match self.checked(services, Call::Edit, edit.clone(), Some(&position)) {
                Ok(message) => message,
                Err(why) => {
                    self.note(services, &position, why)?;
                    continue;
                }
            };
            if let Some(edits) = &mut self.edits {
                edits.preview.add(&sent, &edit);
            }
            recipients.push(NewRecipient {
                zone: None,
                group_id: sent.group_id,
                users: sent.users,
                target: Some(sent.message_id),
                message: Some(message),
                fields: sent.fields,
            });
        }
        if !unfit.is_empty() {
            self.leave_out(&unfit).await?;
        }
        self.role.ledger.append(self.role.lease, &recipients).await.map_err(fault)?;
        let so_far = self.underway.recipients() + recipients.len() as u64;
        self.underway.recipients.set(so_far);
        Ok(())
    }

    /// Logs how many messages cannot be edited, by the reason.
    pub(super) fn log_left_out(&self) {
        for (why, count) in self.edits.iter().flat_map(|edits| &edits.preview.left_out) {
            let messages = crate::message::counted_as(*count, "message is", "messages are");
            tracing::warn!("broadcast `{}`: {messages} not edited: {why}", self.request.name);
        }
    }
}
