//! Reads the current state from the ledger. It covers all processes, without asking any of them.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::AppLimits;
use crate::control::{
    BroadcastView, HostView, JobView, NeedSources, NeedView, ScriptView, StoredNeeds, send_views, standing,
};
use crate::core::{BroadcastStatus, Call};
use crate::delivery::RateMeter;
use crate::ledger::{Broadcast, BroadcastFilter, BroadcastId, Ledger, LedgerError};

/// The number of the ledger's spans for which the use of quotas is shown.
const SPANS: u64 = 60;

/// The length of a span in seconds.
const SPAN: u64 = 10;

/// The maximum number of finished broadcasts that are shown.
const OVER: u64 = 5;

pub(super) struct ConfiguredApp {
    pub(super) name: String,
    /// The app's key in the ledger.
    pub(super) key: String,
    pub(super) limits: AppLimits,
}

/// A broadcast and its state.
pub(super) struct ListedBroadcast {
    pub(super) view: BroadcastView,
    /// Whether an operator paused it.
    pub(super) paused: bool,
    /// Whether a process drives it.
    pub(super) driven: bool,
    /// Whether its plan is fixed.
    pub(super) planned: bool,
}

/// A quota and its use in the last minutes.
pub(super) struct QuotaUsage {
    pub(super) app: String,
    pub(super) quota: &'static str,
    /// This project's share of the quota, per second.
    pub(super) most: f64,
    /// The quota that the service grants, per second.
    granted: u32,
    /// The messages written in each span of ten seconds, the oldest first.
    pub(super) spans: Vec<u64>,
    /// How many of them were refused by the rate limit.
    pub(super) throttled: u64,
}

impl QuotaUsage {
    /// The quota in one span: the full height of the chart.
    pub(super) fn most_in_a_span(&self) -> u64 {
        u64::from(self.granted).max(1) * SPAN
    }

    /// The recent rate per second, from the last complete span.
    pub(super) fn rate(&self) -> f64 {
        let last = self.spans.len().checked_sub(2).and_then(|whole| self.spans.get(whole));
        last.copied().unwrap_or(0) as f64 / SPAN as f64
    }
}

/// The number of single sends in doubt that are counted.
const DOUBTS: u32 = 20;

/// The state at one time.
pub(super) struct TopSnapshot {
    pub(super) at: Duration,
    /// What waits for a person, the most urgent first.
    pub(super) needs: Vec<NeedView>,
    pub(super) broadcasts: Vec<ListedBroadcast>,
    pub(super) quotas: Vec<QuotaUsage>,
    pub(super) jobs: Vec<JobView>,
    /// The scripts, those that failed to load first.
    pub(super) scripts: Vec<ScriptView>,
}

/// Reads the state repeatedly.
pub(super) struct StatusPoller {
    pub(super) ledger: Ledger,
    clock: Clock,
    apps: Vec<ConfiguredApp>,
    meters: HashMap<BroadcastId, RateMeter>,
}

impl StatusPoller {
    pub(super) fn new(ledger: Ledger, clock: Clock, apps: Vec<ConfiguredApp>) -> Self {
        Self { ledger, clock, apps, meters: HashMap::new() }
    }

    pub(super) async fn poll(&mut self) -> Result<TopSnapshot, LedgerError> {
        let going =
            self.ledger.list(&BroadcastFilter { unfinished: true, ..BroadcastFilter::default() }).await?;
        let over = BroadcastFilter { finished: true, limit: OVER, ..BroadcastFilter::default() };
        let over = self.ledger.list(&over).await?;
        self.meters.retain(|id, _| going.iter().any(|one| one.id == *id));
        let mut scripts: Vec<ScriptView> =
            self.ledger.scripts().await?.iter().map(ScriptView::from).collect();
        scripts.sort_by_key(|script| script.error.is_none());
        let now = self.clock.unix_time();
        let jobs: Vec<JobView> = self.ledger.job_rows(None).await?.iter().map(JobView::from).collect();
        let broadcasts = self.standings(&going, &over).await?;
        let views: Vec<BroadcastView> = broadcasts.iter().map(|one| one.view.clone()).collect();
        let sends = self.ledger.sends_in_doubt(None, DOUBTS).await?;
        let needs = NeedSources {
            healthy: self.ledger.is_healthy(),
            disk: None,
            broadcasts: &views,
            sends: &send_views(&self.ledger, &sends, now).await?,
            jobs: &jobs,
            scripts: &scripts,
            hosts: &HostView::all(&self.ledger.hosts().await?),
            apps: &[],
            stored: &StoredNeeds::read(&self.ledger, now).await?,
        };
        Ok(TopSnapshot {
            at: now,
            needs: needs.needs(),
            broadcasts,
            quotas: self.quotas().await?,
            jobs,
            scripts,
        })
    }

