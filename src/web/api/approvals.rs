//! `/broadcasts/{id}/approve` and `/broadcasts/{id}/reject`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::ApiResult;
use super::extract::{ApiJson, ApiPath};
use crate::control::ActionResult;
use crate::ledger::BroadcastId;
use crate::web::AppState;
use crate::web::answer::ApiErrorBody;
use crate::web::guard::Caller;

/// The approval of a broadcast.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalRequest {
    /// The hash of what the approver saw: `approval.hash` of the broadcast. It is refused if the plan is another one now.
    plan: String,
    /// A note for the others.
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// The rejection of a broadcast.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RejectionRequest {
    /// The hash of what the approver saw: `approval.hash` of the broadcast. It is refused if the plan is another one now.
    plan: String,
    /// Why it is rejected.
    #[schema(max_length = 1000, pattern = r"\S")]
    note: String,
}

/// Approves the plan of a broadcast, which is sent then. Only another person than those who began it or changed its plan
/// can approve it.
#[utoipa::path(post, path = "/broadcasts/{id}/approve", operation_id = "approve_broadcast", request_body = ApprovalRequest,
    params(("id" = i64, Path, description = "The number")), responses(
    (status = 200, description = "The result", body = ActionResult),
    (status = 400, description = "The number or the body is invalid", body = ApiErrorBody),
    (status = 404, description = "The broadcast does not exist", body = ApiErrorBody),
    (status = 409, description = "It does not wait for an approval, its plan is another one, or the caller began it", body = ApiErrorBody),
    (status = 415, description = "The body is not JSON", body = ApiErrorBody),
))]
pub(super) async fn approve(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
    ApiJson(said): ApiJson<ApprovalRequest>,
) -> ApiResult<ActionResult> {
    state.judge(&caller, BroadcastId(id), true, &said.plan, said.note.as_deref()).await.map(Json)
}

/// Rejects the plan of a broadcast that waits for an approval. The broadcast is cancelled.
#[utoipa::path(post, path = "/broadcasts/{id}/reject", operation_id = "reject_broadcast", request_body = RejectionRequest,
    params(("id" = i64, Path, description = "The number")), responses(
    (status = 200, description = "The result", body = ActionResult),
    (status = 400, description = "The number or the body is invalid", body = ApiErrorBody),
    (status = 404, description = "The broadcast does not exist", body = ApiErrorBody),
    (status = 409, description = "It does not wait for an approval, or its plan is another one", body = ApiErrorBody),
    (status = 415, description = "The body is not JSON", body = ApiErrorBody),
))]
pub(super) async fn reject(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
    ApiJson(said): ApiJson<RejectionRequest>,
) -> ApiResult<ActionResult> {
    state.judge(&caller, BroadcastId(id), false, &said.plan, Some(&said.note)).await.map(Json)
}
