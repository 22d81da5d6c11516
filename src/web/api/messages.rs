//! `/broadcasts/{id}/recipients/{seq}/message`: the message of one recipient.

use axum::Json;
use axum::extract::State;

use super::ApiResult;
use super::extract::ApiPath;
use crate::control::{MessageView, find_message};
use crate::ledger::BroadcastId;
use crate::web::AppState;
use crate::web::answer::ApiErrorBody;

/// Returns the message that a recipient of a broadcast got or will get, without the secrets of its files.
#[utoipa::path(get, path = "/broadcasts/{id}/recipients/{seq}/message", operation_id = "show_message", params(
    ("id" = i64, Path, description = "The broadcast's number"),
    ("seq" = i64, Path, description = "The recipient's place in the plan"),
), responses(
    (status = 200, description = "The message", body = MessageView),
    (status = 400, description = "A number is invalid", body = ApiErrorBody),
    (status = 404, description = "The broadcast or the recipient does not exist", body = ApiErrorBody),
))]
pub(super) async fn show(
    State(state): State<AppState>,
    ApiPath((id, seq)): ApiPath<(i64, i64)>,
) -> ApiResult<MessageView> {
    let broadcast = state.ledger.show(BroadcastId(id)).await?;
    let found = find_message(&state.ledger, &broadcast, seq).await?;
    Ok(Json(MessageView::read(&state.ledger, &broadcast, found).await?))
}
