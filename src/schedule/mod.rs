//! When jobs run: the scheduled times of a script's `schedule` calls, and the policy for missed ones. Pure.
//!
//! **Scheduled times** are times since 1970-01-01T00:00:00Z. A job always has the same times, so a restart, a reload
//! or a second process shifts none of them. Each time occurs once.
//!
//! **Daylight saving** is decided only in `zone.rs` and `cron.rs`:
//! - A cron expression that names hours (`30 2 * * *`, `*/15 9-17 * * *`, `0 */2 * * *`) means times of the day. A
//!   time that the spring gap leaves out runs at the first instant after the gap; several such times run once. A time
//!   that the autumn fold repeats runs at the first of its two instants. So a daily job runs each day, and never
//!   twice.
//! - An expression for every hour (`*/15 * * * *`, `0 * * * *`) follows the clocks: times in the gap do not occur,
//!   and times in the fold occur twice. So `*/15 * * * *` runs every 15 minutes through both.
//! - `at` with a text without an offset is also a time of the day.
//! - `every` ignores zones: it runs at the multiples of its length, counted from 1970-01-01T00:00:00Z. Lengths that
//!   divide a day (`15m`, `1h 30m`) therefore start at each midnight, UTC. Other lengths (`7m`, `36h`) keep an even
//!   distance and have no fixed start.
//!
//! A hook (`hook.rs`) is a job without scheduled times: each accepted request is a run. So is a job that runs for the
//! events of the chat service (`event.rs`).
//!
//! **Workdays** (`workdays.rs`): with a calendar, a cron expression has times on workdays only.
//!
//! **Missed times** are those found more than [`missed::TOLERANCE`] late; `missed.rs` has the rules.

mod at;
mod cron;
mod event;
mod hook;
mod job;
mod missed;
mod options;
mod pattern;
mod problem;
mod workdays;
mod zone;

#[cfg(test)]
mod tests;

pub use event::{EventKind, ServiceEvent};
pub use hook::{Hook, HookScheme};
pub use job::{
    AT_EACH_POST, EVALUATED, FROM_STANDARD_INPUT, Job, ON_EVENT, command_runs_of, is_requestable, runs_of,
    script_of,
};
pub use missed::{JobDecision, RunVerdict, decide};
pub use options::{MissedPolicy, OverlapPolicy};
pub use pattern::TextPattern;

use std::time::Duration;

/// Formats a scheduled time as a run's name: `2026-11-23T09:00:00Z`, with a fraction only if it has one.
pub fn run_name(scheduled_at: Duration) -> String {
    zone::timestamp(scheduled_at).to_string()
}

/// Returns the scheduled time that a run's name stands for; `None` if it is no name of a run.
pub fn run_of_name(name: &str) -> Option<Duration> {
    let time: jiff::Timestamp = name.trim().parse().ok()?;
    time.as_duration().try_into().ok()
}

/// The id of a job run: `JOB@RUN`.
pub fn run_id(job: &str, scheduled_at: Duration) -> String {
    format!("{job}@{}", run_name(scheduled_at))
}

/// Returns the job and the scheduled time of a run's id; `None` if it is no id of a run. A job's name may contain `@`.
pub fn run_of_id(id: &str) -> Option<(&str, Duration)> {
    let (job, run) = id.rsplit_once('@')?;
    Some((job, run_of_name(run)?))
}
