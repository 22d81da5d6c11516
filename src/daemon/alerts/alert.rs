//! One alert, and what makes it the same as another.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;

use crate::config::AlertKind;

/// A run or a broadcast is over once: it is not told again while its alert is remembered.
const ONCE: Duration = Duration::from_hours(30 * 24);

/// Bytes of a text: an error's may be long.
const LONGEST_TEXT: usize = 4000;

/// Bytes of what a key is about.
const LONGEST_ABOUT: usize = 500;

/// Something that people are to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// What it tells of.
    #[serde(skip)]
    pub kind: AlertKind,
    /// What makes it the same as another of its kind: `digest 2026-11-23T09:00:00Z`.
    #[serde(skip)]
    pub about: String,
    /// How long after its delivery the same may be told again. Default 30 days, which is the longest.
    #[serde(skip)]
    pub again_after: Duration,
    /// In one sentence.
    pub text: String,
    /// What helps: a command, mostly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The script that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The broadcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<String>,
    /// Which run of the job or the broadcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Counts, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<&'static str, u64>,
}

impl Alert {
    /// One with nothing but its text.
    #[must_use]
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

    /// What it is about, whichever run: by this alerts are counted.
    pub(super) fn subject(&self) -> String {
        let parts = [&self.job, &self.broadcast, &self.script, &self.app];
        let about = parts.into_iter().flatten().next();
        format!("{} {}", self.kind.name(), about.map_or(self.about.as_str(), String::as_str))
    }

    /// By which whoever takes alerts knows one that comes twice.
    #[must_use]
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
