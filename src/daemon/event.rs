//! What happens in a daemon that people may want to be told of.

use std::time::Duration;

use crate::config::AlertKind;
use crate::delivery::BroadcastSummary;
use crate::message::counted_as;

use super::Alert;

/// Something that people may want to be told of.
#[derive(Debug, Clone, PartialEq)]
pub enum DaemonEvent {
    /// A run of a job ended with an error.
    RunFailed {
        /// The job.
        job: String,
        /// Its script.
        script: String,
        /// Which run: its instant.
        run: String,
        /// What happened.
        why: String,
    },
    /// A run was killed half-way and is not entered again.
    RunInterrupted {
        /// The job.
        job: String,
        /// Which run: its instant.
        run: String,
        /// Why it is not entered again.
        why: String,
    },
    /// A run ended, and some of the single messages that it sent are not delivered.
    RunUndelivered {
        /// The job.
        job: String,
        /// Which run: its instant.
        run: String,
        /// Groups that do not have their message.
        groups: u64,
    },
    /// A broadcast ended, and some of its recipients do not have the message.
    BroadcastUndelivered {
        /// What it came to.
        report: BroadcastSummary,
    },
    /// A broadcast paused by itself, or could not be driven.
    BroadcastHalted {
        /// Its name.
        name: String,
        /// Which run of that name.
        run: String,
        /// Why.
        why: String,
    },
    /// A script's file is not in force as it is now.
    ScriptStale {
        /// The script.
        script: String,
        /// What is wrong with it: file, line, reason.
        error: String,
    },
}

/// What was mended and is broken again in the same way is told again.
const HOURLY: Duration = Duration::from_hours(1);

impl DaemonEvent {
    /// As an alert.
    #[must_use]
    pub fn alert(self) -> Alert {
        match self {
            Self::RunFailed { job, script, run, why } => {
                let alert = of_job(AlertKind::RunFailed, job, run, &format!("failed: {why}"));
                Alert { script: Some(script), ..alert }
            }
            Self::RunInterrupted { job, run, why } => {
                let what = format!("was killed half-way and is not entered again: {why}");
                of_job(AlertKind::RunFailed, job, run, &what)
            }
            Self::RunUndelivered { job, run, groups } => {
                let what = format!(
                    "ended, and {} its message",
                    counted_as(groups, "group does not have", "groups do not have")
                );
                let alert = of_job(AlertKind::Undelivered, job, run, &what);
                Alert { figures: [("undelivered", groups)].into(), ..alert }
            }
            Self::BroadcastUndelivered { report } => {
                let BroadcastSummary { name, run, total, sent, rejected, in_doubt, cancelled, .. } = report;
                let what = format!("ended, and {sent} of {total} have the message");
                let figures = [
                    ("total", total),
                    ("sent", sent),
                    ("rejected", rejected),
                    ("in_doubt", in_doubt),
                    ("cancelled", cancelled),
                ];
                let figures = figures.into_iter().filter(|(_, count)| *count > 0).collect();
                let alert = of_broadcast("broadcast", name, run, &what);
                // It may be retried, and end so again.
                Alert { figures, again_after: HOURLY, ..alert }
            }
            Self::BroadcastHalted { name, run, why } => {
                let next = format!("mooncast runs resume '{name}' --run '{run}'");
                let alert = of_broadcast("halted", name, run, &format!("stopped: {why}"));
                Alert { next: Some(next), again_after: HOURLY, ..alert }
            }
            Self::ScriptStale { script, error } => {
                let text = format!("{script} is not in force as it is now: {error}");
                let alert = Alert::new(AlertKind::Stale, format_args!("{script} {error}"), text);
                let next = Some(format!("mooncast check '{script}'"));
                Alert { script: Some(script), next, again_after: HOURLY, ..alert }
            }
        }
    }
}

fn of_job(kind: AlertKind, job: String, run: String, what: &str) -> Alert {
    let text = format!("job `{job}`, run {run}, {what}");
    let alert = Alert::new(kind, format_args!("job {job} {run}"), text);
    let next = Some(format!("mooncast jobs show '{job}'"));
    Alert { next, job: Some(job), run: Some(run), ..alert }
}

fn of_broadcast(word: &str, name: String, run: String, what: &str) -> Alert {
    let text = format!("broadcast `{name}`, run {run}, {what}");
    let alert = Alert::new(AlertKind::Undelivered, format_args!("{word} {name} {run}"), text);
    let next = Some(format!("mooncast runs show '{name}' --run '{run}'"));
    Alert { next, broadcast: Some(name), run: Some(run), ..alert }
}
