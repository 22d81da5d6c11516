//! `/scripts`: lists the scripts, and runs one on request.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::ApiResult;
use super::extract::{ApiJson, ApiPath, ApiQuery};
use crate::control::ActionResult;
use crate::control::asked_scripts;
use crate::control::{
    JobRunView, RehearsalState, RehearsalView, ScriptView, find_rehearsal, named_arguments,
};
use crate::ledger::RunRequest;
use crate::web::AppState;
use crate::web::answer::{ApiError, ApiErrorBody};
use crate::web::guard::Caller;

/// A script and its latest requested run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScriptDetail {
    script: ScriptView,
    /// The latest requested run of the script itself. Runs of its jobs are not included.
    last: Option<JobRunView>,
}

/// A request to run a script.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunScriptRequest {
    /// The script: its path below the project's folder, or below `scripts/`.
    script: String,
    /// The arguments of its `main(args)`: a list, or an object with a value for each argument of the script's form.
    #[serde(default)]
    args: ScriptArguments,
    /// The plan of a rehearsal. The run then sends exactly what was rehearsed, or nothing.
    #[schema(pattern = "^[1-9a-f][0-9a-f]{0,8}-[0-9a-f]{8}-(0|[1-9][0-9]{0,8})-[0-9a-f]{24}$")]
    plan: Option<String>,
    /// Sends only the test messages of campaigns.
    #[serde(default)]
    test_only: bool,
}

/// A request to rehearse a script.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RehearseScriptRequest {
    /// The script: its path below the project's folder, or below `scripts/`.
    script: String,
    /// The arguments of its `main(args)`: a list, or an object with a value for each argument of the script's form.
    #[serde(default)]
    args: ScriptArguments,
}

/// The arguments of a script, by place or by name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "`args` must be a list of texts, or an object with a value for each argument")]
enum ScriptArguments {
    ByPlace(Vec<String>),
    #[schema(value_type = BTreeMap<String, ArgumentText>)]
    ByName(Map<String, Value>),
}

/// The value of an argument.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only the document has it")]
enum ArgumentText {
    Text(String),
    Number(f64),
    Boolean(bool),
}

/// The content of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary, min_length = 1)]
#[expect(dead_code, reason = "only the document has it")]
pub(super) struct RunFileContent(String);

impl Default for ScriptArguments {
    fn default() -> Self {
        Self::ByPlace(Vec::new())
    }
}

impl ScriptArguments {
    fn texts(&self) -> Result<Vec<String>, ApiError> {
        match self {
            Self::ByPlace(args) => Ok(args.clone()),
            Self::ByName(named) => Ok(named_arguments(named)?),
        }
    }
}

/// The name of an uploaded file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UploadName {
    /// The file's name without folders, such as `audience.csv`.
    #[param(max_length = 60, pattern = r"^[^./\\:\x00-\x1f\x7f-\x9f][^/\\:\x00-\x1f\x7f-\x9f]*$")]
    name: String,
}

/// A file that is kept for a run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunFile {
    /// The value for an argument of the type `file`.
    value: String,
    /// The size in bytes.
    bytes: usize,
}

/// Lists the daemon's scripts by name.
#[utoipa::path(get, path = "/scripts", operation_id = "list_scripts", responses(
    (status = 200, description = "The scripts", body = [ScriptDetail]),
))]
pub(super) async fn list(State(state): State<AppState>) -> ApiResult<Vec<ScriptDetail>> {
    let runs = asked_scripts(&state.ledger, None).await?;
    let scripts = state.ledger.scripts().await?;
    let detail = |script: &crate::ledger::ScriptRow| {
        let own = runs.iter().find(|run| run.script == script.name).and_then(|run| run.last.as_ref());
        ScriptDetail { script: ScriptView::from(script), last: own.map(JobRunView::from) }
    };
    Ok(Json(scripts.iter().map(detail).collect()))
}

