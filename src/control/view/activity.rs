//! Recent activity.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ledger::Activity;

/// What was sent of a quota in ten seconds, by all processes on the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActivityView {
    /// The beginning of the ten seconds, in seconds since 1970.
    pub at: u64,
    /// What was written to the service.
    pub sent: u64,
    /// What of it was refused as too much.
    pub throttled: u64,
}

impl From<Activity> for ActivityView {
    fn from(activity: Activity) -> Self {
        Self { at: activity.at.as_secs(), sent: activity.sent, throttled: activity.throttled }
    }
}
