//! What happens in a daemon that people may want to be told of.

use crate::config::AlertKind;
use crate::delivery::Report;

use super::Alert;

/// Something that people may want to be told of.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
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
        report: Report,
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

impl Event {
    /// As an alert.
    #[must_use]
    pub fn alert(self) -> (AlertKind, Alert) {
        match self {
            Self::RunFailed { job, script, run, why } => {
                let alert = of_job(job, run, &format!("failed: {why}"));
                (AlertKind::RunFailed, Alert { script: Some(script), ..alert })
            }
            Self::RunInterrupted { job, run, why } => {
                let what = format!("was killed half-way and is not entered again: {why}");
                (AlertKind::RunFailed, of_job(job, run, &what))
            }
            Self::RunUndelivered { job, run, groups } => {
                let alert =
                    of_job(job, run, &format!("ended, and {groups} groups do not have their message"));
                (AlertKind::Undelivered, Alert { figures: [("undelivered", groups)].into(), ..alert })
            }
            Self::BroadcastUndelivered { report } => {
                let Report { name, run, total, sent, rejected, in_doubt, cancelled, .. } = report;
                let what = format!("ended, and {sent} of {total} have the message");
                let figures = [
                    ("total", total),
                    ("sent", sent),
                    ("rejected", rejected),
                    ("in_doubt", in_doubt),
                    ("cancelled", cancelled),
                ];
                let figures = figures.into_iter().filter(|(_, count)| *count > 0).collect();
                (AlertKind::Undelivered, Alert { figures, ..of_broadcast(name, run, &what) })
            }
            Self::BroadcastHalted { name, run, why } => {
                let next = format!("mooncast runs resume '{name}' --run '{run}'");
                let alert = of_broadcast(name, run, &format!("stopped: {why}"));
                (AlertKind::Undelivered, Alert { next: Some(next), ..alert })
            }
            Self::ScriptStale { script, error } => {
                let text = format!("{script} is not in force as it is now: {error}");
                let about = format!("{script} {error}");
                (AlertKind::Stale, Alert { about, text, script: Some(script), ..Alert::default() })
            }
        }
    }
}

fn of_job(job: String, run: String, what: &str) -> Alert {
    Alert {
        about: format!("job {job} {run}"),
        text: format!("job `{job}`, run {run}, {what}"),
        next: Some(format!("mooncast jobs show '{job}'")),
        job: Some(job),
        run: Some(run),
        ..Alert::default()
    }
}

fn of_broadcast(name: String, run: String, what: &str) -> Alert {
    Alert {
        about: format!("broadcast {name} {run}"),
        text: format!("broadcast `{name}`, run {run}, {what}"),
        next: Some(format!("mooncast runs show '{name}' --run '{run}'")),
        broadcast: Some(name),
        run: Some(run),
        ..Alert::default()
    }
}
