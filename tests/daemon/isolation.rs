//! Fifty scripts that misbehave at once, each in its own way, and one that does not.
//!
//! Store: file

use std::fmt::Write as _;

use super::Serving;
use crate::support::Project;
use crate::survival::random::soak;

/// What the misbehaving scripts do when they run.
const MISDEEDS: [&str; 5] = [
    "while true do end",
    "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
    "('a'):rep(3000):find(('.-'):rep(12) .. 'b')",
    "local function deep() return deep() + 1 end while true do pcall(deep) end",
    "require('task').sleep(1000000)",
];

/// Returns how late the good script's function started each time, in seconds by its own clock.
fn lateness(serving: &Serving, times: usize) -> Vec<f64> {
    let before = serving.printed().len();
    serving.prints("late", before + times);
    let late = |line: &String| line.split_whitespace().last().unwrap().parse().unwrap();
    serving.printed().iter().skip(before).map(late).collect()
}

fn worst(all: &[f64]) -> f64 {
    all.iter().copied().fold(0.0, f64::max)
}

#[test]
fn fifty_that_misbehave_at_once_keep_no_other_from_running() {
    let project = Project::new()
        .file("mooncast.toml", "[scripts]\ncpu = \"2s\"\nmemory = \"48MiB\"\ntimeout = \"20s\"\n")
        .file(
            "scripts/good.lua",
            "require('schedule').every('1s', function(c) print('late', require('datetime').now():unix() - c.scheduled_at) end)",
        );
    let rounds = if soak() { 30 } else { 8 };
    let serving = Serving::start(project.command(&["serve", "--simulator"]));
    // How late this machine is without the other scripts.
    let alone = lateness(&serving, rounds / 2);
    for number in 0..50 {
        let mut text = String::new();
        let misdeed = MISDEEDS[number % MISDEEDS.len()];
        write!(text, "require('schedule').every('1s', function() {misdeed} end)").unwrap();
        project.write(&format!("scripts/bad{number}.lua"), text);
    }
    for number in 0..50 {
        serving.says(&format!("run started job=\"bad{number}\""), 1);
    }
    let beside = lateness(&serving, rounds);
    let alive = serving.workers().len();
    println!(
        "{rounds} runs beside {alive} workers that misbehave: the latest began {:.3} s late, {:.3} s without them; {beside:?}",
        worst(&beside),
        worst(&alone)
    );
    let ran = serving.kill();
    let host: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.contains("run started job=\"good\""))
        .filter_map(|line| line.rsplit_once("late_ms="))
        .map(|(_, late)| late)
        .collect();
    println!("begun by the host so many ms late: {host:?}");
    assert!(alive >= 40, "only {alive} workers");
    // Lateness is checked only where no other test runs at the same time.
    assert!(!soak() || worst(&beside) < 1.0 + worst(&alone), "{beside:?} beside them, {alone:?} alone");
}
