//! The alert type, and the key by which two alerts count as the same.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;

use crate::config::AlertKind;

/// A run or a broadcast finishes once, so its alert is not repeated while the ledger remembers its key.
const ONCE: Duration = Duration::from_hours(30 * 24);

/// The longest text, in bytes. Error messages can be long.
const LONGEST_TEXT: usize = 4000;

/// The longest subject of a key, in bytes.
const LONGEST_ABOUT: usize = 500;

/// A message to the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// The kind of event. The `[alerts] events` setting selects kinds.
    #[serde(skip)]
    pub kind: AlertKind,
    /// The subject. Together with the kind it forms the key: `digest 2026-11-23T09:00:00Z`.
    #[serde(skip)]
    pub about: String,
    /// The time after delivery before an alert with the same key is sent again. Default and maximum: 30 days.
    #[serde(skip)]
    pub again_after: Duration,
    /// The message, one sentence.
    pub text: String,
    /// The suggested action, usually a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
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
    /// Counts by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<&'static str, u64>,
}

impl Alert {
    /// Creates an alert with a text and no other details.
    pub fn new(kind: AlertKind, about: impl Display, text: impl Display) -> Self {
        Self {
            kind,
            about: cut(about.to_string(), LONGEST_ABOUT),
            again_after: ONCE,
            text: cut(text.to_string(), LONGEST_TEXT),
            next: None,
            script: None,
            job: None,
            broadcast: None,
            run: None,
            app: None,
            figures: BTreeMap::new(),
        }
    }

    /// The job, broadcast, script or app of the alert, without the run. The per-minute limit counts alerts by it.
    pub(super) fn subject(&self) -> String {
        let parts = [&self.job, &self.broadcast, &self.script, &self.app];
        let about = parts.into_iter().flatten().next();
        format!("{} {}", self.kind.name(), about.map_or(self.about.as_str(), String::as_str))
    }

    /// The key that identifies the alert. A receiver uses it to drop duplicates.
    pub fn key(&self) -> String {
        format!("{} {}", self.kind.name(), self.about)
    }
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push_str(" ...");
    }
    text
}
