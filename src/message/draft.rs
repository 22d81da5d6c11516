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

/// A checked message without `to` and `users`, which a broadcast sends to each of its recipients. Clones are cheap.
///
/// [`Draft::address`] turns it into a [`Message`](super::Message).
#[derive(Clone, PartialEq, Eq)]
pub struct Draft(Arc<SerializedDraft>);

/// The fields of a draft, as read from a script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DraftContent {
    pub(super) call: Call,
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
    /// The JSON of the message as sent, without its recipients.
    json: Bytes,
    body: Range<usize>,
    ext: Option<Range<usize>>,
}

impl Draft {
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

    /// Returns the call that sends the message.
    pub fn call(&self) -> Call {
        self.0.content.call
    }

    /// Returns the type of message.
    pub fn kind(&self) -> MessageKind {
        self.0.content.body.kind()
    }

    /// Returns the sender's user id. With None the service uses `admin`.
    pub fn from(&self) -> Option<&str> {
        self.0.content.from.as_deref()
    }

    /// Returns the content.
    pub fn body(&self) -> &MessageBody {
        &self.0.content.body
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
        self.slice(&self.0.body)
    }

    /// Returns the JSON of `ext`, byte for byte as sent.
    pub fn ext_json(&self) -> Option<&[u8]> {
        self.0.ext.as_ref().map(|range| self.slice(range))
    }

    /// Returns the bytes of `body` and `ext` as sent, which the service's size limit counts.
    pub fn size(&self) -> usize {
        self.0.body.len() + self.0.ext.as_ref().map_or(0, ExactSizeIterator::len)
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
