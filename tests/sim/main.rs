//! Simulates processes of the program on one thread: the real delivery, quota and ledger, on simulated time, over a
//! simulated network. Kills, faults and people come from a seed. The service knows what arrived, and the test compares.
//!
//! `MOONCAST_SEED=n` repeats a seed, and with `MOONCAST_SIM_LOG=1` prints its log. `MOONCAST_SOAK=1` runs seeds for
//! `MOONCAST_SIM_MINUTES` (10), beginning at a random one. `MOONCAST_SIM_FIRST` is the first of `MOONCAST_SIM_SEEDS` (200).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::disallowed_methods,
    reason = "tests have no readers of their docs, and panics are how they fail"
)]

mod control;
mod judge;
mod operator;
mod random;
mod runtime;
mod sender;
mod service;
mod shrink;
mod story;
mod world;

use std::time::{Duration, Instant};

use story::Story;

/// Seeds of the short version.
const SEEDS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Counts the seeds that fail, for a judgement of the test itself.
#[test]
#[ignore = "prints how many seeds fail"]
fn failing_seeds() {
    let first = number("MOONCAST_SIM_FIRST").unwrap_or(1);
    let many = number("MOONCAST_SIM_SEEDS").unwrap_or(SEEDS);
    let failed: Vec<(u64, String)> = (first..first + many)
        .filter_map(|seed| {
            let (problems, _) = shrink::problems(&Story::new(seed)).err()?;
            Some((seed, problems.first().cloned().unwrap_or_default()))
        })
        .collect();
    println!("{} of {many} seeds fail: {failed:#?}", failed.len());
}

/// Runs one seed. Returns its simulated time and its kills.
fn seed(seed: u64) -> (Duration, usize) {
    let story = Story::new(seed);
    match shrink::problems(&story) {
        Ok(outcome) => {
            if std::env::var_os("MOONCAST_SIM_LOG").is_some() {
                println!("{story}{}", outcome.log);
            }
            (outcome.lasted, outcome.kills)
        }
        Err((problems, log)) => {
            eprintln!("{log}");
            let least = shrink::least(&story);
            panic!("MOONCAST_SEED={seed} fails: {problems:#?}\n{story}\nIt fails also so:\n{least}");
        }
    }
}

#[test]
fn seeds() {
    if let Some(one) = number("MOONCAST_SEED") {
        let (lasted, kills) = seed(one);
        println!("seed {one}: {lasted:?} simulated, {kills} kills");
        return;
    }
    let soak = std::env::var_os("MOONCAST_SOAK").is_some();
    let least = Duration::from_mins(number("MOONCAST_SIM_MINUTES").unwrap_or(10));
    // The short version has the same seeds each time, so a failure is one of the change that is tested.
    let drawn = || if soak { u64::from(rand::random::<u32>()) } else { 1 };
    let first = number("MOONCAST_SIM_FIRST").unwrap_or_else(drawn);
    let many = number("MOONCAST_SIM_SEEDS").unwrap_or(SEEDS);
    let began = Instant::now();
    let (mut ran, mut simulated, mut killed) = (0, Duration::ZERO, 0);
    while if soak { began.elapsed() < least } else { ran < many } {
        let one = Instant::now();
        let (lasted, kills) = seed(first + ran);
        if std::env::var_os("MOONCAST_SIM_TIMES").is_some() {
            eprintln!("seed {}: {lasted:?} simulated in {:?}", first + ran, one.elapsed());
        }
        simulated += lasted;
        killed += kills;
        ran += 1;
    }
    let (hours, minutes) = (simulated.as_secs_f64() / 3600.0, began.elapsed().as_secs_f64() / 60.0);
    println!(
        "seeds {first} to {}: {killed} kills, {hours:.1} simulated hours in {minutes:.1} minutes, {:.0} hours a minute",
        first + ran - 1,
        hours / minutes
    );
}

/// The same seed is the same story.
#[test]
fn a_seed_repeats() {
    for seed in 1..=10 {
        let story = Story::new(seed);
        let (one, other) = (world::run(&story), world::run(&story));
        if one.hash != other.hash {
            let lines = one.log.lines().zip(other.log.lines()).find(|(one, other)| one != other);
            panic!("MOONCAST_SEED={seed} does not repeat: {lines:#?}");
        }
    }
}
