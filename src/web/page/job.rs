//! `GET /job`: one job and its runs. A job's name can be any text, so it is in the query.

use axum::extract::State;
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use crate::control::{JobAction, JobRunView, JobView, find_job};
use crate::schedule::{is_requestable, script_of};
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::ApiQuery;

use super::format;
use super::page_context::PageContext;

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
    State(state): State<AppState>,
    page_context: PageContext,
    ApiQuery(which): ApiQuery<JobPageQuery>,
) -> Response {
    let came = context(&state, &page_context, &which.name).await;
    page_context.answer(&state, "job.html", came)
}

/// The context of the templates.
pub(super) async fn context(
    state: &AppState,
    page_context: &PageContext,
    name: &str,
) -> Result<Value, ApiError> {
    let job = JobView::from(&find_job(&state.ledger, name).await?);
    let runs = state.ledger.job_runs(Some(name), RUNS).await?;
    let runs: Vec<JobRunView> = runs.iter().map(JobRunView::from).collect();
    // A run of the command line is cancelled in its terminal, not on the page.
    let goes_on = runs.iter().any(|run| run.finished_at.is_none() && run.command_line.is_none());
    let kept = !state.ledger.kept_hook_runs(name).await?.is_empty();
    Ok(context! {
        live => true,
        events => format!("/events?job={}", format::in_query(name)),
        job => Serde(&job),
        asked => script_of(name).filter(|script| is_requestable(script)),
        acts => Serde(JobAction::sensible(&job, goes_on, kept)),
        runs => Serde(&runs),
        most => RUNS,
        ..page_context.context(state)
    })
}
