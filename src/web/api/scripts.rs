//! `/scripts`: lists the scripts, and runs one on request.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ApiResult;
use super::extract::ApiJson;
use crate::control::ActionResult;
use crate::control::asked_scripts;
use crate::control::{JobRunView, ScriptView};
use crate::web::AppState;
use crate::web::answer::ApiErrorBody;
use crate::web::guard::{Operator, Viewer};

/// A script, and the last time that somebody had it run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScriptDetail {
    script: ScriptView,
    /// Its latest run that somebody asked for; those of its jobs are theirs.
    last: Option<JobRunView>,
}

/// What to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunScriptRequest {
    /// The script: its path below the project's folder, or below `scripts/`.
    script: String,
    /// The arguments of its `main(args)`.
    #[serde(default)]
    args: Vec<String>,
}

/// The scripts that the daemon knows, by name.
#[utoipa::path(get, path = "/scripts", operation_id = "list_scripts", responses(
    (status = 200, description = "The scripts", body = [ScriptDetail]),
))]
pub(super) async fn list(State(site): State<AppState>, _: Viewer) -> ApiResult<Vec<ScriptDetail>> {
    let runs = asked_scripts(&site.ledger, None).await?;
    let scripts = site.ledger.scripts().await?;
    let detail = |script: &crate::ledger::ScriptRow| {
        let own = runs.iter().find(|run| run.script == script.name).and_then(|run| run.last.as_ref());
        ScriptDetail { script: ScriptView::from(script), last: own.map(JobRunView::from) }
    };
    Ok(Json(scripts.iter().map(detail).collect()))
}

/// Runs the version of a script that is in force now: its top level, with sending allowed, and then `main(args)` where
/// it defines one, as `mooncast run` would. Its runs are listed as those of the job `run SCRIPT`; one waits for another.
#[utoipa::path(post, path = "/scripts/run", operation_id = "run_script", request_body = RunScriptRequest, responses(
    (status = 202, description = "It begins within a second or two", body = ActionResult),
    (status = 400, description = "The body is not right", body = ApiErrorBody),
    (status = 404, description = "There is no such script", body = ApiErrorBody),
    (status = 409, description = "The script is stale: its file is not in force as it is now", body = ApiErrorBody),
    (status = 415, description = "The body is no JSON", body = ApiErrorBody),
))]
pub(super) async fn run(
    State(site): State<AppState>,
    _: Operator,
    ApiJson(wanted): ApiJson<RunScriptRequest>,
) -> Result<(StatusCode, Json<ActionResult>), crate::web::answer::ApiError> {
    let done = site.run_script(&wanted.script, &wanted.args).await?;
    Ok((StatusCode::ACCEPTED, Json(done)))
}
