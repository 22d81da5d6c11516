//! Events of a daemon that raise alerts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::AlertKind;
use crate::delivery::BroadcastSummary;

use super::{Alert, AlertSubject, AlertText};

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
        /// The number of recipients that did not get their message.
        recipients: u64,
        /// The number of recipients that may or may not have their message.
        in_doubt: u64,
        /// The calls of `im.request` that may or may not have been made.
        calls: u64,
        /// Why it was cancelled, if it was.
        cancelled: Option<String>,
    },
    /// A process ended before the answers to some of its single sends and calls of `im.request` came.
    SendsAbandoned {
        /// The number of the newest of them.
        newest: i64,
        /// The single sends in doubt.
        sends: u64,
        /// The calls of `im.request` in doubt.
        calls: u64,
    },
    /// A broadcast finished, and some of its recipients did not get the message.
    BroadcastUndelivered {
        /// The broadcast's counts.
        report: BroadcastSummary,
        /// By whom and why it was cancelled, if it was and that is known.
        cancelled: Option<String>,
    },
    /// A broadcast finished, and all of its recipients got the message, except those that it skipped.
    BroadcastFinished {
        /// The broadcast's counts.
        report: BroadcastSummary,
    },
    /// The service's records settled the last doubt of a broadcast.
    BroadcastReconciled {
        name: String,
        run: String,
        /// The recipients that got the message.
        sent: u64,
        total: u64,
    },
    /// The service has no record of some sent messages of a broadcast.
    MessagesMissing {
        name: String,
        run: String,
        /// The number of messages.
        missing: u64,
    },
    /// A broadcast paused itself, or could not be sent.
    BroadcastHalted { name: String, run: String, why: String },
    /// A broadcast waits for an approval.
    AwaitingApproval {
        name: String,
        run: String,
        /// Where the page has it: a whole address, or a path if `[serve] public_url` is not set.
        page: String,
        /// The hash of what is to be approved.
        hash: String,
        recipients: u64,
        /// Who began it; empty if a schedule, a hook or an event did.
        begun_by: Vec<String>,
    },
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
                let values = vec![("why", why.into())];
                let mut alert = of_job(AlertKind::RunFailed, "run_failed", job, run, values);
                alert.subject.script = Some(script);
                alert
            }
            Self::RunInterrupted { job, run, why } => {
                of_job(AlertKind::RunFailed, "run_interrupted", job, run, vec![("why", why.into())])
            }
            Self::RunUndelivered { job, run, recipients, in_doubt, calls, cancelled } => {
                let counts = [
                    ("recipients_missed", recipients),
                    ("recipients_in_doubt", in_doubt),
                    ("calls_in_doubt", calls),
                ];
                run_undelivered(job, run, &counts, cancelled)
            }
            Self::SendsAbandoned { newest, sends, calls } => of_sends(newest, sends, calls),
            Self::BroadcastUndelivered { report, cancelled } => broadcast_undelivered(report, cancelled),
            Self::BroadcastFinished { report } => {
                let values = [("n", report.sent), ("skipped", report.skipped)];
                let (kind, figures) = (AlertKind::Finished, figures(&report));
                let alert =
                    of_broadcast(kind, "broadcast", "broadcast_finished", report.name, report.run, values);
                Alert { figures, again_after: HOURLY, ..alert }
            }
            Self::BroadcastReconciled { name, run, sent, total } => {
                let values = [("sent", sent), ("total", total)];
                let alert = of_broadcast(
                    AlertKind::Reconciled,
                    "broadcast",
                    "broadcast_reconciled",
                    name,
                    run,
                    values,
                );
                Alert { figures: [("sent", sent), ("total", total)].into(), again_after: HOURLY, ..alert }
            }
            Self::MessagesMissing { name, run, missing } => {
                let values = [("n", missing)];
                let alert =
                    of_broadcast(AlertKind::Undelivered, "missing", "messages_missing", name, run, values);
                Alert { figures: [("missing", missing)].into(), again_after: HOURLY, ..alert }
            }
            Self::BroadcastHalted { name, run, why } => {
                let next = format!("mooncast runs resume '{name}' --run '{run}'");
                let values = [("why", why)];
                let alert =
                    of_broadcast(AlertKind::Undelivered, "halted", "broadcast_halted", name, run, values);
                Alert { next: Some(next.into()), again_after: HOURLY, ..alert }
            }
            Self::AwaitingApproval { name, run, page, hash, recipients, begun_by } => {
                let count = AlertText::named("approval_recipients", [("n", recipients.to_string())]);
                let by = if begun_by.is_empty() {
                    AlertText::named("begun_by_nobody", [("n", String::new())])
                } else {
                    AlertText::named("begun_by", [("who", begun_by.join(", "))])
                };
                let values = vec![
                    ("name", name.clone().into()),
                    ("run", run.clone().into()),
                    ("recipients", count),
                    ("by", by),
                ];
                let text = AlertText::Named("awaiting_approval", values);
                // Once for each plan.
                let about = format!("approval {name} {run} {hash}");
                let next =
                    [("page", page), ("command", format!("mooncast runs approve '{name}' --run '{run}'"))];
                let next = Some(AlertText::named("approval_next", next));
                let subject =
                    AlertSubject { broadcast: Some(name), run: Some(run), ..AlertSubject::default() };
                let figures = [("recipients", recipients)].into();
                Alert { next, subject, figures, ..Alert::new(AlertKind::AwaitingApproval, about, text) }
            }
            Self::ScriptStale { script, error } => {
                let about = format!("{script} {error}");
                let text = AlertText::named("script_stale", [("script", script.clone()), ("error", error)]);
                let next = Some(format!("mooncast check '{script}'").into());
                let subject = AlertSubject { script: Some(script), ..AlertSubject::default() };
                Alert { subject, next, again_after: HOURLY, ..Alert::new(AlertKind::Stale, about, text) }
            }
        }
    }
}

