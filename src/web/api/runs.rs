//! `/runs/{id}` and `/runs/{id}/output`: one job run, what it sent, and its output.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ApiResult;
use super::extract::{ApiPath, ApiQuery, from};
use crate::control::{OutputView, RunDetail, find_run};
use crate::web::AppState;
use crate::web::answer::ApiErrorBody;

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OutputQuery {
    /// Only lines after the one with this number. To follow a run, pass the `last_line` of the answer before.
    #[param(minimum = 0)]
    after: Option<i64>,
}

/// Returns a job run with its broadcasts and its single sends.
#[utoipa::path(get, path = "/runs/{id}", operation_id = "show_run",
    params(("id" = String, Path, description = "The run's id: JOB@RUN")), responses(
    (status = 200, description = "Its current state", body = RunDetail),
    (status = 400, description = "The id is not UTF-8", body = ApiErrorBody),
    (status = 404, description = "The run does not exist", body = ApiErrorBody),
))]
pub(super) async fn show(
    State(state): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<RunDetail> {
    let run = find_run(&state.ledger, &id).await?;
    Ok(Json(RunDetail::read(&state.ledger, &run, state.clock.unix_time()).await?))
}

/// Returns what a job run has printed and logged: its first 64 KiB and its last 64 KiB.
#[utoipa::path(get, path = "/runs/{id}/output", operation_id = "show_run_output",
    params(("id" = String, Path, description = "The run's id: JOB@RUN"), OutputQuery), responses(
    (status = 200, description = "The kept lines", body = OutputView),
    (status = 400, description = "The id is not UTF-8, or a parameter is invalid", body = ApiErrorBody),
    (status = 404, description = "The run does not exist", body = ApiErrorBody),
))]
pub(super) async fn output(
    State(state): State<AppState>,
    ApiPath(id): ApiPath<String>,
    ApiQuery(which): ApiQuery<OutputQuery>,
) -> ApiResult<OutputView> {
    let after = from("after", which.after, 0)?.unwrap_or_default();
    let run = find_run(&state.ledger, &id).await?;
    Ok(Json(OutputView::read(&state.ledger, &run, u64::try_from(after).unwrap_or_default()).await?))
}
