//! A checked message without recipients.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::limits::ROUTE_ONLINE;
use super::writer::ObjectWriter;
use super::{MessageBody, MessageKind};
use crate::core::Call;

/// The sender of a message without `from` (vendor's page, request body).
pub const DEFAULT_SENDER: &str = "admin";

/// A checked message without `to` and `users`, which a broadcast sends to each of its recipients. Clones are cheap.
///
/// [`Draft::address`] turns it into a [`Message`](super::Message).
#[derive(Clone, PartialEq, Eq)]
pub struct Draft(Arc<SerializedDraft>);

/// The fields of a draft, as read from a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DraftContent {
    pub(super) call: Call,
    pub(super) from: Option<String>,
    /// `None` for an edit of `ext` alone that does not say which type of message it edits.
    pub(super) kind: Option<MessageKind>,
    /// `None` for an edit of `ext` alone.
    pub(super) body: Option<MessageBody>,
    pub(super) ext: Option<Map<String, Value>>,
    pub(super) need_group_ack: Option<bool>,
    pub(super) roam_ignore_users: Option<Vec<String>>,
    pub(super) online_only: bool,
    /// The route of the message's callbacks.
    pub(super) env: Option<String>,
    /// Whether the sender's own devices get the message.
    pub(super) sync_device: Option<bool>,
    /// Of a message to rooms.
    pub(super) room_level: Option<String>,
    /// Fields that were not checked.
    pub(super) extra: ExtraFields,
    /// Fields of `body` that were not checked.
    pub(super) body_extra: ExtraFields,
}

/// Fields that were not checked. Their values are not shown, since one can be a share-secret.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct ExtraFields(pub(super) Map<String, Value>);

impl fmt::Debug for ExtraFields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.keys()).finish()
    }
}

/// A `body` with the fields that were not checked.
#[derive(Serialize)]
struct WholeBody<'a> {
    #[serde(flatten)]
    body: &'a MessageBody,
    #[serde(flatten)]
    extra: &'a ExtraFields,
}

#[derive(PartialEq, Eq)]
struct SerializedDraft {
    content: DraftContent,
    /// The JSON of the message as sent, without its recipients.
    json: Bytes,
    body: Option<Range<usize>>,
    ext: Option<Range<usize>>,
}

impl Draft {
    pub(super) fn new(content: DraftContent) -> serde_json::Result<Self> {
        let mut writer = ObjectWriter::new();
        writer.given("from", content.from.as_ref())?;
        writer.given("type", content.kind.map(MessageKind::name).as_ref())?;
        writer.given("need_group_ack", content.need_group_ack.as_ref())?;
        writer.given("roam_ignore_users", content.roam_ignore_users.as_ref())?;
        writer.given("routetype", content.online_only.then_some(&ROUTE_ONLINE))?;
        writer.given("env", content.env.as_ref())?;
        writer.given("sync_device", content.sync_device.as_ref())?;
        writer.given("chatroom_msg_level", content.room_level.as_ref())?;
        for (name, value) in &content.extra.0 {
            writer.field(name, value)?;
        }
        let extra = &content.body_extra;
        let body = content.body.as_ref().map(|body| WholeBody { body, extra });
        let body = writer.given("body", body.as_ref())?;
        let ext = writer.given("ext", content.ext.as_ref())?;
        Ok(Self(Arc::new(SerializedDraft { content, json: writer.end().into(), body, ext })))
    }

    /// Returns the draft with one more field in `ext`. The limits are not checked again.
    pub(super) fn with_ext(&self, name: &str, value: Value) -> serde_json::Result<Self> {
        let mut content = self.0.content.clone();
        content.ext.get_or_insert_default().insert(name.to_owned(), value);
        Self::new(content)
    }

    /// Returns the call that sends the message.
    pub fn call(&self) -> Call {
        self.0.content.call
    }

    /// Returns the type of message. None for some edits of `ext` alone.
    pub fn kind(&self) -> Option<MessageKind> {
        self.0.content.kind
    }

    /// Returns the sender's user id. With None the service uses `admin`.
    pub fn from(&self) -> Option<&str> {
        self.0.content.from.as_deref()
    }

    /// Returns the content. None for an edit of `ext` alone.
    pub fn body(&self) -> Option<&MessageBody> {
        self.0.content.body.as_ref()
    }

    /// Returns the fields of `body` that were not checked.
    pub(super) fn body_extra(&self) -> &ExtraFields {
        &self.0.content.body_extra
    }

    /// Returns the fields beside `body` that were not checked.
    pub(super) fn extra(&self) -> &Map<String, Value> {
        &self.0.content.extra.0
    }

    /// Returns the extension fields.
    pub fn ext(&self) -> Option<&Map<String, Value>> {
        self.0.content.ext.as_ref()
    }

    /// Returns whether members are asked for a read receipt; None if the message does not say.
    pub fn need_group_ack(&self) -> Option<bool> {
        self.0.content.need_group_ack
    }

    /// Returns the members whose roaming history leaves the message out.
    pub fn roam_ignore_users(&self) -> Option<&[String]> {
        self.0.content.roam_ignore_users.as_deref()
    }

    /// Returns whether only members who are online get the message (`routetype`).
    pub fn online_only(&self) -> bool {
        self.0.content.online_only
    }

    /// Returns the JSON of `body`, byte for byte as sent.
    pub fn body_json(&self) -> &[u8] {
        self.0.body.as_ref().map_or(&[], |range| self.slice(range))
    }

    /// Returns the JSON of `ext`, byte for byte as sent.
    pub fn ext_json(&self) -> Option<&[u8]> {
        self.0.ext.as_ref().map(|range| self.slice(range))
    }

    /// Returns the bytes of `body` and `ext` as sent, which the service's size limit counts.
    pub fn size(&self) -> usize {
        let length = |range: &Option<Range<usize>>| range.as_ref().map_or(0, ExactSizeIterator::len);
        length(&self.0.body) + length(&self.0.ext)
    }

    /// Returns the JSON of the draft, with sorted keys in `ext`, so that equal drafts give equal bytes.
    /// [`check_stored`](super::check_stored) reads it back.
    pub fn to_json(&self) -> Bytes {
        self.0.json.clone()
    }

    pub(super) fn json(&self) -> &[u8] {
        &self.0.json
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.0.json.get(range.clone()).unwrap_or_default()
    }
}

impl Serialize for Draft {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        verbatim(&self.0.json, serializer)
    }
}

/// Serialises JSON that is already written. Serialising the value again could give other bytes.
pub(super) fn verbatim<S: Serializer>(json: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::from_slice::<&RawValue>(json).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// Leaves out the JSON, which holds a file's share-secret.
impl fmt::Debug for Draft {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Draft").field(&self.0.content).finish()
    }
}
