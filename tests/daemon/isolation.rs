//! Fifty scripts that misbehave at once, each in its way, and one that does not.

use std::fmt::Write as _;

use super::Serving;
use crate::support::Project;
use crate::survival::random::soak;

/// What the misbehaving ones do when their time has come.
const MISDEEDS: [&str; 5] = [
    "while true do end",
    "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
    "('a'):rep(3000):find(('.-'):rep(12) .. 'b')",
    "local function deep() return deep() + 1 end while true do pcall(deep) end",
    "require('task').sleep(1000000)",
];

#[test]
fn fifty_that_misbehave_at_once_delay_no_other_by_a_second() {
    let mut project = Project::new()
        .file("mooncast.toml", "[scripts]\ncpu = \"2s\"\nmemory = \"48MiB\"\ntimeout = \"20s\"\n")
        .file(
            "scripts/good.lua",
            "require('schedule').every('1s', function(c) print('late', require('datetime').now():unix() - c.scheduled_at) end)",
        );
    for number in 0..50 {
        let mut text = String::new();
        let misdeed = MISDEEDS[number % MISDEEDS.len()];
        write!(text, "require('schedule').every('1s', function() {misdeed} end)").unwrap();
        project = project.file(&format!("scripts/bad{number}.lua"), text);
    }
    let serving = Serving::start(project.command(&["serve", "--simulator"]));
    serving.says("a run begins", 51);
    let before = serving.printed().len();
    let rounds = if soak() { 30 } else { 8 };
    serving.prints("late", before + rounds);
    let lateness: Vec<f64> = serving
        .printed()
        .iter()
        .skip(before)
        .map(|line| line.split_whitespace().last().unwrap().parse().unwrap())
        .collect();
    let alive = serving.workers().len();
    let worst = lateness.iter().copied().fold(0.0, f64::max);
    println!(
        "{rounds} runs beside {alive} workers that misbehave: the latest began {worst:.3} s late; {lateness:?}"
    );
    serving.kill();
    assert!(alive >= 40, "only {alive} workers");
    // A run has begun when its function says so: its worker is there, and has loaded the script.
    assert!(worst < 1.0, "{lateness:?}");
}
