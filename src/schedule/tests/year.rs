//! A year of a thousand jobs with stops and clock changes, decided whenever a job is due. Each time is decided once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::schedule::{Job, RunVerdict, decide};

use super::{declared, unix_time, when};

const ZONES: [&str; 6] =
    ["UTC", "Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo"];

/// Schedules with about a thousand times a year each, by number.
fn schedule(number: usize) -> String {
    let (minute, hour) = (number % 60, number % 24);
    match number % 8 {
        0 => format!("{minute} {hour} * * *"),
        1 => format!("{minute},{} {hour} * * mon-fri", (minute + 7) % 60),
        2 => format!("{minute} */4 * * *"),
        3 => "*/20 9-11 * * mon-fri".to_owned(),
        4 => format!("every {}m", 300 + number),
        5 => format!("{minute} 1-3 * * *"),
        6 => format!("{minute} */12 L * *"),
        _ => format!("{} {minute} * * * sat", number % 60),
    }
}

fn jobs(count: usize) -> Vec<Job> {
    (0..count)
        .map(|number| {
            let mut declaration = declared(when(&schedule(number)), ZONES[number % ZONES.len()]);
            declaration.name = format!("job {number}");
            declaration.missed = Some(["once", "skip", "all"][number % 3].to_owned());
            declaration.jitter_ms = (number % 5 == 0).then_some(60_000);
            Job::new(&declaration, None).unwrap()
        })
        .collect()
}

#[test]
fn a_year_of_a_thousand_jobs_decides_each_instant_once() {
    // Everyday runs use a tenth of the jobs, since the test is slow without optimisation.
    let count = if std::env::var_os("MOONCAST_SOAK").is_some() { 1000 } else { 100 };
    let jobs = jobs(count);
    let (start, end) = (unix_time("2026-01-01T00:00:00Z"), unix_time("2027-01-01T00:00:00Z"));
    let mut chance = StdRng::seed_from_u64(7);
    let mut last: Vec<Option<Duration>> = vec![None; count];
    let mut decided = vec![0_usize; count];
    let mut ran = 0_usize;
    let mut queue: BinaryHeap<Reverse<(Duration, usize)>> =
        (0..count).map(|number| Reverse((start, number))).collect();
    while let Some(Reverse((wake, number))) = queue.pop() {
        if wake >= end {
            continue;
        }
        let job = &jobs[number];
        // Usually a little late, sometimes down for hours, sometimes woken by a clock that is behind.
        let now = match chance.random_range(0..200) {
            0 => wake + Duration::from_secs(chance.random_range(0..20_000)),
            1 => wake.saturating_sub(Duration::from_secs(chance.random_range(0..20_000))).max(start),
            _ => wake + Duration::from_millis(chance.random_range(0..900)),
        };
        let decision = decide(job, last[number], start, now);
        for verdict in &decision.verdicts {
            let mut at = last[number].unwrap_or(start);
            // The verdict covers every time up to its last one, and no others.
            while at < verdict.last() {
                at = job.next_after(at).unwrap();
                decided[number] += 1;
            }
            assert_eq!(at, verdict.last());
            if let RunVerdict::Run(at) = verdict {
                ran += 1;
                assert!(*at + job.delay(*at) <= now);
            }
            last[number] = Some(at);
        }
        if let Some(next) = decision.wake {
            assert!(decision.next > last[number]);
            queue.push(Reverse((next, number)));
        }
    }
    let mut total = 0;
    for (number, job) in jobs.iter().enumerate() {
        let mut expected = 0;
        let mut at = start;
        while let Some(next) = job.next_after(at).filter(|next| Some(*next) <= last[number]) {
            expected += 1;
            at = next;
        }
        assert_eq!(decided[number], expected, "{}", job.times());
        assert!(job.next_after(at).is_none_or(|next| next + job.delay(next) >= end), "{}", job.times());
        total += expected;
    }
    println!("{total} instants of {count} jobs decided, {ran} of them run");
    assert!(total > 900 * count, "{total}");
    assert!(ran > total * 9 / 10, "{ran} of {total}");
}
