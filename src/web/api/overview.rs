//! `/overview`

use axum::Json;
use axum::extract::State;

use super::ApiResult;
use crate::control::Overview;
use crate::web::AppState;
use crate::web::guard::Viewer;

/// How everything stands.
#[utoipa::path(get, path = "/overview", operation_id = "show_overview", responses(
    (status = 200, description = "How everything stands now", body = Overview),
))]
pub(super) async fn show(State(site): State<AppState>, _: Viewer) -> ApiResult<Overview> {
    Ok(Json(site.overview().await?))
}
