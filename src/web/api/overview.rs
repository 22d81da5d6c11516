//! `/overview`

use axum::Json;
use axum::extract::State;

use super::ApiResult;
use crate::web::guard::Viewer;
use crate::web::{AppState, Overview};

/// How everything stands.
#[utoipa::path(get, path = "/overview", operation_id = "show_overview", responses(
    (status = 200, description = "How everything stands now", body = Overview),
))]
pub(super) async fn show(State(site): State<AppState>, _: Viewer) -> ApiResult<Overview> {
    let looked = site.run_on_daemon(async |office| office.board.overview(&office.house).await);
    Ok(Json(looked.await??))
}
