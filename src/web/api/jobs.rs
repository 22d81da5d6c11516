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
use crate::web::guard::{Operator, Viewer};

/// The maximum and the default number of runs.
const MOST: u32 = 1000;
const SOME: u32 = 20;

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobRunsQuery {
    /// Only those of this job; of a script that somebody ran: `run scripts/NAME.lua`.
    job: Option<String>,
    /// At the most so many. Default 20.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A job and its latest runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobDetail {
    job: JobView,
    /// The newest first, at the most twenty.
    runs: Vec<JobRunView>,
}

/// The jobs in force, by name.
#[utoipa::path(get, path = "/jobs", operation_id = "list_jobs", responses((status = 200, description = "The jobs", body = [JobView])))]
pub(super) async fn list(State(site): State<AppState>, _: Viewer) -> ApiResult<Vec<JobView>> {
    Ok(Json(site.ledger.job_rows(None).await?.iter().map(JobView::from).collect()))
}

/// A job, in force or not, and its latest runs. A script that somebody ran is known as `run scripts/NAME.lua`.
#[utoipa::path(get, path = "/jobs/{name}", operation_id = "show_job", params(("name" = String, Path, description = "The job")), responses(
    (status = 200, description = "How it stands", body = JobDetail),
    (status = 400, description = "The name is not in UTF-8", body = ApiErrorBody),
    (status = 404, description = "There is no such job", body = ApiErrorBody),
))]
pub(super) async fn show(
    State(site): State<AppState>,
    _: Viewer,
    ApiPath(name): ApiPath<String>,
) -> ApiResult<JobDetail> {
    let job = find_job(&site.ledger, &name).await?;
    let runs = site.ledger.job_runs(Some(&name), SOME).await?;
    Ok(Json(JobDetail { job: JobView::from(&job), runs: runs.iter().map(JobRunView::from).collect() }))
}

/// Does something with a job.
#[utoipa::path(post, path = "/jobs/{name}/{act}", operation_id = "act_on_job", params(
    ("name" = String, Path, description = "The job"),
    ("act" = inline(JobAction), Path, description = "What to do"),
), responses(
    (status = 200, description = "What was done", body = ActionResult),
    (status = 400, description = "This is nothing that can be done", body = ApiErrorBody),
    (status = 404, description = "There is no such job", body = ApiErrorBody),
    (status = 409, description = "That cannot be done as it stands", body = ApiErrorBody),
))]
pub(super) async fn act(
    State(site): State<AppState>,
    _: Operator,
    ApiPath((name, act)): ApiPath<(String, JobAction)>,
) -> ApiResult<ActionResult> {
    site.act_on_job(&name, act).await.map(Json)
}

/// The latest runs of jobs, and of scripts that somebody ran.
#[utoipa::path(get, path = "/runs", operation_id = "list_runs", params(JobRunsQuery), responses(
    (status = 200, description = "The runs, the newest first", body = [JobRunView]),
    (status = 400, description = "A parameter is not right", body = ApiErrorBody),
))]
pub(super) async fn runs(
    State(site): State<AppState>,
    _: Viewer,
    ApiQuery(which): ApiQuery<JobRunsQuery>,
) -> ApiResult<Vec<JobRunView>> {
    let limit = within("limit", which.limit, MOST, SOME)?;
    let runs = site.ledger.job_runs(which.job.as_deref(), limit).await?;
    Ok(Json(runs.iter().map(JobRunView::from).collect()))
}
