//! Quotas, and the calls that wait for them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::delivery::Delivery;
use crate::quota::{QueueStatus, QuotaStatus};

/// An app of the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppView {
    /// Its name in the settings; `default` for `[app]`.
    pub name: String,
    /// Address, org and name.
    pub key: String,
    /// Its quotas.
    pub quotas: Vec<QuotaView>,
}

/// A quota as this daemon knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QuotaView {
    /// The name: `group messages`, `targeted calls`, `uploads`, `reads`, `edits`, `user messages`, `user calls`,
    /// `room messages` or `room calls`.
    pub name: String,
    /// The service's limit per second, rounded down.
    pub per_second: u32,
    /// The service's limit per period.
    pub limit: u32,
    /// The seconds over which the service counts: 1, or 60 for `user messages`.
    pub period: u32,
    /// The daemon's current rate limit per second.
    pub pace: f64,
    /// How much the daemon used in the last second.
    pub sent_last_second: u64,
    /// How much the service's rate limit refused in the last minute.
    pub throttled_last_minute: u64,
    /// The seconds until the service's `Retry-After` has passed; nothing is sent before.
    pub resumes_in: Option<f64>,
    /// The waiting calls by priority, the highest first.
    pub waiting: Vec<WaitingView>,
}

/// The waiting calls of one priority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WaitingView {
    /// `high`, `normal` or `low`.
    pub priority: String,
    /// The number of waiting calls.
    pub calls: usize,
    /// Their total cost.
    pub cost: u64,
    /// The seconds that the first call has waited.
    pub longest: f64,
    /// The expected remaining wait of the first call in seconds.
    pub first: f64,
    /// The expected remaining wait of the last call in seconds.
    pub last: f64,
}

impl From<&Delivery> for AppView {
    fn from(app: &Delivery) -> Self {
        let quotas = app.quotas().all().into_iter().map(|quota| QuotaView::from(&quota.status())).collect();
        Self { name: app.name().to_owned(), key: app.key().to_owned(), quotas }
    }
}

impl From<&QuotaStatus> for QuotaView {
    fn from(status: &QuotaStatus) -> Self {
        Self {
            name: status.name.to_owned(),
            per_second: status.limit / status.period.seconds(),
            limit: status.limit,
            period: status.period.seconds(),
            pace: status.pace,
            sent_last_second: status.sent_last_second,
            throttled_last_minute: status.throttled_last_minute,
            resumes_in: status.resumes_in.map(|wait| wait.as_secs_f64()),
            waiting: status.waiting.iter().map(WaitingView::from).collect(),
        }
    }
}

impl From<&QueueStatus> for WaitingView {
    fn from(waiting: &QueueStatus) -> Self {
        Self {
            priority: waiting.priority.name().to_owned(),
            calls: waiting.calls,
            cost: waiting.cost,
            longest: waiting.longest.as_secs_f64(),
            first: waiting.first.as_secs_f64(),
            last: waiting.last.as_secs_f64(),
        }
    }
}
