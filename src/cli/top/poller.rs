//! How everything stands, as the ledger knows it: whatever process sends, and without asking any.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::AppLimits;
use crate::ledger::{Broadcast, BroadcastFilter, BroadcastId, Ledger, LedgerError};
use crate::message::MessageCall;
use crate::web::{BroadcastView, JobView, ScriptView, standing};

use super::super::progress::ThroughputMeter;

/// How far back the use of quotas is shown, in spans of the ledger.
const SPANS: u64 = 60;

/// The length of a span in seconds.
const SPAN: u64 = 10;

/// Broadcasts that are over, of which so many are shown.
const OVER: u64 = 5;

/// An app as its settings describe it.
pub(super) struct ConfiguredApp {
    /// Its name in the settings.
    pub(super) name: String,
    /// What it is known by in the ledger.
    pub(super) key: String,
    pub(super) limits: AppLimits,
}

/// A broadcast, and what tells how to speak of it.
pub(super) struct BroadcastStatus {
    pub(super) view: BroadcastView,
    /// Whether somebody has it paused.
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
    /// Our part of what the service grants, a second.
    pub(super) most: f64,
    /// What the service grants, a second.
    granted: u32,
    /// What was written in each span of ten seconds, the oldest first.
    pub(super) spans: Vec<u64>,
    /// What of it was refused as too much.
    pub(super) throttled: u64,
}

impl QuotaUsage {
    /// What the service grants in a span: full height means full use.
    pub(super) fn most_in_a_span(&self) -> u64 {
        u64::from(self.granted).max(1) * SPAN
    }

    /// What was written a second lately: in the last whole span.
    pub(super) fn rate(&self) -> f64 {
        let last = self.spans.len().checked_sub(2).and_then(|whole| self.spans.get(whole));
        last.copied().unwrap_or(0) as f64 / SPAN as f64
    }
}

/// How everything stands.
pub(super) struct TopSnapshot {
    pub(super) at: Duration,
    pub(super) broadcasts: Vec<BroadcastStatus>,
    pub(super) quotas: Vec<QuotaUsage>,
    pub(super) jobs: Vec<JobView>,
    /// The stale ones first.
    pub(super) scripts: Vec<ScriptView>,
}

/// Looks, again and again.
pub(super) struct StatusPoller {
    pub(super) ledger: Ledger,
    clock: Clock,
    apps: Vec<ConfiguredApp>,
    meters: HashMap<BroadcastId, ThroughputMeter>,
}

impl StatusPoller {
    pub(super) fn new(ledger: Ledger, clock: Clock, apps: Vec<ConfiguredApp>) -> Self {
        Self { ledger, clock, apps, meters: HashMap::new() }
    }

    pub(super) async fn look(&mut self) -> Result<TopSnapshot, LedgerError> {
        let going =
            self.ledger.list(&BroadcastFilter { unfinished: true, ..BroadcastFilter::default() }).await?;
        let over = BroadcastFilter { finished: true, limit: OVER, ..BroadcastFilter::default() };
        let over = self.ledger.list(&over).await?;
        self.meters.retain(|id, _| going.iter().any(|one| one.id == *id));
        let mut scripts: Vec<ScriptView> =
            self.ledger.scripts().await?.iter().map(ScriptView::from).collect();
        scripts.sort_by_key(|script| script.error.is_none());
        Ok(TopSnapshot {
            at: self.clock.unix_time(),
            broadcasts: self.standings(&going, &over).await?,
            quotas: self.quotas().await?,
            jobs: self.ledger.job_rows(None).await?.iter().map(JobView::from).collect(),
            scripts,
        })
    }

    async fn standings(
        &mut self,
        going: &[Broadcast],
        over: &[Broadcast],
    ) -> Result<Vec<BroadcastStatus>, LedgerError> {
        let views = standing(&self.ledger, going, self.clock.unix_time()).await?;
        let going = going.iter().zip(views);
        let over = over.iter().map(|one| (one, BroadcastView::from(one)));
        Ok(going.chain(over).map(|(one, view)| self.standing(one, view)).collect())
    }

    fn standing(&mut self, broadcast: &Broadcast, mut view: BroadcastView) -> BroadcastStatus {
        if let Some(app) = self.apps.iter().find(|app| app.key == broadcast.app_key) {
            view.app.clone_from(&app.name);
            let granted = match broadcast.spec.call {
                MessageCall::Group => app.limits.group_per_second,
                MessageCall::Targeted => app.limits.targeted_per_second,
            };
            let granted = f64::from(granted) * app.limits.share;
            let most = broadcast.spec.rate.map_or(granted, |cap| cap.min(granted));
            view.most = view.most.or(Some(most));
        }
        if !view.over {
            let settled = view.counts.sent + view.counts.rejected + view.counts.in_doubt;
            let meter = self.meters.entry(broadcast.id).or_default();
            let measured = meter.rate(self.clock.now(), settled, 1);
            view.rate = view.rate.or(measured);
        }
        BroadcastStatus {
            paused: view.state == "paused",
            driven: broadcast.driver.is_some(),
            planned: broadcast.planned_at.is_some(),
            view,
        }
    }

    /// The quotas that were used in the last minutes, and every one for group messages.
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
