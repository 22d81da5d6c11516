//! Everything in JSON, below `/api/v1`.

mod overview;

use axum::Router;
use axum::routing::get;

use super::Site;

/// The addresses of the API.
pub(super) fn routes() -> Router<Site> {
    Router::new().route("/overview", get(overview::show))
}
