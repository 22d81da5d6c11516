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
use super::format::in_query;
use super::page_context::PageContext;

/// The parts that are updated live.
pub(super) const PARTS: &[&str] = &[
    "needs", "running", "next", "doubts", "chart", "quotas", "jobs", "scripts", "hosts", "finished", "tail",
];

/// The quota whose line the chart shows.
const GROUP_MESSAGES: &str = "group messages";

/// The maximum number of unfinished broadcasts that are shown.
const RUNNING: usize = 20;

/// The maximum number of sends in doubt that are shown.
const DOUBTS: usize = 20;

/// The number of things that come next.
const NEXT: usize = 6;

/// The number of log lines.
const LINES: usize = 15;

pub(super) async fn show(State(state): State<AppState>, page_context: PageContext) -> Response {
    let came = looked(&state).await.map(|overview| context(&state, &page_context, &overview));
    page_context.answer(&state, "first.html", came)
}

/// What comes next, the earliest first: runs of jobs, and broadcasts that wait for a time.
fn next(overview: &Overview) -> Vec<Value> {
    let jobs = overview.jobs.iter().filter(|job| job.paused_at.is_none());
    let jobs = jobs.filter_map(|job| Some((job.next_at.clone()?, job.name.clone(), None)));
    let broadcasts = overview.broadcasts.iter().filter_map(|broadcast| {
        let until = broadcast.waits_for.as_ref()?.until.clone()?;
        Some((until, format!("{}/{}", broadcast.name, broadcast.run), Some(broadcast.id)))
    });
    let mut all: Vec<(String, String, Option<i64>)> = jobs.chain(broadcasts).collect();
    all.sort();
    all.truncate(NEXT);
    let value = |(at, name, broadcast): (String, String, Option<i64>)| {
        let job = format!("/job?name={}", in_query(&name));
        let href = broadcast.map_or(job, |id| format!("/broadcasts/{id}"));
        context! { at, name, href, broadcast => broadcast.is_some() }
    };
    all.into_iter().map(value).collect()
}

/// The current overview.
pub(super) async fn looked(state: &AppState) -> Result<Overview, ApiError> {
    Ok(state.overview().await?)
}

/// The context of the templates.
pub(super) fn context(state: &AppState, page_context: &PageContext, overview: &Overview) -> Value {
    let quotas = overview.apps.iter().flat_map(|app| &app.quotas);
    let quota = quotas.filter(|quota| quota.name == GROUP_MESSAGES).map(|quota| quota.per_second).sum();
    let now = state.clock.unix_time().as_secs();
    let mut log = state.log.newest(LINES);
    log.reverse();
    let (bad, good): (Vec<_>, Vec<_>) = overview.scripts.iter().partition(|script| script.error.is_some());
    let waits = |quota: &QuotaView| quota.waiting.iter().any(|waiting| waiting.calls > 0);
    context! {
        live => true,
        events => "/events",
        needs => Serde(&overview.needs),
        next => next(overview),
        running => overview.broadcasts.iter().take(RUNNING).map(BroadcastCard::value).collect::<Vec<_>>(),
        unfinished => overview.broadcasts.len(),
        finished => overview.finished.iter().map(BroadcastCard::value).collect::<Vec<_>>(),
        doubts => Serde(&overview.doubts),
        doubts_most => DOUBTS,
        chart => Serde(ActivityChart::of(&overview.activity, quota, now, page_context.zone(state))),
        apps => Serde(&overview.apps),
        waited => overview.apps.iter().flat_map(|app| &app.quotas).any(waits),
        jobs => Serde(&overview.jobs),
        stale => Serde(&bad),
        scripts => Serde(&good),
        fleet => overview.fleet,
        hosts => Serde(&overview.hosts),
        log => Serde(&log),
        ..page_context.context(state)
    }
}
