//! A checked message with its recipients, ready to be sent.

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::draft::{ExtraFields, verbatim};
use super::writer::ObjectWriter;
use super::{Draft, MessageBody};
use crate::core::{Call, UserScope};

/// A message that keeps every limit. Serialises to exactly the bytes of [`Message::to_json`].
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    draft: Draft,
    to: Vec<String>,
    users: Vec<String>,
    edits: Option<String>,
    json: Bytes,
}

/// The type and content in one object, as the service takes them for an edit or an announcement.
#[derive(Serialize)]
struct TypedContent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    body: &'a MessageBody,
    #[serde(flatten)]
    extra: &'a ExtraFields,
}

impl Message {
    /// Recipients must have been checked.
    pub(super) fn new(draft: Draft, to: Vec<String>, users: Vec<String>) -> serde_json::Result<Self> {
        let mut writer = ObjectWriter::new();
        writer.field("to", &to)?;
        if !users.is_empty() {
            writer.field("users", &users)?;
        }
        let json = writer.end_with(draft.json()).into();
        Ok(Self { draft, to, users, edits: None, json })
    }

    /// The draft must be an edit, and the ids must have been checked.
    pub(super) fn edit(draft: Draft, group: String, message_id: String) -> serde_json::Result<Self> {
        let mut writer = ObjectWriter::new();
        writer.given("user", draft.from().as_ref())?;
        if let (Some(kind), Some(body)) = (draft.kind(), draft.body()) {
            let extra = draft.body_extra();
            writer.field("new_msg", &TypedContent { kind: kind.name(), body, extra })?;
        }
        writer.given("new_ext", draft.ext())?;
        let json = writer.end().into();
        Ok(Self { draft, to: vec![group], users: Vec::new(), edits: Some(message_id), json })
    }

    /// The draft must be an announcement.
    pub(super) fn announcement(draft: Draft, scope: UserScope) -> serde_json::Result<Self> {
        let mut writer = ObjectWriter::new();
        if scope == UserScope::All {
            writer.field("target_type", "users")?;
        }
        writer.given("from", draft.from().as_ref())?;
        if let (Some(kind), Some(body)) = (draft.kind(), draft.body()) {
            writer.field("msg", &TypedContent { kind: kind.name(), body, extra: draft.body_extra() })?;
        }
        writer.given("ext", draft.ext())?;
        for (name, value) in draft.extra() {
            writer.field(name, value)?;
        }
        let json = writer.end().into();
        Ok(Self { draft, to: vec![scope.name().to_owned()], users: Vec::new(), edits: None, json })
    }

    /// Returns the users that an announcement goes to; None for any other message.
    pub fn scope(&self) -> Option<UserScope> {
        if self.call() != Call::Announce {
            return None;
        }
        self.to.first().and_then(|scope| UserScope::from_name(scope))
    }

    /// Returns the id of the message that this one edits; None for a message of its own.
    pub fn edits(&self) -> Option<&str> {
        self.edits.as_deref()
    }

    /// Returns the message with one more field in `ext`. The caller has checked that it keeps the limits with it.
    pub fn with_ext(&self, name: &str, value: serde_json::Value) -> serde_json::Result<Self> {
        Self::new(self.draft.with_ext(name, value)?, self.to.clone(), self.users.clone())
    }

    /// Returns the message without its recipients.
    pub fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Returns the call that sends the message.
    pub fn call(&self) -> Call {
        self.draft.call()
    }

    /// Returns the recipients of the call: groups, users or rooms, at most [`Call::max_recipients`]. Of an announcement
    /// the word of its [`UserScope`].
    pub fn to(&self) -> &[String] {
        &self.to
    }

    /// Returns the members of a targeted message, 1 to 20. Empty for a group message.
    pub fn users(&self) -> &[String] {
        &self.users
    }

    /// Returns the number of recipients, which is the message's cost in a quota that counts messages.
    pub fn recipient_count(&self) -> usize {
        self.to.len()
    }

    /// Returns the number of members, which is the message's cost in a targeted quota that counts users.
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// Returns the bytes of `body` and `ext` as sent, which the service's size limit counts.
    pub fn size(&self) -> usize {
        self.draft.size()
    }

    /// Returns the request's JSON. It is written once, and the size check uses these bytes.
    pub fn to_json(&self) -> Bytes {
        self.json.clone()
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        verbatim(&self.json, serializer)
    }
}

/// Leaves out the JSON, which holds a file's share-secret.
impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("to", &self.to)
            .field("users", &self.users)
            .field("draft", &self.draft)
            .finish_non_exhaustive()
    }
}
