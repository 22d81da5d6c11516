//! A checked message with its recipients, ready to be sent.

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::draft::verbatim;
use super::writer::ObjectWriter;
use super::{Draft, MessageCall};

/// A message that keeps every limit. Serialises to the very bytes of [`Message::to_json`].
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    draft: Draft,
    to: Vec<String>,
    users: Vec<String>,
    json: Bytes,
}

impl Message {
    /// Recipients must have been checked.
    ///
    /// # Errors
    ///
    /// None that is known, as with [`Draft`].
    pub(super) fn new(draft: Draft, to: Vec<String>, users: Vec<String>) -> serde_json::Result<Self> {
        let mut writer = ObjectWriter::new();
        writer.field("to", &to)?;
        if !users.is_empty() {
            writer.field("users", &users)?;
        }
        let json = writer.end_with(draft.json()).into();
        Ok(Self { draft, to, users, json })
    }

    /// All but the recipients.
    #[must_use]
    pub fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Which call it is for.
    #[must_use]
    pub fn call(&self) -> MessageCall {
        self.draft.call()
    }

    /// The groups, 1 to 3; of a targeted message one.
    #[must_use]
    pub fn to(&self) -> &[String] {
        &self.to
    }

    /// The members of a targeted message, 1 to 20; of a group message none.
    #[must_use]
    pub fn users(&self) -> &[String] {
        &self.users
    }

    /// How many groups it goes to: what it costs of the quota of group messages.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.to.len()
    }

    /// How many members it names: what it costs of the targeted quota where that is counted by user.
    #[must_use]
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// Bytes of `body` and `ext` as sent: what the service's size limit counts.
    #[must_use]
    pub fn size(&self) -> usize {
        self.draft.size()
    }

    /// The request's JSON. It was written once, and its size was checked on these bytes.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        self.json.clone()
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        verbatim(&self.json, serializer)
    }
}

/// Without the JSON, which holds a file's share-secret.
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
