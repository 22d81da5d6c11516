//! A checked message that has no recipients yet.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::limits::ROUTE_ONLINE;
use super::writer::ObjectWriter;
use super::{MessageBody, MessageCall, MessageKind};

/// A checked message without `to` and `users`: what a broadcast sends to each of its recipients. Cheap to clone.
///
/// [`Draft::address`] makes it a [`Message`](super::Message).
#[derive(Clone, PartialEq, Eq)]
pub struct Draft(Arc<SerializedDraft>);

/// What a draft says, as read from a script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DraftContent {
    pub(super) call: MessageCall,
    pub(super) from: Option<String>,
    pub(super) body: MessageBody,
    pub(super) ext: Option<Map<String, Value>>,
    pub(super) need_group_ack: Option<bool>,
    pub(super) roam_ignore_users: Option<Vec<String>>,
    pub(super) online_only: bool,
}

#[derive(PartialEq, Eq)]
struct SerializedDraft {
    content: DraftContent,
    /// The message as it will be sent, but for its recipients.
    json: Bytes,
    body: Range<usize>,
    ext: Option<Range<usize>>,
}

impl Draft {
    /// # Errors
    ///
    /// None that is known: writing to memory what was read from JSON. It is passed on all the same.
    pub(super) fn new(content: DraftContent) -> serde_json::Result<Self> {
        let mut writer = ObjectWriter::new();
        writer.given("from", content.from.as_ref())?;
        writer.field("type", content.body.kind().name())?;
        writer.given("need_group_ack", content.need_group_ack.as_ref())?;
        writer.given("roam_ignore_users", content.roam_ignore_users.as_ref())?;
        writer.given("routetype", content.online_only.then_some(&ROUTE_ONLINE))?;
        let body = writer.field("body", &content.body)?;
        let ext = writer.given("ext", content.ext.as_ref())?;
        Ok(Self(Arc::new(SerializedDraft { content, json: writer.end().into(), body, ext })))
    }

    /// Which call it is for.
    #[must_use]
    pub fn call(&self) -> MessageCall {
        self.0.content.call
    }

    /// The type of message.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.0.content.body.kind()
    }

    /// The sender's user id; the service takes `admin` when there is none.
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        self.0.content.from.as_deref()
    }

    /// The content.
    #[must_use]
    pub fn body(&self) -> &MessageBody {
        &self.0.content.body
    }

    /// The extension fields.
    #[must_use]
    pub fn ext(&self) -> Option<&Map<String, Value>> {
        self.0.content.ext.as_ref()
    }

    /// Whether members are asked for a receipt of reading; none when the message does not say.
    #[must_use]
    pub fn need_group_ack(&self) -> Option<bool> {
        self.0.content.need_group_ack
    }

    /// The members who do not get the message with their roaming history.
    #[must_use]
    pub fn roam_ignore_users(&self) -> Option<&[String]> {
        self.0.content.roam_ignore_users.as_deref()
    }

    /// Whether only members who are online get it (`routetype`).
    #[must_use]
    pub fn online_only(&self) -> bool {
        self.0.content.online_only
    }

    /// The JSON of `body`, byte for byte as it is sent.
    #[must_use]
    pub fn body_json(&self) -> &[u8] {
        self.slice(&self.0.body)
    }

    /// The JSON of `ext`, byte for byte as it is sent.
    #[must_use]
    pub fn ext_json(&self) -> Option<&[u8]> {
        self.0.ext.as_ref().map(|range| self.slice(range))
    }

    /// Bytes of `body` and `ext` as sent: what the service's size limit counts.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.body.len() + self.0.ext.as_ref().map_or(0, ExactSizeIterator::len)
    }

    /// The JSON of the draft, with sorted keys in `ext`: equal drafts give equal bytes.
    /// [`check_stored`](super::check_stored) reads it back.
    #[must_use]
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

/// Passes on JSON that was written already, so that no second way of writing it can differ.
pub(super) fn verbatim<S: Serializer>(json: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::from_slice::<&RawValue>(json).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// Without the JSON, which holds a file's share-secret.
impl fmt::Debug for Draft {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Draft").field(&self.0.content).finish()
    }
}
