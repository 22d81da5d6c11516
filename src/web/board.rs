//! How everything stands now: looked at when somebody asks, and once a second while somebody watches.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::clock::Instant;
use crate::delivery::Look;
use crate::ledger::{Broadcast, BroadcastId, Filter, LedgerError, Stage, Wish};

use super::house::House;
use super::view::{
    ActivityView, AppView, BroadcastView, HostView, JobView, Overview, ScriptView, WaitKind, WaitView,
    instant,
};

/// How often it is looked while somebody watches.
const OFTEN: Duration = Duration::from_secs(1);

/// The time over which a rate is measured.
const MEASURED: Duration = Duration::from_secs(10);

/// Broadcasts that are over, of which so many are shown.
const FINISHED: u64 = 20;

/// How far back the activity reaches.
const ACTIVITY: Duration = Duration::from_hours(1);

/// Keeps looking.
pub(super) struct Board {
    shown: watch::Sender<Option<Arc<Overview>>>,
    wanted: Arc<Notify>,
    meters: RefCell<HashMap<BroadcastId, Meter>>,
}

/// Where others look at the board.
#[derive(Clone)]
pub(super) struct Watch {
    shown: watch::Sender<Option<Arc<Overview>>>,
    wanted: Arc<Notify>,
}

impl Watch {
    /// How everything stands, each time that it was looked at, from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Arc<Overview>>> {
        let mut receiver = self.shown.subscribe();
        receiver.mark_unchanged();
        self.wanted.notify_one();
        receiver
    }
}

/// Measures how fast a broadcast comes on.
#[derive(Default)]
struct Meter(VecDeque<(Instant, u64)>);

impl Meter {
    fn rate(&mut self, now: Instant, settled: u64) -> Option<f64> {
        let Self(looks) = self;
        while looks.len() > 1 && looks.get(1).is_some_and(|(at, _)| now.saturating_since(*at) >= MEASURED) {
            looks.pop_front();
        }
        if looks.back().is_none_or(|(at, _)| now.saturating_since(*at) >= OFTEN / 2) {
            looks.push_back((now, settled));
        }
        let (since, before) = *looks.front()?;
        let time = now.saturating_since(since);
        (time >= OFTEN).then(|| settled.saturating_sub(before) as f64 / time.as_secs_f64())
    }
}

impl Board {
    pub(super) fn new() -> (Self, Watch) {
        let (shown, wanted) = (watch::Sender::new(None), Arc::new(Notify::new()));
        let watch = Watch { shown: shown.clone(), wanted: Arc::clone(&wanted) };
        (Self { shown, wanted, meters: RefCell::default() }, watch)
    }

    /// Looks once a second while somebody watches; never ends.
    pub(super) async fn keep(&self, house: &House) {
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
    pub(super) async fn overview(&self, house: &House) -> Result<Overview, LedgerError> {
        let House { ledger, clock, .. } = house;
        let going = ledger.list(&Filter { unfinished: true, ..Filter::default() }).await?;
        let finished = ledger.list(&Filter { finished: true, limit: FINISHED, ..Filter::default() }).await?;
        let jobs = ledger.listed_jobs(None).await?;
        let scripts = ledger.scripts().await?;
        let since = clock.unix_time().saturating_sub(ACTIVITY);
        let activity = ledger.activity(None, "group messages", since).await?;
        let going_ids: Vec<BroadcastId> = going.iter().map(|one| one.id).collect();
        self.meters.borrow_mut().retain(|id, _| going_ids.contains(id));
        Ok(Overview {
            project: house.project.clone(),
            simulator: house.simulator,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: instant(clock.unix_time()),
            healthy: ledger.is_healthy(),
            apps: house.apps.iter().map(|app| AppView::from(&**app)).collect(),
            broadcasts: going.iter().map(|one| self.broadcast(house, one)).collect(),
            finished: finished.iter().map(BroadcastView::from).collect(),
            jobs: jobs.iter().map(JobView::from).collect(),
            scripts: scripts.iter().map(ScriptView::from).collect(),
            fleet: ledger.is_shared(),
            hosts: HostView::all(&ledger.hosts().await?),
            activity: activity.into_iter().map(ActivityView::from).collect(),
        })
    }

    /// A broadcast, with what its driver knows where that is this daemon.
    pub(super) fn broadcast(&self, house: &House, broadcast: &Broadcast) -> BroadcastView {
        let mut view = BroadcastView::from(broadcast);
        if broadcast.is_over() {
            return view;
        }
        let clock = &house.clock;
        let driven = house.keeper.underway().into_iter().find(|(id, _)| *id == broadcast.id);
        let look: Option<Look> = driven.as_ref().map(|(_, underway)| underway.progress.look());
        let counts = &broadcast.counts;
        let settled = counts.sent + counts.rejected + counts.in_doubt;
        view.rate = self.meters.borrow_mut().entry(broadcast.id).or_default().rate(clock.now(), settled);
        if let Some(((_, underway), look)) = driven.as_ref().zip(look) {
            let quota = underway.quota().status();
            view.most = Some(underway.cap.map_or(quota.pace, |cap| cap.min(quota.pace)));
            view.waits_for = WaitView::underway(&look, &quota, clock);
        }
        if broadcast.wish == Wish::Pause {
            view.waits_for =
                Some(WaitView { note: broadcast.wish_note.clone(), ..WaitView::of(WaitKind::Resume) });
        } else if broadcast.driver.is_none() && broadcast.stage == Stage::Ready {
            view.waits_for = Some(WaitView::of(WaitKind::Driver));
        }
        view.seconds_left = left(&view);
        view
    }
}

/// How long the rest will take: at the rate of late, or at the most there may be while nothing could be sent. Nobody
/// knows where somebody has to do something first.
fn left(view: &BroadcastView) -> Option<f64> {
    let closed = match view.waits_for.as_ref().map(|wait| (wait.kind, wait.seconds)) {
        Some((WaitKind::Resume | WaitKind::Driver | WaitKind::Store, _)) => return None,
        Some((WaitKind::Window, seconds)) => seconds.unwrap_or_default(),
        _ => 0.0,
    };
    let pending = view.counts.pending + view.counts.sending;
    let rate = view.rate.filter(|rate| *rate > 0.0 && closed <= 0.0).or(view.most)?;
    (rate > 0.0).then(|| closed + pending as f64 / rate)
}
