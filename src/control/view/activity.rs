//! Recent activity.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ledger::Activity;

/// How much of a quota all processes on the ledger used in a span of ten seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActivityView {
    /// The start of the span, in seconds since 1970.
    pub at: u64,
    /// How much was sent to the service.
    pub sent: u64,
    /// How much of it the service's rate limit refused.
    pub throttled: u64,
}

impl From<Activity> for ActivityView {
    fn from(activity: Activity) -> Self {
        Self { at: activity.at.as_secs(), sent: activity.sent, throttled: activity.throttled }
    }
}
