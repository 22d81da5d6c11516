//! The messages that the service accepted, by id and by group.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::chat::ChatKind;
use super::send::AcceptedMessage;

/// How much of each message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordMode {
    #[default]
    Messages,
    /// Only the number of messages of each group, for runs with a million groups. Such messages cannot be recalled
    /// without force, cannot be edited, and are in no history file.
    Counts,
}

/// One message in one group, as the service received it.
#[derive(Debug, Clone, Serialize)]
pub struct ReceivedMessage {
    /// The message id that the service gave it.
    pub id: String,
    /// What `group` is. Left out of the JSON of a message to a group.
    #[serde(rename = "chat_type", skip_serializing_if = "is_group")]
    pub(super) chat: ChatKind,
    /// The recipient: a group, a user or a room.
    pub group: String,
    /// The users of a targeted message. `None` for a message to the whole group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<String>>,
    /// The sender. `admin` if the request names none.
    pub from: String,
    /// The time of acceptance, in milliseconds since 1970.
    pub at: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recalled: bool,
    /// The `recallMessageExtensionInfo` of the recall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_note: Option<String>,
    /// Whether moderation stopped the message after its call was answered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub moderated: bool,
    /// How often the message was edited.
    #[serde(skip_serializing_if = "is_zero")]
    pub edits: u32,
    /// The whole request as it was sent, without the white space between its parts. An edit changes `body` and `ext`.
    pub raw: Arc<RawValue>,
    /// Whether a user sent the message from an app. Such a message is in history files but not in the totals.
    #[serde(skip)]
    pub(super) by_user: bool,
}

impl ReceivedMessage {
    fn key(&self) -> String {
        self.chat.key(&self.group)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_group(chat: &ChatKind) -> bool {
    *chat == ChatKind::Group
}

/// The accepted messages.
#[derive(Debug)]
pub(super) struct MessageLog {
    keep: RecordMode,
    /// The most stored messages.
    most: usize,
    /// The id of the first stored message. Later ids count up from it.
    first_id: u64,
    next_id: u64,
    /// The stored messages, ordered by id.
    messages: VecDeque<ReceivedMessage>,
    /// By [`ChatKind::key`].
    groups: BTreeMap<String, GroupLog>,
    log: Option<File>,
}

#[derive(Debug, Default)]
struct GroupLog {
    chat: ChatKind,
    count: u64,
    /// The ids of the stored messages.
    ids: VecDeque<u64>,
}

/// A recipient of messages.
#[derive(Debug)]
pub(super) struct ReceivedChat<'a> {
    /// [`ChatKind::key`].
    pub(super) key: &'a str,
    pub(super) chat: ChatKind,
    pub(super) count: u64,
    /// The newest message, if it is stored.
    pub(super) last: Option<&'a ReceivedMessage>,
}

impl MessageLog {
    /// `unix_ms` gives two simulators that start at different times different message ids.
    pub(super) fn new(keep: RecordMode, most: usize, unix_ms: u64) -> Self {
        // 19 digits like the service's ids, up to the year 2540. The first ids of two milliseconds are 500,000 apart.
        let first_id = 1_000_000_000_000_000_000 + (unix_ms % 18_000_000_000_000) * 500_000;
        let (messages, groups) = (VecDeque::new(), BTreeMap::new());
        Self { keep, most, first_id, next_id: first_id, messages, groups, log: None }
    }

    /// From now on, appends a line of JSON to `log` for every message.
    pub(super) fn log_to(&mut self, log: File) {
        self.log = Some(log);
    }

    /// Removes all messages. Ids continue.
    pub(super) fn clear(&mut self) {
        self.first_id = self.next_id;
        self.messages.clear();
        self.groups.clear();
    }

    /// Accepts a message into its groups and returns it as each group got it, in the order of the groups.
    ///
    /// # Errors
    ///
    /// The message cannot be written to the log. Then nothing is accepted.
    pub(super) fn accept(
        &mut self,
        message: AcceptedMessage,
        at: u64,
        moderated: bool,
    ) -> std::io::Result<Vec<ReceivedMessage>> {
        let raw: Arc<RawValue> = RawValue::from_string(message.raw)?.into();
        let received: Vec<_> = message
            .groups
            .into_iter()
            .zip(self.next_id..)
            .map(|(group, id)| ReceivedMessage {
                id: id.to_string(),
                chat: message.chat,
                group,
                users: message.users.clone(),
                from: message.from.clone(),
                at,
                recalled: false,
                recall_note: None,
                moderated,
                edits: 0,
                raw: raw.clone(),
                by_user: message.by_user,
            })
            .collect();
        if let Some(log) = self.log.as_mut().filter(|_| !message.by_user) {
            let mut lines = Vec::new();
            for message in &received {
                serde_json::to_writer(&mut lines, message)?;
                lines.push(b'\n');
            }
            // One write per call. A file has no buffer in this process, so a kill loses nothing.
            log.write_all(&lines)?;
        }
        for message in &received {
            self.store(message.clone());
        }
        Ok(received)
    }

    fn store(&mut self, message: ReceivedMessage) {
        let id = self.next_id;
        self.next_id += 1;
        if !message.by_user {
            let group = self.groups.entry(message.key()).or_default();
            group.chat = message.chat;
            group.count += 1;
            if self.keep == RecordMode::Messages {
                group.ids.push_back(id);
            }
        }
        if self.keep == RecordMode::Counts {
            self.first_id = self.next_id;
            return;
        }
        self.messages.push_back(message);
        if self.messages.len() > self.most
            && let Some(oldest) = self.messages.pop_front()
        {
            if let Some(group) = self.groups.get_mut(&oldest.key())
                && group.ids.front() == Some(&self.first_id)
            {
                group.ids.pop_front();
            }
            self.first_id += 1;
        }
    }

    /// Returns the message with this id, if it is stored.
    pub(super) fn find(&mut self, id: &str) -> Option<&mut ReceivedMessage> {
        let index = self.index(id.parse().ok()?)?;
        self.messages.get_mut(index)
    }

    fn index(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.first_id)?).ok()
    }

    /// Returns all stored messages, ordered by id.
    pub(super) fn stored(&self) -> impl Iterator<Item = &ReceivedMessage> {
        self.messages.iter()
    }

    /// Returns the recipients of messages, by their keys.
    pub(super) fn recipients(&self) -> impl Iterator<Item = ReceivedChat<'_>> {
        self.groups.iter().map(|(key, log)| {
            let last = log.ids.back().and_then(|id| self.messages.get(self.index(*id)?));
            ReceivedChat { key, chat: log.chat, count: log.count, last }
        })
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.groups.iter().map(|(id, group)| (id.clone(), group.count)).collect()
    }

    /// Returns the number of groups that got a message.
    pub(super) fn groups(&self) -> u64 {
        self.groups.values().filter(|log| log.chat == ChatKind::Group).count() as u64
    }

    pub(super) fn count(&self, group: &str) -> u64 {
        self.groups.get(group).map_or(0, |group| group.count)
    }

    /// Returns the stored messages of this group in the order of arrival, without those of users.
    pub(super) fn of_group(&self, group: &str) -> Vec<ReceivedMessage> {
        let ids = self.groups.get(group).into_iter().flat_map(|group| &group.ids);
        ids.filter_map(|&id| self.messages.get(self.index(id)?)).cloned().collect()
    }

    /// Returns the stored messages by group, without those of users.
    pub(super) fn all(&self) -> BTreeMap<String, Vec<ReceivedMessage>> {
        self.groups.keys().map(|group| (group.clone(), self.of_group(group))).collect()
    }
}