/// Runs the active version of a script as `mooncast run` does: its top level, then its `main(args)` if it defines one.
/// The runs are listed under the job name `run SCRIPT`. Only one of them is active at a time; the others wait.
#[utoipa::path(post, path = "/scripts/run", operation_id = "run_script", request_body = RunScriptRequest, responses(
    (status = 202, description = "The run starts within a second or two", body = ActionResult),
    (status = 400, description = "The body is invalid", body = ApiErrorBody),
    (status = 404, description = "The script does not exist", body = ApiErrorBody),
    (status = 409, description = "The script failed to load", body = ApiErrorBody),
    (status = 415, description = "The body is not JSON", body = ApiErrorBody),
))]
pub(super) async fn run(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(wanted): ApiJson<RunScriptRequest>,
) -> Result<(StatusCode, Json<ActionResult>), ApiError> {
    let RunScriptRequest { script, args, plan, test_only } = wanted;
    let request = RunRequest { args: args.texts()?, plan, test_only };
    let done = state.run_script(&caller, &script, &request).await?;
    Ok((StatusCode::ACCEPTED, Json(done)))
}

/// Rehearses the active version of a script: runs it without sending, in a process of its own, with a simulated clock. The
/// rehearsal can take up to ten minutes; `GET /rehearsals/{id}` has its report.
#[utoipa::path(post, path = "/scripts/rehearse", operation_id = "rehearse_script", request_body = RehearseScriptRequest, responses(
    (status = 200, description = "The rehearsal has ended", body = RehearsalView),
    (status = 202, description = "The rehearsal runs", body = RehearsalView),
    (status = 400, description = "The body or an argument is invalid", body = ApiErrorBody),
    (status = 404, description = "The script does not exist", body = ApiErrorBody),
    (status = 409, description = "The script failed to load", body = ApiErrorBody),
    (status = 415, description = "The body is not JSON", body = ApiErrorBody),
))]
pub(super) async fn rehearse(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(wanted): ApiJson<RehearseScriptRequest>,
) -> Result<(StatusCode, Json<RehearsalView>), ApiError> {
    let id = state.rehearse(&caller, &wanted.script, &wanted.args.texts()?).await?;
    let view = find_rehearsal(&state.ledger, id, state.clock.unix_time()).await?;
    let runs = view.state == RehearsalState::Running;
    Ok((if runs { StatusCode::ACCEPTED } else { StatusCode::OK }, Json(view)))
}

/// Returns a rehearsal and its report.
#[utoipa::path(get, path = "/rehearsals/{id}", operation_id = "show_rehearsal", params(("id" = i64, Path, description = "Its number")), responses(
    (status = 200, description = "The rehearsal", body = RehearsalView),
    (status = 400, description = "The path is invalid", body = ApiErrorBody),
    (status = 404, description = "There is no such rehearsal", body = ApiErrorBody),
))]
pub(super) async fn rehearsal(
    State(state): State<AppState>,
    ApiPath(id): ApiPath<i64>,
) -> ApiResult<RehearsalView> {
    Ok(Json(find_rehearsal(&state.ledger, id, state.clock.unix_time()).await?))
}

/// Keeps a file for a run: the body is its content, of at most 16 MiB. The answer has the value for an argument of the type
/// `file`.
#[utoipa::path(post, path = "/run-files", operation_id = "upload_run_file", params(UploadName),
    request_body(content = RunFileContent, content_type = "application/octet-stream"), responses(
    (status = 201, description = "The file is kept", body = RunFile),
    (status = 400, description = "The name or the content is invalid", body = ApiErrorBody),
    (status = 409, description = "There is no room for it", body = ApiErrorBody),
    (status = 413, description = "The file is too large", body = ApiErrorBody),
))]
pub(super) async fn upload(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(UploadName { name }): ApiQuery<UploadName>,
    content: Bytes,
) -> Result<(StatusCode, Json<RunFile>), ApiError> {
    let value = state.keep_run_file(&caller, None, &name, &content).await?;
    Ok((StatusCode::CREATED, Json(RunFile { value, bytes: content.len() })))
}
