//! The current overview: read on request, and once a second while a client follows it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::ledger::{BroadcastFilter, LedgerError};

use super::daemon_handle::DaemonHandle;
use super::view::{
    ActivityView, AppView, BroadcastView, HostView, JobView, Overview, ScriptView, SendView, instant,
    standing,
};

/// The interval of updates while a client follows.
const OFTEN: Duration = Duration::from_secs(1);

/// The maximum number of finished broadcasts that are shown.
const FINISHED: u64 = 20;

/// The maximum number of sends in doubt that are shown.
const DOUBTS: u32 = 20;

/// How far back the activity reaches.
const ACTIVITY: Duration = Duration::from_hours(1);

/// Reads and publishes the overview.
pub(super) struct StatusCache {
    shown: watch::Sender<Option<Arc<Overview>>>,
    wanted: Arc<Notify>,
}

/// A handle to follow the overview.
#[derive(Clone)]
pub(super) struct StatusWatch {
    shown: watch::Sender<Option<Arc<Overview>>>,
    wanted: Arc<Notify>,
}

impl StatusWatch {
    /// Receives each overview from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Arc<Overview>>> {
        let mut receiver = self.shown.subscribe();
        receiver.mark_unchanged();
        self.wanted.notify_one();
        receiver
    }
}

impl StatusCache {
    pub(super) fn new() -> (Self, StatusWatch) {
        let (shown, wanted) = (watch::Sender::new(None), Arc::new(Notify::new()));
        let watch = StatusWatch { shown: shown.clone(), wanted: Arc::clone(&wanted) };
        (Self { shown, wanted }, watch)
    }

    /// Updates the overview once a second while a client follows it; never returns.
    pub(super) async fn poll(&self, house: &DaemonHandle) {
        loop {
            if self.shown.receiver_count() == 0 {
                self.wanted.notified().await;
            }
            match self.overview(house).await {
                Ok(overview) => {
                    self.shown.send_replace(Some(Arc::new(overview)));
                }
                Err(error) => tracing::warn!("how everything stands cannot be read: {error}"),
            }
            house.clock.sleep(OFTEN).await;
        }
    }

    /// Reads the overview from the ledger and the daemon.
    pub(super) async fn overview(&self, house: &DaemonHandle) -> Result<Overview, LedgerError> {
        let DaemonHandle { ledger, clock, .. } = house;
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
            project: house.project.clone(),
            simulator: house.simulator,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: instant(clock.unix_time()),
            healthy: ledger.is_healthy(),
            apps: house.apps.iter().map(|app| AppView::from(&**app)).collect(),
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
