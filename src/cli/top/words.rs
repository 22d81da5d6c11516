//! Formats the state as text, for the terminal and for the plain snapshot.

use std::time::Duration;

use crate::control::{JobView, ScriptView, WaitView, counts_text, rate_text, span};
use crate::core::BroadcastStatus;

use super::super::runs::{format_time, local_text};
use super::poller::{ListedBroadcast, QuotaUsage};

/// A progress bar of `width` characters.
pub(super) fn bar(standing: &ListedBroadcast, width: usize) -> String {
    let counts = &standing.view.counts;
    let done = counts.total() - counts.pending - counts.sending;
    let full = if counts.total() == 0 {
        0
    } else {
        usize::try_from(u128::from(done) * width as u128 / u128::from(counts.total())).unwrap_or(width)
    };
    "█".repeat(full) + &"░".repeat(width - full.min(width))
}

/// `NAME/RUN`.
pub(super) fn name(standing: &ListedBroadcast) -> String {
    format!("{}/{}", standing.view.name, standing.view.run)
}

/// `120/400`, and the numbers of failures.
pub(super) fn counts(standing: &ListedBroadcast) -> String {
    counts_text(&standing.view.counts, "/")
}

/// `19.8 of 20/s`.
pub(super) fn rate(standing: &ListedBroadcast) -> String {
    match (standing.view.over, standing.view.rate, standing.view.most) {
        (true, ..) | (_, None, _) => String::new(),
        (_, Some(rate), Some(most)) => format!("{} of {}/s", rate_text(rate), rate_text(most)),
        (_, Some(rate), None) => format!("{}/s", rate_text(rate)),
    }
}

/// The remaining time, or the reason for waiting.
pub(super) fn rest(standing: &ListedBroadcast) -> String {
    let view = &standing.view;
    if view.over {
        return view.state.to_string();
    }
    let because = view.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
    if standing.paused {
        return format!("paused{because}");
    }
    if view.state == BroadcastStatus::Cancelling {
        return format!("cancelling{because}");
    }
    if !standing.planned && standing.driven {
        return "building its plan".to_owned();
    }
    let left = view.seconds_left.map(|left| format!("{} left", span(left)));
    let wait = view.waits_for.as_ref();
    let said = |wait: &WaitView| wait.sentence(&local_text);
    match (wait, left) {
        (Some(wait), Some(left)) if wait.kind.is_usual() => format!("{left}, {}", said(wait)),
        (Some(wait), _) => said(wait),
        (None, left) => left.unwrap_or_default(),
    }
}

/// The name of a quota, with its app's name unless that is `default`.
pub(super) fn quota(quota: &QuotaUsage) -> String {
    if quota.app == "default" { quota.quota.to_owned() } else { format!("{}: {}", quota.app, quota.quota) }
}

/// `19.8 of 20/s`, and how many were refused.
pub(super) fn usage(quota: &QuotaUsage) -> String {
    let refused = match quota.throttled {
        0 => String::new(),
        refused => format!(", {refused} refused by the rate limit"),
    };
    format!("{} of {}/s{refused}", rate_text(quota.rate()), rate_text(quota.most))
}

/// A local time, without the date if it is the date of `now`.
fn short(at: &str, now: Duration) -> String {
    let (at, now) = (local_text(at), format_time(now));
    let day = now.split_inclusive(' ').next().unwrap_or_default();
    at.strip_prefix(day).unwrap_or(&at).to_owned()
}

pub(super) fn next(job: &JobView, now: Duration) -> String {
    match (&job.gone_at, &job.paused_at, &job.next_at) {
        (Some(_), ..) => "gone".to_owned(),
        (_, Some(_), _) => "paused".to_owned(),
        (.., Some(at)) => short(at, now),
        _ => job.times.clone(),
    }
}

/// The state of a job's latest run.
pub(super) fn last(job: &JobView, now: Duration) -> String {
    let last = job.last.as_ref();
    last.map_or_else(|| "never ran".to_owned(), |run| format!("{} {}", run.state, short(&run.run, now)))
}

/// The state of a script.
pub(super) fn script(script: &ScriptView, now: Duration) -> String {
    match (&script.error, &script.stale_since) {
        (Some(error), Some(since)) => format!("failed to load since {}: {error}", short(since, now)),
        _ => "active".to_owned(),
    }
}
