//! What a run would send, as its rehearsal recorded it.

use std::time::Duration;

use serde_json::Value;

use crate::core::{Call, UserScope};
use crate::delivery::EditPreview;
use crate::ledger::{self, AnnouncementUse, BroadcastId, StoredSpec};
use crate::message::Message;

use super::plan::SendFingerprint;

/// The most different messages that are shown of a broadcast, besides the largest.
const SAMPLES: usize = 3;

/// The most recipients that are named of a broadcast.
const RECIPIENTS: usize = 20;

/// The most messages that are considered as samples.
const LOOKED_AT: u64 = 1000;

/// The messages that would go through one app.
#[derive(Debug, Clone, Default)]
pub struct AppTotals {
    /// The app's name in scripts.
    pub app: String,
    /// Group messages: a call to three groups counts as three.
    pub group_messages: u64,
    pub group_calls: u64,
    pub targeted_calls: u64,
    /// Members named in the targeted calls.
    pub targeted_users: u64,
    pub edits: u64,
    /// Messages to users: a call to three users counts as three.
    pub user_messages: u64,
    pub user_calls: u64,
    /// Messages to rooms: a call to three rooms counts as three.
    pub room_messages: u64,
    pub room_calls: u64,
    pub announcements: u64,
    /// The time of the first call, since 1970.
    pub first: Option<Duration>,
    /// The time of the last call, since 1970.
    pub last: Option<Duration>,
    /// The largest message, in the bytes that count against the limit.
    pub largest: usize,
}

impl AppTotals {
    /// Messages as the quotas count them.
    pub fn messages(&self) -> u64 {
        self.group_messages
            + self.targeted_calls
            + self.edits
            + self.user_messages
            + self.room_messages
            + self.announcements
    }

    pub fn calls(&self) -> u64 {
        self.group_calls
            + self.targeted_calls
            + self.edits
            + self.user_calls
            + self.room_calls
            + self.announcements
    }

    pub(super) fn add(&mut self, message: &Message, at: Duration) {
        let recipients = message.recipient_count() as u64;
        match message.call() {
            Call::Group => {
                self.group_messages += recipients;
                self.group_calls += 1;
            }
            Call::Targeted => {
                self.targeted_calls += 1;
                self.targeted_users += message.user_count() as u64;
            }
            Call::Edit => self.edits += 1,
            Call::Announce => self.announcements += 1,
            Call::User => {
                self.user_messages += recipients;
                self.user_calls += 1;
            }
            Call::Room => {
                self.room_messages += recipients;
                self.room_calls += 1;
            }
        }
        self.first.get_or_insert(at);
        self.last = Some(at);
        self.largest = self.largest.max(message.size());
    }
}

/// How a broadcast came to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BroadcastOrigin {
    /// The rehearsal built its plan.
    Built,
    /// It resumes a plan that an earlier run of the script fixed.
    Resumed,
    /// It had nothing left to send.
    Already,
    /// It was rejected or cancelled before.
    Cancelled,
}

#[derive(Debug, Clone)]
pub struct RehearsedBroadcast {
    /// Its id in the temporary ledger.
    pub id: BroadcastId,
    /// The app's name in scripts.
    pub app: String,
    pub key: String,
    pub name: String,
    pub run: String,
    /// How it came to be sent.
    pub how: BroadcastOrigin,
    /// The plan that was fixed.
    pub plan: ledger::BroadcastPlan,
    /// The specification that its script requested.
    pub spec: StoredSpec,
    /// Whether another person must approve it before it is sent.
    pub needs_approval: bool,
    /// Lines of its file that were skipped.
    pub bad_lines: u64,
    /// How its file was read: encoding, rows, separator.
    pub read: Option<String>,
    /// What it does to messages, if it edits them.
    pub edits: Option<EditPreview>,
    /// The number of calls.
    pub calls: u64,
    /// The number of recipients that it would have sent to.
    pub sent: u64,
    /// The time of the first call, since 1970.
    pub first: Option<Duration>,
    /// The time of the last call, since 1970.
    pub last: Option<Duration>,
    /// The first recipients.
    pub recipients: Vec<String>,
    /// Some of its messages, all different.
    pub samples: Vec<MessageSample>,
    pub largest: Option<MessageSample>,
}

impl RehearsedBroadcast {
    pub(super) fn add(&mut self, message: &Message, at: Duration) {
        self.calls += 1;
        self.sent += message.recipient_count() as u64;
        self.first.get_or_insert(at);
        self.last = Some(at);
        let room = RECIPIENTS.saturating_sub(self.recipients.len());
        self.recipients.extend(message.to().iter().take(room).cloned());
        if self.calls <= LOOKED_AT && self.samples.len() < SAMPLES {
            MessageSample::add(&mut self.samples, message);
        }
        if self.largest.as_ref().is_none_or(|largest| message.size() > largest.bytes) {
            self.largest = Some(MessageSample::of(message));
        }
    }
}

/// An announcement that would be made.
#[derive(Debug, Clone)]
pub struct RehearsedAnnouncement {
    /// The app's name in scripts.
    pub app: String,
    pub scope: UserScope,
    /// What counts of the app's announcements with this one, those of earlier runs included.
    pub counted: AnnouncementUse,
}

#[derive(Debug, Clone, Default)]
pub struct RehearsedSends {
    /// The first few different messages.
    pub samples: Vec<MessageSample>,
    /// The number of calls.
    pub calls: u64,
    pub(super) fingerprints: Vec<SendFingerprint>,
}

impl RehearsedSends {
    pub(super) fn add(&mut self, fingerprint: SendFingerprint) {
        self.fingerprints.push(fingerprint);
    }

    pub(super) fn taken(&mut self, message: &Message) {
        self.calls += 1;
        if self.samples.len() < SAMPLES {
            MessageSample::add(&mut self.samples, message);
        }
    }
}

/// A message as it is displayed.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageSample {
    pub to: Vec<String>,
    /// The members, for a targeted message.
    pub users: Vec<String>,
    /// The message without its recipients, and without the share-secret of a file.
    pub message: Value,
    /// The bytes that count against the limit.
    pub bytes: usize,
}

impl MessageSample {
    fn of(message: &Message) -> Self {
        let mut json: Value = serde_json::from_slice(&message.draft().to_json()).unwrap_or_default();
        if let Some(secret) = json.pointer_mut("/body/secret") {
            *secret = Value::from("(hidden)");
        }
        Self {
            to: message.to().to_vec(),
            users: message.users().to_vec(),
            message: json,
            bytes: message.size(),
        }
    }

    /// Adds a message if it is not among the samples yet.
    fn add(samples: &mut Vec<Self>, message: &Message) {
        let sample = Self::of(message);
        if samples.iter().all(|known| known.message != sample.message) {
            samples.push(sample);
        }
    }
}
