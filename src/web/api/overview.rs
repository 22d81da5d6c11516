//! `/overview`

use axum::Json;
use axum::extract::State;

use super::ApiResult;
use crate::control::Overview;
use crate::web::AppState;

/// The state of the daemon.
#[utoipa::path(get, path = "/overview", operation_id = "show_overview", responses(
    (status = 200, description = "The current state of the daemon", body = Overview),
))]
pub(super) async fn show(State(state): State<AppState>) -> ApiResult<Overview> {
    Ok(Json(state.overview().await?))
}
