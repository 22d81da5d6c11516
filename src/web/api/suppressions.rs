//! `/suppressions`: lists the suppression list, adds to it, and removes from it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiResult;
use super::extract::{ApiJson, ApiQuery, within};
use crate::control::{ActionResult, SuppressionView};
use crate::core::SuppressedKind;
use crate::ledger::SuppressionFilter;
use crate::web::AppState;
use crate::web::answer::{ApiError, ApiErrorBody};
use crate::web::guard::Caller;

/// The maximum and the default number of entries on a page.
const MOST: u32 = 1000;
const SOME: u32 = 100;

/// The most ids of one request.
const MOST_IDS: usize = 10_000;

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SuppressionListQuery {
    /// Only those of this app, by its name in mooncast.toml.
    app: Option<String>,
    /// Only those of this kind.
    #[param(inline)]
    kind: Option<SuppressedKind>,
    /// Only those with this id.
    id: Option<String>,
    /// The `next` of the page before. Absent for the first page.
    after: Option<String>,
    /// The maximum number. Default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A page of the suppression list, in the order of app, kind and id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SuppressionPage {
    suppressions: Vec<SuppressionView>,
    /// The `after` of the next page. Absent on the last page.
    next: Option<String>,
}

/// What is added to the suppression list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SuppressionAddition {
    /// The ids, 1 to 10,000.
    #[schema(min_items = 1, max_items = 10_000)]
    ids: Vec<String>,
    /// What they are. Default `group`.
    #[serde(default)]
    kind: SuppressedKind,
    /// Why they are on the list.
    reason: Option<String>,
    /// How long they stay on the list, such as `30d`. Absent for no end. Of an id that is on the list, the later end
    /// stays.
    #[schema(example = "30d")]
    expires: Option<String>,
    /// The app, by its name in mooncast.toml. Default: the first one.
    app: Option<String>,
}

/// What is removed from the suppression list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SuppressionRemoval {
    /// The ids, 1 to 10,000.
    #[schema(min_items = 1, max_items = 10_000)]
    ids: Vec<String>,
    /// What they are. Default `group`.
    #[serde(default)]
    kind: SuppressedKind,
    /// The app, by its name in mooncast.toml. Default: the first one.
    app: Option<String>,
}

/// Lists the suppression list.
#[utoipa::path(get, path = "/suppressions", operation_id = "list_suppressions", params(SuppressionListQuery), responses(
    (status = 200, description = "One page of the list", body = SuppressionPage),
    (status = 400, description = "A parameter is invalid", body = ApiErrorBody),
    (status = 404, description = "The app or the place of `after` does not exist", body = ApiErrorBody),
))]
pub(super) async fn list(
    State(state): State<AppState>,
    ApiQuery(which): ApiQuery<SuppressionListQuery>,
) -> ApiResult<SuppressionPage> {
    let limit = within("limit", which.limit, MOST, SOME)?;
    let app = which.app.as_deref().map(|name| state.app_key(Some(name))).transpose()?;
    let after = which.after.as_deref().map(cursor).transpose()?;
    let filter = SuppressionFilter {
        app_key: app.as_deref(),
        kind: which.kind,
        id: which.id.as_deref(),
        after: after.as_ref().map(|(app, kind, id)| (app.as_str(), *kind, id.as_str())),
        limit: limit + 1,
    };
    let mut found = state.ledger.suppressions(&filter).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| {
        let position = serde_json::json!([last.app_key, last.kind, last.id]);
        BASE64URL_NOPAD.encode(position.to_string().as_bytes())
    });
    Ok(Json(SuppressionPage { suppressions: found.iter().map(SuppressionView::from).collect(), next }))
}

/// Adds groups, users or rooms to the suppression list: nothing is sent to them. If one id is invalid, none is added.
#[utoipa::path(post, path = "/suppressions", operation_id = "add_suppressions", request_body = SuppressionAddition, responses(
    (status = 200, description = "The result of the action", body = ActionResult),
    (status = 400, description = "The body is invalid", body = ApiErrorBody),
    (status = 404, description = "The app does not exist", body = ApiErrorBody),
    (status = 409, description = "An id or the reason is invalid", body = ApiErrorBody),
    (status = 415, description = "The body is not JSON", body = ApiErrorBody),
))]
pub(super) async fn add(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(request): ApiJson<SuppressionAddition>,
) -> ApiResult<ActionResult> {
    let SuppressionAddition { ids, kind, reason, expires, app } = request;
    few(&ids)?;
    let app = app.as_deref();
    state.suppress(&caller, app, kind, ids, reason.as_deref(), expires.as_deref()).await.map(Json)
}

/// Removes groups, users or rooms from the suppression list.
#[utoipa::path(post, path = "/suppressions/remove", operation_id = "remove_suppressions", request_body = SuppressionRemoval, responses(
    (status = 200, description = "The result of the action", body = ActionResult),
    (status = 400, description = "The body is invalid", body = ApiErrorBody),
    (status = 404, description = "The app does not exist, or none of the ids is on the list", body = ApiErrorBody),
    (status = 409, description = "An id or the reason is invalid", body = ApiErrorBody),
    (status = 415, description = "The body is not JSON", body = ApiErrorBody),
))]
pub(super) async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(request): ApiJson<SuppressionRemoval>,
) -> ApiResult<ActionResult> {
    let SuppressionRemoval { ids, kind, app } = request;
    few(&ids)?;
    let key = state.app_key(app.as_deref())?;
    state.unsuppress(&caller, &key, kind, &ids).await.map(Json)
}

fn few(ids: &[String]) -> Result<(), ApiError> {
    if (1..=MOST_IDS).contains(&ids.len()) {
        return Ok(());
    }
    let why = format!("`ids` has {} ids; it may have 1 to {MOST_IDS}", ids.len());
    Err(ApiError::new(StatusCode::BAD_REQUEST, why))
}

fn cursor(text: &str) -> Result<(String, SuppressedKind, String), ApiError> {
    let position = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
    position
        .and_then(|position| serde_json::from_slice(&position).ok())
        .ok_or_else(|| ApiError::not_found("`after` must be the `next` of an earlier page"))
}
