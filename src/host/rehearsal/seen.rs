//! What would be sent, as a rehearsal has seen it.

use std::time::Duration;

use serde_json::Value;

use crate::ledger::{self, BroadcastId, BroadcastSpec};
use crate::message::{Message, MessageCall};

use super::plan::SendFingerprint;

/// Different messages that are shown of a broadcast, besides the largest.
const SAMPLES: usize = 3;

/// Messages that are looked at for samples.
const LOOKED_AT: u64 = 1000;

/// What would go through one app.
#[derive(Debug, Clone, Default)]
pub struct AppTotals {
    /// Its name for scripts.
    pub app: String,
    /// Group messages: a call to three groups has three.
    pub group_messages: u64,
    /// Calls to groups.
    pub group_calls: u64,
    /// Calls to members.
    pub targeted_calls: u64,
    /// Members that these name.
    pub targeted_users: u64,
    /// The first call, since 1970.
    pub first: Option<Duration>,
    /// The last one.
    pub last: Option<Duration>,
    /// The largest message, in bytes that count against the limit.
    pub largest: usize,
}

impl AppTotals {
    pub(super) fn add(&mut self, message: &Message, at: Duration) {
        let groups = message.group_count() as u64;
        match message.call() {
            MessageCall::Group => {
                self.group_messages += groups;
                self.group_calls += 1;
            }
            MessageCall::Targeted => {
                self.targeted_calls += 1;
                self.targeted_users += message.user_count() as u64;
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
    /// Its plan was built.
    Built,
    /// It goes on where an earlier run of this rehearsal's script stopped.
    Resumed,
    /// Nothing of it was left.
    Already,
}

/// One broadcast.
#[derive(Debug, Clone)]
pub struct RehearsedBroadcast {
    /// Its number in the scratch ledger.
    pub id: BroadcastId,
    /// The app's name for scripts.
    pub app: String,
    /// The app's key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Which run of that name.
    pub run: String,
    /// How it came to be sent.
    pub how: BroadcastOrigin,
    /// Its plan.
    pub plan: ledger::BroadcastPlan,
    /// What it was asked to be.
    pub spec: BroadcastSpec,
    /// Lines of its file that were left out.
    pub bad_lines: u64,
    /// What its file was taken for: encoding, rows, separator.
    pub read: Option<String>,
    /// Calls.
    pub calls: u64,
    /// Recipients that would have been sent to.
    pub sent: u64,
    /// The first call, since 1970.
    pub first: Option<Duration>,
    /// The last one.
    pub last: Option<Duration>,
    /// Some of its messages, different ones.
    pub samples: Vec<MessageSample>,
    /// Its largest message.
    pub largest: Option<MessageSample>,
}

impl RehearsedBroadcast {
    pub(super) fn add(&mut self, message: &Message, at: Duration) {
        self.calls += 1;
        self.sent += message.group_count() as u64;
        self.first.get_or_insert(at);
        self.last = Some(at);
        if self.calls <= LOOKED_AT && self.samples.len() < SAMPLES {
            MessageSample::add(&mut self.samples, message);
        }
        if self.largest.as_ref().is_none_or(|largest| message.size() > largest.bytes) {
            self.largest = Some(MessageSample::of(message));
        }
    }
}

/// Single sends.
#[derive(Debug, Clone, Default)]
pub struct RehearsedSends {
    /// The first few different ones.
    pub samples: Vec<MessageSample>,
    /// Calls.
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

/// A message as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageSample {
    /// The groups.
    pub to: Vec<String>,
    /// The members of a targeted one.
    pub users: Vec<String>,
    /// The message without its recipients, and without a file's share-secret.
    pub message: Value,
    /// Bytes that count against the limit.
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

    /// Adds a message that is not shown yet.
    fn add(samples: &mut Vec<Self>, message: &Message) {
        let sample = Self::of(message);
        if samples.iter().all(|known| known.message != sample.message) {
            samples.push(sample);
        }
    }
}
