//! `GET /`: the first page.

use axum::extract::State;
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};

use crate::control::{Overview, QuotaView};
use crate::web::AppState;
use crate::web::answer::ApiError;

use super::card::BroadcastCard;
use super::chart::ActivityChart;
use super::visitor::Visitor;

/// The parts that are updated live.
pub(super) const PARTS: &[&str] =
    &["running", "doubts", "chart", "quotas", "jobs", "scripts", "hosts", "finished", "tail"];

/// The quota whose line the chart shows.
const GROUP_MESSAGES: &str = "group messages";

/// The maximum number of unfinished broadcasts that are shown.
const RUNNING: usize = 20;

/// The maximum number of sends in doubt that are shown.
const DOUBTS: usize = 20;

/// The number of log lines.
const LINES: usize = 15;

pub(super) async fn show(State(site): State<AppState>, visitor: Visitor) -> Response {
    let came = looked(&site).await.map(|overview| context(&site, &visitor, &overview));
    visitor.answer(&site, "first.html", came)
}

/// The current overview.
pub(super) async fn looked(site: &AppState) -> Result<Overview, ApiError> {
    Ok(site.overview().await?)
}

/// The context of the templates.
pub(super) fn context(site: &AppState, visitor: &Visitor, overview: &Overview) -> Value {
    let quotas = overview.apps.iter().flat_map(|app| &app.quotas);
    let quota = quotas.filter(|quota| quota.name == GROUP_MESSAGES).map(|quota| quota.per_second).sum();
    let now = site.clock.unix_time().as_secs();
    let mut log = site.log.newest(LINES);
    log.reverse();
    let (bad, good): (Vec<_>, Vec<_>) = overview.scripts.iter().partition(|script| script.error.is_some());
    let waits = |quota: &QuotaView| quota.waiting.iter().any(|waiting| waiting.calls > 0);
    context! {
        live => true,
        events => "/events",
        running => overview.broadcasts.iter().take(RUNNING).map(BroadcastCard::value).collect::<Vec<_>>(),
        unfinished => overview.broadcasts.len(),
        finished => overview.finished.iter().map(BroadcastCard::value).collect::<Vec<_>>(),
        doubts => Serde(&overview.doubts),
        doubts_most => DOUBTS,
        chart => Serde(ActivityChart::of(&overview.activity, quota, now, visitor.zone())),
        apps => Serde(&overview.apps),
        waited => overview.apps.iter().flat_map(|app| &app.quotas).any(waits),
        jobs => Serde(&overview.jobs),
        stale => Serde(&bad),
        scripts => Serde(&good),
        fleet => overview.fleet,
        hosts => Serde(&overview.hosts),
        log => Serde(&log),
        ..visitor.context(site)
    }
}
