//! When jobs run: tables, random schedules, and a whole year.

mod missed;
mod properties;
mod refused;
mod times;
mod workdays;
mod year;

use std::time::Duration;

use jiff::Timestamp;

use crate::protocol::{JobDeclaration, JobTrigger};

use super::problem::DeclarationError;
use super::{Job, run_name, zone};

fn declared(when: JobTrigger, tz: &str) -> JobDeclaration {
    JobDeclaration {
        name: "job".to_owned(),
        when,
        tz: Some(tz.to_owned()),
        calendar: None,
        on_holiday: None,
        missed: None,
        grace_ms: None,
        overlap: None,
        timeout_ms: None,
        jitter_ms: None,
        rerun: false,
        place: "scripts/job.lua:1".to_owned(),
    }
}

/// `every 90s`, `at 2026-12-24 18:00`, or a cron expression.
fn when(text: &str) -> JobTrigger {
    if let Some(length) = text.strip_prefix("every ") {
        let length: jiff::SignedDuration = length.parse().unwrap();
        JobTrigger::Every { ms: u64::try_from(length.as_millis()).unwrap() }
    } else if let Some(time) = text.strip_prefix("at ") {
        JobTrigger::At(time.to_owned())
    } else {
        JobTrigger::Cron(text.to_owned())
    }
}

fn try_job(text: &str, tz: &str) -> Result<Job, DeclarationError> {
    Job::new(&declared(when(text), tz), None)
}

fn job(text: &str, tz: &str) -> Job {
    try_job(text, tz).unwrap_or_else(|problem| panic!("{text} in {tz}: {}", problem.message))
}

fn unix_time(text: &str) -> Duration {
    let timestamp: Timestamp = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    zone::since_epoch(timestamp).unwrap()
}

/// Returns the scheduled times after `from`, as text in UTC.
fn following(job: &Job, from: &str, count: usize) -> Vec<String> {
    std::iter::successors(job.next_after(unix_time(from)), |last| job.next_after(*last))
        .take(count)
        .map(run_name)
        .collect()
}
