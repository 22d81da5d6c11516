//! `GET /job`: one job and its runs. A job's name can be any text, so it is in the query.

use axum::extract::{Query, State};
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use crate::schedule::script_of;
use crate::web::actions::JobAction;
use crate::web::answer::ApiError;
use crate::web::{AppState, JobRunView, JobView};

use super::format;
use super::visitor::Visitor;

/// The parts that are updated live.
pub(super) const PARTS: &[&str] = &["job", "runs"];

/// The number of runs that are shown.
const RUNS: u32 = 100;

#[derive(Debug, Deserialize)]
pub(super) struct JobPageQuery {
    pub(super) name: String,
}

/// `GET /job?name=…`
pub(super) async fn show(
    State(site): State<AppState>,
    visitor: Visitor,
    Query(which): Query<JobPageQuery>,
) -> Response {
    let came = context(&site, &visitor, &which.name).await;
    visitor.answer(&site, "job.html", came)
}

/// The context of the templates.
pub(super) async fn context(site: &AppState, visitor: &Visitor, name: &str) -> Result<Value, ApiError> {
    let job = JobView::from(&site.job(name).await?);
    let runs = site.ledger.job_runs(Some(name), RUNS).await?;
    let runs: Vec<JobRunView> = runs.iter().map(JobRunView::from).collect();
    let goes_on = runs.iter().any(|run| run.finished_at.is_none());
    let kept = !site.ledger.kept_hook_runs(name).await?.is_empty();
    Ok(context! {
        live => true,
        events => format!("/events?job={}", format::in_query(name)),
        job => Serde(&job),
        asked => script_of(name),
        acts => Serde(sensible(&job, goes_on, kept)),
        runs => Serde(&runs),
        most => RUNS,
        ..visitor.context(site)
    })
}

/// The actions that make sense for a job in this state. The runs of a script can only be cancelled here.
fn sensible(job: &JobView, goes_on: bool, kept: bool) -> Vec<JobAction> {
    let (gone, paused) = (job.gone_at.is_some() || script_of(&job.name).is_some(), job.paused_at.is_some());
    let all = [
        (JobAction::Trigger, !gone),
        (JobAction::Retry, !gone && kept),
        (JobAction::Pause, !gone && !paused),
        (JobAction::Resume, paused),
        (JobAction::Cancel, goes_on),
    ];
    all.into_iter().filter(|(_, sensible)| *sensible).map(|(act, _)| act).collect()
}
