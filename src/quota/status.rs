//! What a quota shows of itself: whoever waits can see why and how long.

use std::time::Duration;

use super::queue::Priority;

/// A quota at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaStatus {
    /// What it counts.
    pub name: &'static str,
    /// What the service grants, a second.
    pub per_second: u32,
    /// What can be sent now, a second: the least of the share, what the guard lets through, and the adapted pace.
    pub pace: f64,
    /// What was written in the last second.
    pub sent_last_second: u64,
    /// What the service refused as too much in the last minute.
    pub throttled_last_minute: u64,
    /// What was written since the process began.
    pub written: u64,
    /// What of it the service refused as too much.
    pub refused: u64,
    /// How far round trips differ; `None` while there was no answer.
    pub spread: Option<Duration>,
    /// For how long nothing leaves, because the service said when to come back.
    pub resumes_in: Option<Duration>,
    /// Those who wait, the most urgent priority first; a priority in which nobody waits is left out.
    pub waiting: Vec<QueueStatus>,
}

/// Those who wait in one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueStatus {
    /// Their priority.
    pub priority: Priority,
    /// How many calls wait.
    pub calls: usize,
    /// What they cost together.
    pub cost: u64,
    /// For how long the first has waited.
    pub longest: Duration,
    /// How long the first will wait from now on, by all that is known.
    pub first: Duration,
    /// How long the last will.
    pub last: Duration,
}

/// One that waits for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiter {
    /// Its priority.
    pub priority: Priority,
    /// What it costs.
    pub cost: u32,
    /// For how long it has waited.
    pub waited: Duration,
    /// How long it will wait from now on, by all that is known.
    pub expected: Duration,
}
