//! `GET /overview`

use axum::Json;
use axum::extract::State;

use crate::web::answer::Problem;
use crate::web::guard::Viewer;
use crate::web::{Overview, Site};

/// How everything stands.
pub(super) async fn show(State(site): State<Site>, _: Viewer) -> Result<Json<Overview>, Problem> {
    let looked = site.on_daemon(async |office| office.board.overview(&office.house).await);
    Ok(Json(looked.await??))
}
