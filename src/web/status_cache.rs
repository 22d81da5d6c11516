//! How everything stands now: looked at when somebody asks, and once a second while somebody watches.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::ledger::{BroadcastFilter, LedgerError};

use super::daemon_handle::DaemonHandle;
use super::view::{
    ActivityView, AppView, BroadcastView, HostView, JobView, Overview, ScriptView, SendView, instant,
    standing,
};

/// How often it is looked while somebody watches.
const OFTEN: Duration = Duration::from_secs(1);

/// Broadcasts that are over, of which so many are shown.
const FINISHED: u64 = 20;

/// Single sends in doubt, of which so many are shown.
const DOUBTS: u32 = 20;

/// How far back the activity reaches.
const ACTIVITY: Duration = Duration::from_hours(1);

/// Keeps looking.
pub(super) struct StatusCache {
    shown: watch::Sender<Option<Arc<Overview>>>,
    wanted: Arc<Notify>,
}

/// Where others look at the board.
#[derive(Clone)]
pub(super) struct StatusWatch {
    shown: watch::Sender<Option<Arc<Overview>>>,
    wanted: Arc<Notify>,
}

impl StatusWatch {
    /// How everything stands, each time that it was looked at, from now on.
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

    /// Looks once a second while somebody watches; never ends.
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

    /// How everything stands.
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
        // What a process had in flight that died since is in doubt.
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
