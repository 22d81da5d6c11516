//! The overview: everything that the first page shows.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ActivityView, AppView, BroadcastView, DiskSpace, HostView, JobView, NeedSources, NeedView, ScriptView,
    SendView, StoredNeeds, send_views, standing,
};
use crate::clock::Clock;
use crate::core::utc;
use crate::ledger::{BroadcastFilter, Ledger, LedgerError};

/// The maximum number of finished broadcasts that are shown.
const FINISHED: u64 = 20;

/// The maximum number of sends in doubt that are shown.
const DOUBTS: u32 = 20;

/// How far back the activity reaches.
const ACTIVITY: Duration = Duration::from_hours(1);

/// The state of the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// The project's name.
    pub project: String,
    /// The project's environment; null if none was chosen.
    pub env: Option<String>,
    /// Whether it sends to the simulator.
    pub simulator: bool,
    /// The version of the program.
    pub version: String,
    /// When this state was read.
    pub at: String,
    /// Whether the ledger is writable. If it is not, nothing is sent.
    pub healthy: bool,
    /// What waits for a person, the most urgent first.
    pub needs: Vec<NeedView>,
    /// The apps with their quotas, the default one first.
    pub apps: Vec<AppView>,
    /// Unfinished broadcasts, the newest first.
    pub broadcasts: Vec<BroadcastView>,
    /// The latest 20 finished broadcasts, the newest first.
    pub finished: Vec<BroadcastView>,
    /// Single sends in doubt, the newest first, at most 20.
    pub doubts: Vec<SendView>,
    /// Active jobs, by name.
    pub jobs: Vec<JobView>,
    /// Scripts, by name.
    pub scripts: Vec<ScriptView>,
    /// Whether several hosts may share the ledger.
    pub fleet: bool,
    /// The daemons that use the ledger, the longest-running first.
    pub hosts: Vec<HostView>,
    /// Group messages of the last hour in spans of ten seconds, the oldest first. Spans without sends are left out.
    pub activity: Vec<ActivityView>,
}

/// What the overview says about the daemon itself.
#[derive(Debug, Clone)]
pub struct OverviewSource {
    /// The project's name.
    pub project: String,
    /// The project's environment, if one was chosen.
    pub env: Option<String>,
    /// Whether it sends to the simulator.
    pub simulator: bool,
    /// The disk with the state folder, if it is known.
    pub disk: Option<DiskSpace>,
}

impl Overview {
    /// Reads the overview from the ledger. `apps` are the daemon's.
    pub async fn read(
        ledger: &Ledger,
        clock: &Clock,
        source: OverviewSource,
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
        let now = clock.unix_time();
        let stored = StoredNeeds::read(ledger, now).await?;
        let mut overview = Overview {
            project: source.project,
            env: source.env,
            simulator: source.simulator,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: utc(now),
            healthy: ledger.is_healthy(),
            needs: Vec::new(),
            apps,
            broadcasts: standing(ledger, &going, now).await?,
            finished: finished.iter().map(BroadcastView::from).collect(),
            doubts: send_views(ledger, &doubts, now).await?,
            jobs: jobs.iter().map(JobView::from).collect(),
            scripts: scripts.iter().map(ScriptView::from).collect(),
            fleet: ledger.has_fleet(),
            hosts: HostView::all(&ledger.hosts().await?),
            activity: activity.into_iter().map(ActivityView::from).collect(),
        };
        overview.needs = overview.sources(source.disk, &stored).needs();
        Ok(overview)
    }

    fn sources<'a>(&'a self, disk: Option<DiskSpace>, stored: &'a StoredNeeds) -> NeedSources<'a> {
        NeedSources {
            healthy: self.healthy,
            disk,
            broadcasts: &self.broadcasts,
            sends: &self.doubts,
            jobs: &self.jobs,
            scripts: &self.scripts,
            hosts: &self.hosts,
            apps: &self.apps,
            stored,
        }
    }
}