/// The counts of a broadcast that are not 0.
fn figures(report: &BroadcastSummary) -> BTreeMap<&'static str, u64> {
    let &BroadcastSummary { total, sent, rejected, in_doubt, skipped, cancelled, .. } = report;
    let figures = [
        ("total", total),
        ("sent", sent),
        ("rejected", rejected),
        ("in_doubt", in_doubt),
        ("skipped", skipped),
        ("cancelled", cancelled),
    ];
    figures.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// An alert about single sends and calls in doubt. Once for each of them, by the number of the newest.
fn of_sends(newest: i64, sends: u64, calls: u64) -> Alert {
    let what = listed(&[("sends_in_doubt", sends), ("calls_in_doubt", calls)]);
    let text = AlertText::Named("sends_abandoned", vec![("what", what)]);
    let figures = [("sends_in_doubt", sends), ("requests_in_doubt", calls)];
    Alert {
        next: Some("mooncast runs list".to_owned().into()),
        figures: figures.into_iter().filter(|(_, count)| *count > 0).collect(),
        ..Alert::new(AlertKind::Undelivered, format_args!("sends {newest}"), text)
    }
}

/// The counts that are not 0, by the names of their texts. Of none, the first.
fn listed(counts: &[(&'static str, u64)]) -> AlertText {
    let text = |(name, n): &(&'static str, u64)| AlertText::named(name, [("n", n.to_string())]);
    let texts = counts.iter().filter(|(_, n)| *n > 0).map(text).rev();
    let listed = texts.reduce(|other, one| AlertText::Named("and", vec![("one", one), ("other", other)]));
    listed.or_else(|| counts.first().map(text)).unwrap_or_else(|| AlertText::Plain(String::new()))
}

/// The alert about a run that did not deliver all its single messages: those missed, those in doubt, and calls in doubt.
fn run_undelivered(
    job: String,
    run: String,
    counts: &[(&'static str, u64); 3],
    cancelled: Option<String>,
) -> Alert {
    let [(_, missed), (_, in_doubt), (_, calls)] = *counts;
    let (text, why) = match cancelled {
        Some(why) => ("run_cancelled", Some(("why", why.into()))),
        None => ("run_undelivered", None),
    };
    let values = why.into_iter().chain([("what", listed(counts))]).collect();
    let figures = [("undelivered", missed + in_doubt), ("in_doubt", in_doubt), ("requests_in_doubt", calls)];
    let alert = of_job(AlertKind::Undelivered, text, job, run, values);
    Alert { figures: figures.into_iter().filter(|(_, count)| *count > 0).collect(), ..alert }
}

/// The alert about a broadcast that did not reach all its recipients.
fn broadcast_undelivered(report: BroadcastSummary, cancelled: Option<String>) -> Alert {
    let BroadcastSummary { sent, total, in_doubt, skipped, .. } = report;
    let missed = total.saturating_sub(sent + in_doubt + skipped);
    let reached = match (in_doubt, missed) {
        (0, _) => "reached_only",
        (_, 0) => "reached_or_in_doubt",
        _ => "reached_in_doubt_or_missed",
    };
    let counts = [("sent", sent), ("total", total), ("n", in_doubt), ("missed", missed)];
    let what = AlertText::named(reached, counts.map(|(name, count)| (name, count.to_string())));
    let text = if cancelled.is_some() { "broadcast_cancelled" } else { "broadcast_undelivered" };
    let values = [("what", what), ("why", cancelled.unwrap_or_default().into())];
    let (kind, figures) = (AlertKind::Undelivered, figures(&report));
    let alert = of_broadcast(kind, "broadcast", text, report.name, report.run, values);
    // A broadcast may be retried and end this way again.
    Alert { figures, again_after: HOURLY, ..alert }
}

fn of_job(
    kind: AlertKind,
    text: &'static str,
    job: String,
    run: String,
    mut values: Vec<(&'static str, AlertText)>,
) -> Alert {
    values.extend([("job", job.clone().into()), ("run", run.clone().into())]);
    let alert = Alert::new(kind, format_args!("job {job} {run}"), AlertText::Named(text, values));
    let next = Some(format!("mooncast jobs show '{job}'").into());
    let subject = AlertSubject { job: Some(job), run: Some(run), ..AlertSubject::default() };
    Alert { next, subject, ..alert }
}

/// An alert about a broadcast. `word` is part of its key.
fn of_broadcast<const N: usize>(
    kind: AlertKind,
    word: &str,
    text: &'static str,
    name: String,
    run: String,
    values: [(&'static str, impl Into<AlertText>); N],
) -> Alert {
    let values = values.map(|(key, value)| (key, value.into()));
    let mut values = Vec::from(values);
    values.extend([("name", name.clone().into()), ("run", run.clone().into())]);
    let alert = Alert::new(kind, format_args!("{word} {name} {run}"), AlertText::Named(text, values));
    let next = Some(format!("mooncast runs show '{name}' --run '{run}'").into());
    let subject = AlertSubject { broadcast: Some(name), run: Some(run), ..AlertSubject::default() };
    Alert { next, subject, ..alert }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    #[test]
    fn a_reason_of_the_ledger_is_in_the_language_of_its_receiver() {
        let why =
            "20 failures in a row, the last: POST /messages/chatgroups: refused: status 403 not a member";
        let (name, run) = ("spring".to_owned(), "1".to_owned());
        let alert = DaemonEvent::BroadcastHalted { name, run, why: why.to_owned() }.alert();
        assert!(alert.say(Language::English).ends_with(why));
        assert_eq!(
            alert.say(Language::Chinese),
            "群发 `spring` 的运行 1 已停止：连续失败 20 次，最后一次：POST /messages/chatgroups：被拒绝：状态码 403 not a member"
        );
    }

    #[test]
    fn recipients_in_doubt_are_not_said_to_lack_the_message() {
        let alert = |sent: u64, in_doubt: u64, rejected: u64| {
            let report = serde_json::json!({
                "name": "spring", "run": "1", "total": sent + in_doubt + rejected, "sent": sent, "rejected": rejected,
                "in_doubt": in_doubt, "skipped": 0, "cancelled": 0, "duplicates": 0, "elapsed": 1.0, "rate": 1.0,
            });
            let report = serde_json::from_value(report).unwrap();
            DaemonEvent::BroadcastUndelivered { report, cancelled: None }.alert()
        };
        for (alert, english, chinese) in [
            (
                alert(0, 10, 0),
                "of 10 recipients, 0 certainly got the message, and 10 are in doubt and may have it",
                "10 个接收方中，确定收到消息的有 0 个，存疑（可能已收到）的有 10 个",
            ),
            (
                alert(7, 1, 2),
                "of 10 recipients, 7 certainly got the message, 1 is in doubt and may have it, and 2 did not get it",
                "确定收到消息的有 7 个，存疑（可能已收到）的有 1 个，没有收到的有 2 个",
            ),
            (alert(8, 0, 2), "but only 8 of 10 recipients got the message", "10 个接收方中只有 8 个收到消息"),
        ] {
            let texts = [Language::English, Language::Chinese].map(|language| alert.say(language));
            assert!(texts[0].ends_with(english) && texts[1].ends_with(chinese), "{texts:?}");
        }
    }

    #[test]
    fn what_a_run_did_not_deliver_and_calls_in_doubt_are_told_apart() {
        let alert = |recipients, in_doubt, calls| {
            let (job, run) = ("welcome".to_owned(), "2026-01-05T09:00:00Z".to_owned());
            DaemonEvent::RunUndelivered { job, run, recipients, in_doubt, calls, cancelled: None }.alert()
        };
        let both = alert(2, 0, 1);
        let text = both.say(Language::English);
        assert!(text.contains("2 recipients did not get its message, and 1 call of im.request is in doubt"));
        assert_eq!(both.figures, [("requests_in_doubt", 1), ("undelivered", 2)].into());
        let doubts = alert(1, 3, 0);
        let text = doubts.say(Language::English);
        let told = "1 recipient did not get its message, and 3 recipients are in doubt and may have it";
        assert!(text.ends_with(told), "{text}");
        assert_eq!(doubts.figures, [("in_doubt", 3), ("undelivered", 4)].into());
        let call = alert(0, 0, 1);
        let text = call.say(Language::English);
        assert!(text.contains("but 1 call") && !text.contains("recipient"), "{text}");
    }
}
