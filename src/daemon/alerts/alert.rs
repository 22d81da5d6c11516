//! The alert type, and the key by which two alerts count as the same.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;

use crate::config::AlertKind;
use crate::language::Language;

use super::text::AlertText;

/// A run or a broadcast finishes once, so its alert is not repeated while the ledger remembers its key.
const ONCE: Duration = Duration::from_hours(30 * 24);

/// The longest text, in bytes. Error messages can be long.
const LONGEST_TEXT: usize = 4000;

/// The longest subject of a key, in bytes.
const LONGEST_ABOUT: usize = 500;

/// A message to the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The kind of event. The `[alerts] events` setting selects kinds.
    pub kind: AlertKind,
    /// The subject. Together with the kind it forms the key: `digest 2026-11-23T09:00:00Z`.
    pub about: String,
    /// The time after delivery before an alert with the same key is sent again. Default and maximum: 30 days.
    pub again_after: Duration,
    /// The message, one sentence.
    pub text: AlertText,
    /// The suggested action, usually a command.
    pub next: Option<AlertText>,
    /// What it is about.
    pub subject: AlertSubject,
    /// Counts by name.
    pub figures: BTreeMap<&'static str, u64>,
}

/// The job, broadcast, script or app of an alert.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AlertSubject {
    /// The script's path, if the alert is about a script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The job's name, if the alert is about a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The broadcast's name, if the alert is about a broadcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<String>,
    /// The run of the job or the broadcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The app's name, if the alert is about an app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
}

impl Alert {
    /// Creates an alert with a text and no other details.
    pub fn new(kind: AlertKind, about: impl Display, text: AlertText) -> Self {
        Self {
            kind,
            about: cut(about.to_string(), LONGEST_ABOUT),
            again_after: ONCE,
            text,
            next: None,
            subject: AlertSubject::default(),
            figures: BTreeMap::new(),
        }
    }

    /// The job, broadcast, script or app of the alert, without the run. The per-minute limit counts alerts by it.
    pub(super) fn counted_by(&self) -> String {
        let AlertSubject { script, job, broadcast, app, .. } = &self.subject;
        let about = [job, broadcast, script, app].into_iter().flatten().next();
        format!("{} {}", self.kind.name(), about.map_or(self.about.as_str(), String::as_str))
    }

    /// The key that identifies the alert. A receiver uses it to drop duplicates.
    pub fn key(&self) -> String {
        format!("{} {}", self.kind.name(), self.about)
    }

    /// Its text, at most 4,000 bytes.
    pub fn say(&self, language: Language) -> String {
        cut(self.text.say(language), LONGEST_TEXT)
    }
}

/// Cuts a text to at most `most` bytes, and marks that it was cut.
pub(super) fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub(4)));
        text.push_str(" ...");
    }
    text
}
