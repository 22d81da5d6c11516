//! A checked message with its recipients, ready to be sent.

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::Draft;
use super::draft::verbatim;
use super::writer::ObjectWriter;
use crate::core::Call;

/// A message that keeps every limit. Serialises to exactly the bytes of [`Message::to_json`].
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    draft: Draft,
    to: Vec<String>,
    users: Vec<String>,
    json: Bytes,
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
        Ok(Self { draft, to, users, json })
    }

    /// Returns the message without its recipients.
    pub fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Returns the call that sends the message.
    pub fn call(&self) -> Call {
        self.draft.call()
    }

    /// Returns the groups: 1 to 3 for a group message, 1 for a targeted message.
    pub fn to(&self) -> &[String] {
        &self.to
    }

    /// Returns the members of a targeted message, 1 to 20. Empty for a group message.
    pub fn users(&self) -> &[String] {
        &self.users
    }

    /// Returns the number of groups, which is the message's cost in the quota of group messages.
    pub fn group_count(&self) -> usize {
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
