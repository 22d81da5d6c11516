//! The messages that the service received, by group.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::send::AcceptedMessage;

/// How much of each message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordMode {
    #[default]
    Messages,
    /// Only the number of messages of each group, for runs with a million groups. Such messages cannot be recalled
    /// without force.
    Counts,
}

/// One message in one group, as the service received it.
#[derive(Debug, Clone, Serialize)]
pub struct ReceivedMessage {
    /// The message id that the service gave it.
    pub id: String,
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
    /// The whole request as it was sent, without the white space between its parts.
    pub raw: Arc<RawValue>,
}

/// All received messages.
#[derive(Debug)]
pub(super) struct MessageLog {
    keep: RecordMode,
    /// The id of the first message. Later ids count up from it.
    first_id: u64,
    next_id: u64,
    /// All stored messages, ordered by id.
    messages: Vec<ReceivedMessage>,
    groups: BTreeMap<String, GroupLog>,
    log: Option<File>,
}

#[derive(Debug, Default)]
struct GroupLog {
    count: u64,
    /// Indices in `messages`.
    places: Vec<usize>,
}

impl MessageLog {
    /// `unix_ms` gives two simulators that start at different times different message ids.
    pub(super) fn new(keep: RecordMode, unix_ms: u64) -> Self {
        // 19 digits like the service's ids, up to the year 2540. The first ids of two milliseconds are 500,000 apart.
        let first_id = 1_000_000_000_000_000_000 + (unix_ms % 18_000_000_000_000) * 500_000;
        Self { keep, first_id, next_id: first_id, messages: Vec::new(), groups: BTreeMap::new(), log: None }
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

    /// Accepts a message into its groups and returns the message ids in the order of the groups.
    ///
    /// # Errors
    ///
    /// The message cannot be written to the log. Then nothing is accepted.
    pub(super) fn accept(&mut self, message: AcceptedMessage, at: u64) -> std::io::Result<Vec<String>> {
        let raw: Arc<RawValue> = RawValue::from_string(message.raw)?.into();
        let received: Vec<_> = message
            .groups
            .into_iter()
            .zip(self.next_id..)
            .map(|(group, id)| ReceivedMessage {
                id: id.to_string(),
                group,
                users: message.users.clone(),
                from: message.from.clone(),
                at,
                recalled: false,
                raw: raw.clone(),
            })
            .collect();
        if let Some(log) = &mut self.log {
            let mut lines = Vec::new();
            for message in &received {
                serde_json::to_writer(&mut lines, message)?;
                lines.push(b'\n');
            }
            // One write per call. A file has no buffer in this process, so a kill loses nothing.
            log.write_all(&lines)?;
        }
        let ids = received.iter().map(|message| message.id.clone()).collect();
        for message in received {
            self.next_id += 1;
            let group = self.groups.entry(message.group.clone()).or_default();
            group.count += 1;
            if self.keep == RecordMode::Messages {
                group.places.push(self.messages.len());
                self.messages.push(message);
            }
        }
        Ok(ids)
    }

    /// Returns the message with this id, if it is stored.
    pub(super) fn find(&mut self, id: &str) -> Option<&mut ReceivedMessage> {
        let place = id.parse::<u64>().ok()?.checked_sub(self.first_id)?;
        self.messages.get_mut(usize::try_from(place).ok()?)
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.groups.iter().map(|(id, group)| (id.clone(), group.count)).collect()
    }

    /// Returns the number of groups that got a message.
    pub(super) fn groups(&self) -> u64 {
        self.groups.len() as u64
    }

    pub(super) fn count(&self, group: &str) -> u64 {
        self.groups.get(group).map_or(0, |group| group.count)
    }

    /// Returns the stored messages of this group in the order of arrival.
    pub(super) fn of_group(&self, group: &str) -> Vec<ReceivedMessage> {
        let places = self.groups.get(group).map(|group| group.places.as_slice()).unwrap_or_default();
        places.iter().filter_map(|&place| self.messages.get(place)).cloned().collect()
    }

    /// Returns all stored messages by group.
    pub(super) fn all(&self) -> BTreeMap<String, Vec<ReceivedMessage>> {
        self.groups.keys().map(|group| (group.clone(), self.of_group(group))).collect()
    }
}
