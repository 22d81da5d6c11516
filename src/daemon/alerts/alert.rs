//! One alert, and the words for what a daemon tells of.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;

use crate::config::AlertKind;
use crate::delivery::Report;

/// A run or a broadcast is over once: it is not told again while its alert is remembered.
const ONCE: Duration = Duration::from_hours(30 * 24);

/// A script that was mended and broken again in the same way is told again.
const HOURLY: Duration = Duration::from_hours(1);

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

    /// By which whoever takes alerts knows one that comes twice.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.kind.name(), self.about)
    }

    /// A run of a job failed, or was cut short and is not entered again.
    #[must_use]
    pub fn run_failed(job: &str, run: &str, why: &str) -> Self {
        let text = format!("job `{job}`, run {run}: {why}");
        Self::new(AlertKind::RunFailed, format_args!("{job} {run}"), text).of_job(job, run)
    }

    /// A run of a job ended, and so many groups do not have the single messages that it sent.
    #[must_use]
    pub fn run_undelivered(job: &str, run: &str, groups: u64) -> Self {
        let text = format!("job `{job}`, run {run}: {groups} groups do not have their message");
        let alert = Self::new(AlertKind::Undelivered, format_args!("job {job} {run}"), text);
        Self { figures: [("undelivered", groups)].into(), ..alert.of_job(job, run) }
    }

    /// A broadcast ended, and some of its recipients do not have the message.
    #[must_use]
    pub fn broadcast_undelivered(report: &Report) -> Self {
        let Report { name, run, total, sent, rejected, in_doubt, cancelled, .. } = report;
        let text = format!(
            "broadcast `{name}`, run {run}: {sent} of {total} sent, {rejected} rejected, {in_doubt} in doubt, \
             {cancelled} cancelled"
        );
        let alert = Self::new(AlertKind::Undelivered, format_args!("broadcast {name} {run}"), text);
        let figures = [("total", total), ("sent", sent), ("rejected", rejected), ("in_doubt", in_doubt)];
        let figures = figures.into_iter().chain([("cancelled", cancelled)]);
        Self {
            figures: figures.map(|(name, count)| (name, *count)).collect(),
            ..alert.of_broadcast(name, run)
        }
    }

    /// A broadcast paused by itself, or could not go on.
    #[must_use]
    pub fn broadcast_halted(name: &str, run: &str, why: &str) -> Self {
        let text = format!("broadcast `{name}`, run {run}: {why}");
        let alert = Self::new(AlertKind::Undelivered, format_args!("halted {name} {run}: {why}"), text);
        Self { again_after: HOURLY, ..alert.of_broadcast(name, run) }
    }

    /// A script's file is not in force as it is now.
    #[must_use]
    pub fn script_stale(script: &str, error: &str) -> Self {
        let text = format!("{script} is not in force as it was saved, an earlier version is: {error}");
        Self {
            again_after: HOURLY,
            script: Some(script.to_owned()),
            next: Some(format!("mooncast check {script}")),
            ..Self::new(AlertKind::Stale, format_args!("{script}: {error}"), text)
        }
    }

    fn of_job(self, job: &str, run: &str) -> Self {
        Self { job: Some(job.to_owned()), run: Some(run.to_owned()), ..self }
    }

    fn of_broadcast(self, name: &str, run: &str) -> Self {
        let next = Some(format!("mooncast runs show '{name}' --run {run}"));
        Self { broadcast: Some(name.to_owned()), run: Some(run.to_owned()), next, ..self }
    }
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push_str(" ...");
    }
    text
}
