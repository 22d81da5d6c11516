//! When jobs run: what a script's `schedule` calls mean as instants, and what becomes of those that were missed. Pure.
//!
//! **Instants** are times since 1970-01-01T00:00:00Z. A job's instants are the same whenever they are asked for, so a
//! restart, a reload or a second process shifts nothing; each comes once.
//!
//! **Daylight saving** is decided in `zone.rs` and `cron.rs` alone:
//! - A cron expression that names hours (`30 2 * * *`, `*/15 9-17 * * *`, `0 */2 * * *`) means times of the day. One
//!   that the spring gap leaves out runs at the first instant after the gap; several of them there run once. One
//!   that the autumn fold has twice runs at the first of the two. So a daily job runs each day, and never twice.
//! - One for every hour (`*/15 * * * *`, `0 * * * *`) follows the hands of the clock: what the gap leaves out does not
//!   come, what the fold repeats comes again. So `*/15 * * * *` runs every 15 minutes through both.
//! - `at` with a text that says no offset is a time of the day too.
//! - `every` knows no zone: it runs at the multiples of its length counted from 1970-01-01T00:00:00Z. Lengths that
//!   divide a day (`15m`, `1h 30m`) therefore begin at each midnight, UTC; the others (`7m`, `36h`) keep an even
//!   distance and begin nowhere.
//!
//! A hook (`hook.rs`) is a job without instants: each request that is taken for it is a run.
//!
//! **Missed instants** are those found more than [`TOLERANCE`] late; `missed.rs` has the rules.
//!
//! May import: `protocol`, `zones`.

mod at;
mod cron;
mod hook;
mod job;
mod missed;
mod options;
mod problem;
mod zone;

#[cfg(test)]
mod tests;

pub use hook::{Hook, HookScheme};
pub use job::{AT_EACH_POST, Job, runs_of, script_of};
pub use missed::{JobDecision, MOST_AT_ONCE, RunVerdict, SkipReason, SkippedTimes, TOLERANCE, decide};
pub use options::{MissedPolicy, OverlapPolicy};
pub use problem::DeclarationError;

use std::time::Duration;

/// An instant as a run's name: `2026-11-23T09:00:00Z`, with a fraction only where it has one.
#[must_use]
pub fn run_name(instant: Duration) -> String {
    zone::timestamp(instant).to_string()
}
