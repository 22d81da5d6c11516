//! Quotas, and the calls that wait for them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::delivery::Delivery;
use crate::quota::{QueueStatus, QuotaStatus};

/// An app that is sent through.
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
    /// What it counts: `group messages`, `targeted calls`, `uploads` or `reads`.
    pub name: String,
    /// What the service grants, a second.
    pub per_second: u32,
    /// What this daemon can send now, a second.
    pub pace: f64,
    /// What it wrote in the last second.
    pub sent_last_second: u64,
    /// What the service refused as too much in the last minute.
    pub throttled_last_minute: u64,
    /// For how many seconds nothing leaves, because the service said when to come back.
    pub resumes_in: Option<f64>,
    /// Who waits, the most urgent first.
    pub waiting: Vec<WaitingView>,
}

/// Those who wait in one priority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WaitingView {
    /// `high`, `normal` or `low`.
    pub priority: String,
    /// How many calls wait.
    pub calls: usize,
    /// What they cost together.
    pub cost: u64,
    /// For how many seconds the first has waited.
    pub longest: f64,
    /// How many seconds the first will wait still.
    pub first: f64,
    /// How many the last will.
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
            per_second: status.per_second,
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
