//! The overview: everything that the first page shows.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ActivityView, AppView, BroadcastView, HostView, JobView, ScriptView, SendView, standing};
use crate::clock::Clock;
use crate::control::utc;
use crate::ledger::{BroadcastFilter, Ledger, LedgerError};

/// The maximum number of finished broadcasts that are shown.
const FINISHED: u64 = 20;

/// The maximum number of sends in doubt that are shown.
const DOUBTS: u32 = 20;

/// How far back the activity reaches.
const ACTIVITY: Duration = Duration::from_hours(1);

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

impl Overview {
    /// Reads the overview from the ledger. `apps` are the daemon's.
    pub async fn read(
        ledger: &Ledger,
        clock: &Clock,
        project: String,
        simulator: bool,
        apps: Vec<AppView>,
    ) -> Result<Self, LedgerError> {
        let going = ledger.list(&BroadcastFilter { unfinished: true, ..BroadcastFilter::default() }).await?;
        let finished = ledger
            .list(&BroadcastFilter { finished: true, limit: FINISHED, ..BroadcastFilter::default() })
            .await?;
        let jobs = ledger.job_rows(None).await?;
        let scripts = ledger.scripts().await?;
        let since = clock.unix_time().saturating_sub(ACTIVITY);
        let activity = ledger.activity(None, "group messages", since).await?;
        // First marks what dead processes had in flight as in doubt.
        ledger.reap_dead().await?;
        let doubts = ledger.sends_in_doubt(None, DOUBTS).await?;
        Ok(Overview {
            project,
            simulator,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: utc(clock.unix_time()),
            healthy: ledger.is_healthy(),
            apps,
            broadcasts: standing(ledger, &going, clock.unix_time()).await?,
            finished: finished.iter().map(BroadcastView::from).collect(),
            doubts: doubts.iter().map(SendView::from).collect(),
            jobs: jobs.iter().map(JobView::from).collect(),
            scripts: scripts.iter().map(ScriptView::from).collect(),
            fleet: ledger.is_shared(),
            hosts: HostView::all(&ledger.hosts().await?),
            activity: activity.into_iter().map(ActivityView::from).collect(),
        })
    }
}