    async fn standings(
        &mut self,
        going: &[Broadcast],
        over: &[Broadcast],
    ) -> Result<Vec<ListedBroadcast>, LedgerError> {
        let views = standing(&self.ledger, going, self.clock.unix_time()).await?;
        let going = going.iter().zip(views);
        let over = over.iter().map(|one| (one, BroadcastView::from(one)));
        Ok(going.chain(over).map(|(one, view)| self.standing(one, view)).collect())
    }

    fn standing(&mut self, broadcast: &Broadcast, mut view: BroadcastView) -> ListedBroadcast {
        if let Some(app) = self.apps.iter().find(|app| app.key == broadcast.app_key) {
            view.app.clone_from(&app.name);
            let granted = match broadcast.spec.call {
                Call::Group => app.limits.group_per_second,
                Call::Targeted => app.limits.targeted_per_second,
                Call::Announce => app.limits.read_per_second,
                Call::Edit => app.limits.edit_per_second,
                Call::User => app.limits.user_messages_per_minute.div_ceil(60),
                Call::Room => app.limits.room_messages_per_second,
            };
            let granted = f64::from(granted) * app.limits.share;
            let most = broadcast.spec.rate.map_or(granted, |cap| cap.min(granted));
            view.most = view.most.or(Some(most));
        }
        if !view.over {
            let settled = view.counts.sent + view.counts.rejected + view.counts.in_doubt;
            let meter = self.meters.entry(broadcast.id).or_default();
            let measured = meter.rate(self.clock.now(), settled);
            view.rate = view.rate.or(measured);
        }
        ListedBroadcast {
            paused: view.state == BroadcastStatus::Paused,
            driven: broadcast.driver.is_some(),
            planned: broadcast.planned_at.is_some(),
            view,
        }
    }

    /// The quotas that were used in the last minutes, and all for group messages.
    async fn quotas(&self) -> Result<Vec<QuotaUsage>, LedgerError> {
        let now = self.clock.unix_time().as_secs() / SPAN * SPAN;
        let since = now.saturating_sub((SPANS - 1) * SPAN);
        let mut uses = Vec::new();
        for app in &self.apps {
            let id = self.ledger.known_app(&app.key).await?;
            let limits = &app.limits;
            for (quota, granted) in [
                ("group messages", limits.group_per_second),
                ("targeted calls", limits.targeted_per_second),
                ("uploads", limits.upload_per_second),
                ("reads", limits.read_per_second),
                ("edits", limits.edit_per_second),
                ("user messages", limits.user_messages_per_minute.div_ceil(60)),
                ("room messages", limits.room_messages_per_second),
            ] {
                let rows = match id {
                    Some(id) => self.ledger.activity(Some(id), quota, Duration::from_secs(since)).await?,
                    None => Vec::new(),
                };
                if rows.is_empty() && quota != "group messages" {
                    continue;
                }
                let sent = |at: u64| rows.iter().find(|row| row.at.as_secs() == at).map_or(0, |row| row.sent);
                uses.push(QuotaUsage {
                    app: app.name.clone(),
                    quota,
                    most: f64::from(granted) * limits.share,
                    granted,
                    spans: (0..SPANS).map(|span| sent(since + span * SPAN)).collect(),
                    throttled: rows.iter().map(|row| row.throttled).sum(),
                });
            }
        }
        Ok(uses)
    }
}
