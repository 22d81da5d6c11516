//! The overview: everything that the first page shows.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ActivityView, AppView, BroadcastView, HostView, JobView, ScriptView, SendView};

/// How everything stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// The project, as people call it.
    pub project: String,
    /// Whether it sends to the simulator.
    pub simulator: bool,
    /// The version of the program.
    pub version: String,
    /// When this was so.
    pub at: String,
    /// Whether the ledger can be written: while it cannot, nothing is sent.
    pub healthy: bool,
    /// The apps with their quotas, the default one first.
    pub apps: Vec<AppView>,
    /// Broadcasts that are not over, the newest first.
    pub broadcasts: Vec<BroadcastView>,
    /// Broadcasts that are over, the newest first, the latest twenty.
    pub finished: Vec<BroadcastView>,
    /// Single sends in doubt, the newest first, twenty at the most.
    pub doubts: Vec<SendView>,
    /// Jobs in force, by name.
    pub jobs: Vec<JobView>,
    /// Scripts, by name.
    pub scripts: Vec<ScriptView>,
    /// Whether several hosts may share the ledger.
    pub fleet: bool,
    /// The daemons that work on the ledger, the one that runs longest first.
    pub hosts: Vec<HostView>,
    /// Group messages of the last hour, by ten seconds, the oldest first; spans in which nothing was sent are left out.
    pub activity: Vec<ActivityView>,
}
