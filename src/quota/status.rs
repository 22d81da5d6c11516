//! The state of a quota, for display: why calls wait, and for how long.

use crate::core::Priority;
use std::time::Duration;

use super::settings::QuotaPeriod;

/// The state of a quota at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaStatus {
    /// What the quota counts, for display.
    pub name: &'static str,
    /// The messages that the service accepts a period.
    pub limit: u32,
    /// The period over which the service counts.
    pub period: QuotaPeriod,
    /// The messages a second that can be sent now: the least of the share, the flow of the slots, and the adaptive
    /// pace.
    pub pace: f64,
    /// The messages written in the last second.
    pub sent_last_second: u64,
    /// The messages that the service refused as too many in the last minute.
    pub throttled_last_minute: u64,
    /// The messages written since the process began.
    pub written: u64,
    /// The messages of those that the service refused as too many.
    pub refused: u64,
    /// How much round trips differ; `None` before the first answer.
    pub spread: Option<Duration>,
    /// How long nothing is sent, because the service said when to come back; `None` if it did not.
    pub resumes_in: Option<Duration>,
    /// The waiting calls by priority, the most urgent first. A priority without waiting calls is left out.
    pub waiting: Vec<QueueStatus>,
}

impl QuotaStatus {
    /// The rate that the service grants, in messages a second.
    pub fn per_second(&self) -> f64 {
        f64::from(self.limit) / f64::from(self.period.seconds())
    }
}

/// The waiting calls of one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueStatus {
    pub priority: Priority,
    /// The number of waiting calls.
    pub calls: usize,
    /// Their total cost, in messages.
    pub cost: u64,
    /// How long the first has waited.
    pub longest: Duration,
    /// The expected further wait of the first.
    pub first: Duration,
    /// The expected further wait of the last.
    pub last: Duration,
}
