//! `/jobs` and their runs.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiResult;
use super::extract::{ApiPath, ApiQuery, within};
use crate::control::{ActionResult, JobAction, JobRunView, JobView, find_job};
use crate::web::AppState;
use crate::web::answer::ApiErrorBody;
use crate::web::guard::Caller;

/// The maximum and the default number of runs.
const MOST: u32 = 1000;
const SOME: u32 = 20;

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobRunsQuery {
    /// Only runs of this job. For runs of a script, requested or on the command line: `run scripts/NAME.lua`.
    job: Option<String>,
    /// The maximum number. Default 20.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A job and its latest runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobDetail {
    job: JobView,
    /// Its latest runs, the newest first, at most 20.
    runs: Vec<JobRunView>,
}

/// Lists the active jobs by name.
#[utoipa::path(get, path = "/jobs", operation_id = "list_jobs", responses((status = 200, description = "The jobs", body = [JobView])))]
pub(super) async fn list(State(state): State<AppState>) -> ApiResult<Vec<JobView>> {
    Ok(Json(state.ledger.job_rows(None).await?.iter().map(JobView::from).collect()))
}

/// Returns a job, active or not, and its latest runs. The requested runs of a script have the job name
/// `run scripts/NAME.lua`.
#[utoipa::path(get, path = "/jobs/{name}", operation_id = "show_job", params(("name" = String, Path, description = "The job")), responses(
    (status = 200, description = "Its current state", body = JobDetail),
    (status = 400, description = "The name is not UTF-8", body = ApiErrorBody),
    (status = 404, description = "The job does not exist", body = ApiErrorBody),
))]
pub(super) async fn show(
    State(state): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> ApiResult<JobDetail> {
    let job = find_job(&state.ledger, &name).await?;
    let runs = state.ledger.job_runs(Some(&name), SOME).await?;
    Ok(Json(JobDetail { job: JobView::from(&job), runs: runs.iter().map(JobRunView::from).collect() }))
}

/// Applies an action to a job.
#[utoipa::path(post, path = "/jobs/{name}/{act}", operation_id = "act_on_job", params(
    ("name" = String, Path, description = "The job"),
    ("act" = inline(JobAction), Path, description = "The action"),
), responses(
    (status = 200, description = "The result of the action", body = ActionResult),
    (status = 400, description = "The action is invalid", body = ApiErrorBody),
    (status = 404, description = "The job does not exist", body = ApiErrorBody),
    (status = 409, description = "The action is not possible in the current state", body = ApiErrorBody),
))]
pub(super) async fn act(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath((name, act)): ApiPath<(String, JobAction)>,
) -> ApiResult<ActionResult> {
    state.act_on_job(&caller, &name, act).await.map(Json)
}

/// Lists the latest runs of jobs, the requested runs of scripts and the runs of the command line.
#[utoipa::path(get, path = "/runs", operation_id = "list_runs", params(JobRunsQuery), responses(
    (status = 200, description = "The runs, the newest first", body = [JobRunView]),
    (status = 400, description = "A parameter is invalid", body = ApiErrorBody),
))]
pub(super) async fn runs(
    State(state): State<AppState>,
    ApiQuery(which): ApiQuery<JobRunsQuery>,
) -> ApiResult<Vec<JobRunView>> {
    let limit = within("limit", which.limit, MOST, SOME)?;
    let runs = state.ledger.job_runs(which.job.as_deref(), limit).await?;
    Ok(Json(runs.iter().map(JobRunView::from).collect()))
}
