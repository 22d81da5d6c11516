//! The results of a rehearsal as numbers: the printed JSON document, and the source of the text.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::{AppLimits, TargetedCost};
use crate::core::{Call, UserScope, sha256_hex};
use crate::delivery::EditPreview;
use crate::protocol::LuaSource;
use crate::run::rehearsal::{
    AppTotals, BroadcastOrigin, MessageSample, RehearsalProblem, RehearsedAnnouncement, RehearsedBroadcast,
    RehearsedUpload, SkippedEffect,
};
use crate::run::{FileChange, RunEnd, RunError, StoreChange};

use super::dry_run::DryRun;
use super::targets::TargetsReport;

#[derive(Debug, Serialize)]
pub(super) struct RehearsalReport {
    pub(super) script: String,
    /// The SHA-256 of the script's text, in hexadecimal.
    pub(super) script_sha256: String,
    /// The environment, if one was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) env: Option<String>,
    /// `finished`, `failed` or `interrupted`.
    pub(super) outcome: &'static str,
    pub(super) error: Option<ScriptFailure>,
    /// Whether everything would be delivered.
    pub(super) deliverable: bool,
    pub(super) plan: Option<String>,
    pub(super) command: Option<String>,
    pub(super) starts_at: String,
    pub(super) totals: RehearsalTotals,
    pub(super) duration: RehearsalDuration,
    pub(super) largest_message: LargestMessage,
    /// The test messages of campaigns. They are among the single sends too.
    pub(super) test_messages: u64,
    pub(super) apps: Vec<AppReport>,
    pub(super) broadcasts: Vec<BroadcastReport>,
    pub(super) single_sends: SinglesReport,
    pub(super) announcements: Vec<AnnouncementReport>,
    pub(super) problems: ProblemsReport,
    pub(super) uploads: Vec<RehearsedUpload>,
    pub(super) not_sent: Vec<SkippedEffect>,
    pub(super) files: Vec<FileChange>,
    pub(super) store: Vec<StoreChange>,
    pub(super) targets: Option<TargetsReport>,
}

