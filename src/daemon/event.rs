//! Events of a daemon that raise alerts.

use std::time::Duration;

use crate::config::AlertKind;
use crate::delivery::BroadcastSummary;
use crate::message::counted_as;

use super::Alert;

/// An event that the operator may want to know about.
#[derive(Debug, Clone, PartialEq)]
pub enum DaemonEvent {
    RunFailed {
        job: String,
        /// The path of the job's script.
        script: String,
        /// The run's scheduled time.
        run: String,
        /// The error.
        why: String,
    },
    /// A run was interrupted by a crash and is not run again.
    RunInterrupted {
        job: String,
        /// The run's scheduled time.
        run: String,
        /// Why it is not run again.
        why: String,
    },
    /// A run finished, and some of its single messages were not delivered.
    RunUndelivered {
        job: String,
        /// The run's scheduled time.
        run: String,
        /// The number of groups that did not get their message.
        groups: u64,
    },
    /// A broadcast finished, and some of its recipients did not get the message.
    BroadcastUndelivered {
        /// The broadcast's counts.
        report: BroadcastSummary,
    },
    /// A broadcast paused itself, or could not be sent.
    BroadcastHalted { name: String, run: String, why: String },
    /// A script's file failed to load; an earlier version may still be active.
    ScriptStale {
        /// The script's path.
        script: String,
        /// The error: file, line, reason.
        error: String,
    },
}

/// An error that was fixed and comes back may be alerted again after this time.
const HOURLY: Duration = Duration::from_hours(1);

impl DaemonEvent {
    /// Converts the event to an alert.
    pub fn alert(self) -> Alert {
        match self {
            Self::RunFailed { job, script, run, why } => {
                let alert = of_job(AlertKind::RunFailed, job, run, &format!("failed: {why}"));
                Alert { script: Some(script), ..alert }
            }
            Self::RunInterrupted { job, run, why } => {
                let what = format!("was interrupted and is not run again: {why}");
                of_job(AlertKind::RunFailed, job, run, &what)
            }
            Self::RunUndelivered { job, run, groups } => {
                let what = format!(
                    "finished, but {} its message",
                    counted_as(groups, "group did not get", "groups did not get")
                );
                let alert = of_job(AlertKind::Undelivered, job, run, &what);
                Alert { figures: [("undelivered", groups)].into(), ..alert }
            }
            Self::BroadcastUndelivered { report } => {
                let BroadcastSummary { name, run, total, sent, rejected, in_doubt, cancelled, .. } = report;
                let what = format!("finished, but only {sent} of {total} recipients got the message");
                let figures = [
                    ("total", total),
                    ("sent", sent),
                    ("rejected", rejected),
                    ("in_doubt", in_doubt),
                    ("cancelled", cancelled),
                ];
                let figures = figures.into_iter().filter(|(_, count)| *count > 0).collect();
                let alert = of_broadcast("broadcast", name, run, &what);
                // A broadcast may be retried and end this way again.
                Alert { figures, again_after: HOURLY, ..alert }
            }
            Self::BroadcastHalted { name, run, why } => {
                let next = format!("mooncast runs resume '{name}' --run '{run}'");
                let alert = of_broadcast("halted", name, run, &format!("stopped: {why}"));
                Alert { next: Some(next), again_after: HOURLY, ..alert }
            }
            Self::ScriptStale { script, error } => {
                let text = format!("{script} failed to load: {error}");
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
