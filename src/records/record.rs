//! A message as the service records it.

use serde_json::Value;

use crate::message::MessageKind;

use super::fields::{Fields, object, optional, required, time_ms};
use super::{MatchKey, RecordError};

/// A message from a callback or from a history file. The service reports rooms as groups.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageRecord {
    /// The id that the service gave the message.
    pub message_id: String,
    /// Whether the message is to a user, and not to a group or a room.
    pub is_user: bool,
    /// The id of the group, room or user.
    pub group: String,
    /// The sender's user id.
    pub sender: String,
    /// When the service accepted the message, in milliseconds since 1970-01-01T00:00:00Z, by the service's clock.
    pub at_ms: i64,
    /// None for a type that Mooncast does not send.
    pub kind: Option<MessageKind>,
    /// What a send must have in common with this record. None for a type that Mooncast does not send.
    pub key: Option<MatchKey>,
    /// The first and only entry of `bodies`, with its `type`.
    pub body: Fields,
    /// The extension fields; empty if the record has none.
    pub ext: Fields,
}

impl MessageRecord {
    /// Reads the message of a callback, whose `chat_type` the caller has checked.
    pub(super) fn of_callback(fields: &Fields) -> Result<Self, RecordError> {
        let payload = object(fields, "payload").ok_or(RecordError::Field("payload"))?;
        let is_user = is_user(&required(fields, "chat_type")?);
        let group = optional(fields, "group_id").filter(|_| !is_user);
        let group = group.map_or_else(|| required(fields, "to"), Ok)?;
        Self::new(fields, payload, is_user, group, required(fields, "from")?)
    }

    /// Reads a line of a history file; None for a message that is not an outgoing one to a group, a room or a user.
    ///
    /// # Errors
    ///
    /// The line is not JSON, or lacks a field. Then it is not known whether the line is about a message of ours.
    pub fn of_history_line(line: &[u8]) -> Result<Option<Self>, RecordError> {
        let fields: Fields = serde_json::from_slice(line)?;
        let is_outgoing = required(&fields, "direction")? == "outgoing";
        let chat_type = required(&fields, "chat_type")?;
        let is_user = is_user(&chat_type);
        if !is_outgoing || !(is_user || is_group(&chat_type)) {
            return Ok(None);
        }
        // `from` and `to` beside the payload are the service's internal names.
        let payload = object(&fields, "payload").ok_or(RecordError::Field("payload"))?;
        let (group, sender) = (required(payload, "to")?, required(payload, "from")?);
        Self::new(&fields, payload, is_user, group, sender).map(Some)
    }

    fn new(
        fields: &Fields,
        payload: &Fields,
        is_user: bool,
        group: String,
        sender: String,
    ) -> Result<Self, RecordError> {
        let bodies = payload.get("bodies").and_then(Value::as_array).map(Vec::as_slice);
        let Some([Value::Object(body)]) = bodies else { return Err(RecordError::Field("bodies")) };
        let none = Fields::new();
        let ext = match payload.get("ext") {
            None | Some(Value::Null) => &none,
            Some(Value::Object(ext)) => ext,
            Some(_) => return Err(RecordError::Field("ext")),
        };
        let kind = MessageKind::from_name(&required(body, "type")?);
        let key =
            kind.map(|kind| MatchKey::of_record(is_user, &group, &sender, kind, body, ext)).transpose()?;
        Ok(Self {
            message_id: required(fields, "msg_id")?,
            at_ms: time_ms(fields, "timestamp")?,
            kind,
            key,
            body: body.clone(),
            ext: ext.clone(),
            is_user,
            group,
            sender,
        })
    }
}

/// Whether a `chat_type` is that of a user.
pub(super) fn is_user(chat_type: &str) -> bool {
    chat_type == "chat"
}

/// Whether a `chat_type` is that of a group or a room.
pub(super) fn is_group(chat_type: &str) -> bool {
    matches!(chat_type, "groupchat" | "chatroom")
}