#[derive(Debug, Serialize)]
pub(super) struct ScriptFailure {
    pub(super) message: String,
    pub(super) traceback: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct RehearsalTotals {
    pub(super) broadcasts: usize,
    /// The recipients in the broadcasts' plans.
    pub(super) recipients: u64,
    /// Messages as the quotas count them: one per group, one per targeted call.
    pub(super) messages: u64,
    pub(super) calls: u64,
    pub(super) single_sends: u64,
    pub(super) duplicates: u64,
    pub(super) skipped: u64,
    pub(super) uploads: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct RehearsalDuration {
    /// Seconds at the full quota.
    pub(super) at_quota: f64,
    /// Seconds at this project's share of the quota.
    pub(super) at_share: f64,
    /// Seconds from the first call to the last in the rehearsal, with windows, caps and waits.
    pub(super) rehearsed: f64,
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct LargestMessage {
    pub(super) bytes: u64,
    pub(super) limit: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct AppReport {
    pub(super) app: String,
    pub(super) group_messages: u64,
    pub(super) group_calls: u64,
    pub(super) targeted_calls: u64,
    pub(super) targeted_users: u64,
    pub(super) edits: u64,
    pub(super) user_messages: u64,
    pub(super) user_calls: u64,
    pub(super) room_messages: u64,
    pub(super) room_calls: u64,
    pub(super) announcements: u64,
    pub(super) group_per_second: u32,
    pub(super) targeted_per_second: u32,
    pub(super) edit_per_second: u32,
    pub(super) user_messages_per_minute: u32,
    pub(super) room_messages_per_second: u32,
    pub(super) share: f64,
    pub(super) seconds_at_quota: f64,
    pub(super) seconds_at_share: f64,
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct BroadcastReport {
    pub(super) app: String,
    pub(super) name: String,
    pub(super) run: String,
    /// `built`, `resumed`, `already` or `cancelled`.
    pub(super) state: &'static str,
    pub(super) targeted: bool,
    /// `group`, `targeted`, `edit`, `user` or `room`.
    pub(super) kind: Call,
    pub(super) recipients: u64,
    pub(super) sent: u64,
    pub(super) calls: u64,
    pub(super) duplicates: u64,
    pub(super) excluded: u64,
    pub(super) skipped: u64,
    pub(super) bad_lines: u64,
    /// Recipients of the plan that are on the suppression list.
    pub(super) suppressed: u64,
    /// Recipients of the plan whose groups are at the cap.
    pub(super) capped: u64,
    /// Whether it is sent to those on the suppression list too.
    #[serde(rename = "override")]
    pub(super) overrides: bool,
    /// Whether another person must approve it before it is sent.
    pub(super) needs_approval: bool,
    pub(super) read: Option<String>,
    /// What it does to messages, if it edits them.
    pub(super) edits: Option<EditPreview>,
    pub(super) largest_message_bytes: u64,
    pub(super) hash: String,
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
    pub(super) seconds: f64,
    pub(super) first_recipients: Vec<String>,
    pub(super) samples: Vec<SampleReport>,
    pub(super) largest: Option<SampleReport>,
}

#[derive(Debug, Serialize)]
pub(super) struct SampleReport {
    pub(super) to: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) users: Vec<String>,
    pub(super) bytes: usize,
    pub(super) message: serde_json::Value,
}

#[derive(Debug, Serialize)]
pub(super) struct SinglesReport {
    pub(super) calls: u64,
    pub(super) samples: Vec<SampleReport>,
}

impl AppReport {
    /// Whether the app sends something else than announcements, which have limits of their own.
    pub(super) const fn uses_quotas(&self) -> bool {
        self.group_messages + self.targeted_calls + self.edits + self.user_messages + self.room_messages > 0
    }
}

/// An announcement that would be made. It is one of the single sends too.
#[derive(Debug, Serialize)]
pub(super) struct AnnouncementReport {
    pub(super) app: String,
    /// `all` or `online`.
    pub(super) to: UserScope,
    /// How many count today with this one, those of earlier runs included.
    pub(super) used: u32,
    pub(super) per_day: u32,
    /// When another one is possible afterwards.
    pub(super) next_at: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ProblemsReport {
    pub(super) total: u64,
    /// The number of messages or recipients with problems.
    pub(super) messages: u64,
    /// The first problems.
    pub(super) listed: Vec<RehearsalProblem>,
}

impl RehearsalReport {
    pub(super) fn new(dry_run: &DryRun, script: &LuaSource, targets: Option<TargetsReport>) -> Self {
        let rehearsal = &dry_run.rehearsal;
        let apps: Vec<AppReport> = rehearsal
            .apps()
            .iter()
            .map(|totals| {
                let app = dry_run.apps.iter().find(|app| app.name() == totals.app);
                app_report(totals, &app.map_or_else(AppLimits::default, |app| app.settings()))
            })
            .collect();
        let broadcasts: Vec<_> = rehearsal.broadcasts().iter().map(broadcast_report).collect();
        let singles = rehearsal.singles();
        let (outcome, error) = outcome(&dry_run.ended);
        let totals = rehearsal.apps();
        let first = totals.iter().filter_map(|totals| totals.first).min();
        let last = totals.iter().filter_map(|totals| totals.last).max();
        let most = |of: fn(&AppReport) -> f64| apps.iter().map(of).fold(0.0, f64::max);
        let sum = |of: fn(&BroadcastReport) -> u64| broadcasts.iter().map(of).sum();
        let problems = rehearsal.problems();
        // A message that was only planned counts too. One that exceeds the limit is among the problems.
        let planned = broadcasts.iter().map(|seen| seen.largest_message_bytes).max().unwrap_or_default();
        let sent = totals.iter().map(|totals| totals.largest as u64).max().unwrap_or_default();
        let can_be_sent = targets.as_ref().is_none_or(TargetsReport::none_missing);
        let deliverable = dry_run.is_deliverable() && targets.as_ref().is_none_or(TargetsReport::is_clean);
        let limit = dry_run.apps.first().map_or(0, |app| app.settings().message_bytes);
        Self {
            script: script.name.clone(),
            script_sha256: sha256_hex(&script.text),
            env: None,
            outcome,
            error,
            deliverable,
            plan: dry_run.plan().filter(|_| can_be_sent).map(|plan| plan.to_string()),
            command: None,
            starts_at: format_time(dry_run.start),
            totals: RehearsalTotals {
                broadcasts: broadcasts.len(),
                recipients: sum(|seen| seen.recipients),
                messages: totals.iter().map(AppTotals::messages).sum(),
                calls: totals.iter().map(AppTotals::calls).sum(),
                single_sends: singles.calls,
                duplicates: sum(|seen| seen.duplicates),
                skipped: sum(|seen| seen.skipped),
                uploads: rehearsal.uploads().len(),
            },
            duration: RehearsalDuration {
                at_quota: most(|app| app.seconds_at_quota),
                at_share: most(|app| app.seconds_at_share),
                rehearsed: seconds(first, last),
                first: first.map(format_time),
                last: last.map(format_time),
            },
            largest_message: LargestMessage { bytes: planned.max(sent), limit },
            test_messages: dry_run.tests,
            announcements: rehearsal.announcements().iter().map(announcement_report).collect(),
            single_sends: SinglesReport {
                calls: singles.calls,
                samples: singles.samples.iter().map(sample).collect(),
            },
            problems: ProblemsReport {
                total: problems.total(),
                messages: problems.messages(),
                listed: problems.listed().to_vec(),
            },
            apps,
            broadcasts,
            uploads: rehearsal.uploads(),
            not_sent: rehearsal.not_sent(),
            files: dry_run.files.clone(),
            store: dry_run.store.clone(),
            targets,
        }
    }
}

fn outcome(ended: &RunEnd) -> (&'static str, Option<ScriptFailure>) {
    match ended {
        RunEnd::Finished => ("finished", None),
        RunEnd::Interrupted => ("interrupted", None),
        RunEnd::Failed(RunError::Script(error)) => {
            let (message, traceback) = (error.message.clone(), error.traceback.clone());
            ("failed", Some(ScriptFailure { message, traceback }))
        }
        RunEnd::Failed(failed) => {
            ("failed", Some(ScriptFailure { message: failed.to_string(), traceback: Vec::new() }))
        }
    }
}

fn app_report(totals: &AppTotals, limits: &AppLimits) -> AppReport {
    let targeted_cost = match limits.targeted_cost {
        TargetedCost::Call => totals.targeted_calls,
        TargetedCost::User => totals.targeted_users,
    };
    let at_quota = (totals.group_messages as f64 / f64::from(limits.group_per_second))
        .max(targeted_cost as f64 / f64::from(limits.targeted_per_second))
        .max(totals.edits as f64 / f64::from(limits.edit_per_second))
        .max(totals.user_messages as f64 * 60.0 / f64::from(limits.user_messages_per_minute))
        .max(totals.user_calls as f64 / f64::from(limits.user_calls_per_second))
        .max(totals.room_messages as f64 / f64::from(limits.room_messages_per_second))
        .max(match limits.room_calls_per_second {
            0 => 0.0,
            calls => totals.room_calls as f64 / f64::from(calls),
        });
    AppReport {
        app: totals.app.clone(),
        group_messages: totals.group_messages,
        group_calls: totals.group_calls,
        targeted_calls: totals.targeted_calls,
        targeted_users: totals.targeted_users,
        edits: totals.edits,
        user_messages: totals.user_messages,
        user_calls: totals.user_calls,
        room_messages: totals.room_messages,
        room_calls: totals.room_calls,
        announcements: totals.announcements,
        group_per_second: limits.group_per_second,
        targeted_per_second: limits.targeted_per_second,
        edit_per_second: limits.edit_per_second,
        user_messages_per_minute: limits.user_messages_per_minute,
        room_messages_per_second: limits.room_messages_per_second,
        share: limits.share,
        seconds_at_quota: at_quota,
        seconds_at_share: at_quota / limits.share,
        first: totals.first.map(format_time),
        last: totals.last.map(format_time),
    }
}

fn broadcast_report(seen: &RehearsedBroadcast) -> BroadcastReport {
    BroadcastReport {
        app: seen.app.clone(),
        name: seen.name.clone(),
        run: seen.run.clone(),
        state: match seen.how {
            BroadcastOrigin::Built => "built",
            BroadcastOrigin::Resumed => "resumed",
            BroadcastOrigin::Already => "already",
            BroadcastOrigin::Cancelled => "cancelled",
        },
        targeted: seen.spec.call == Call::Targeted,
        kind: seen.spec.call,
        recipients: seen.plan.total,
        sent: seen.sent,
        calls: seen.calls,
        duplicates: seen.plan.duplicates,
        excluded: seen.plan.excluded,
        skipped: seen.plan.skipped,
        bad_lines: seen.bad_lines,
        suppressed: seen.plan.suppressed,
        capped: seen.plan.capped,
        overrides: seen.spec.overrides,
        needs_approval: seen.needs_approval,
        read: seen.read.clone(),
        edits: seen.edits.clone(),
        largest_message_bytes: seen.plan.largest_message_bytes,
        hash: seen.plan.hash.clone(),
        first: seen.first.map(format_time),
        last: seen.last.map(format_time),
        seconds: seconds(seen.first, seen.last),
        first_recipients: seen.recipients.clone(),
        samples: seen.samples.iter().map(sample).collect(),
        largest: seen.largest.as_ref().map(sample),
    }
}

fn announcement_report(seen: &RehearsedAnnouncement) -> AnnouncementReport {
    AnnouncementReport {
        app: seen.app.clone(),
        to: seen.scope,
        used: seen.counted.used,
        per_day: seen.counted.per_day,
        next_at: format_time(seen.counted.next_at),
    }
}

fn sample(sample: &MessageSample) -> SampleReport {
    SampleReport {
        to: sample.to.clone(),
        users: sample.users.clone(),
        bytes: sample.bytes,
        message: sample.message.clone(),
    }
}

fn seconds(first: Option<Duration>, last: Option<Duration>) -> f64 {
    first.zip(last).map_or(0.0, |(first, last)| last.saturating_sub(first).as_secs_f64())
}

/// A time as text. A time outside the calendar's range is shown as a number of seconds.
fn format_time(at: Duration) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string())
}
