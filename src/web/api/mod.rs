//! The JSON API below `/api/v1`. It offers everything that the page shows and does.
//!
//! - `overview`, `events`: the overview, once and as a stream;
//! - `broadcasts`, `recipients`, `sends`; `jobs`, `scripts`; `records`: the log, quotas, recent activity;
//!   `session`: the caller's role;
//! - `extract`: parses requests; `document`: the OpenAPI document.
//!
//! The first extractor of a handler checks the token, so an unauthorized caller does not even learn whether a
//! request is valid.

mod broadcasts;
mod document;
mod events;
mod extract;
mod jobs;
mod overview;
mod recipients;
mod records;
mod scripts;
mod sends;
mod session;

use axum::http::StatusCode;
use axum::{Json, Router};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::answer::ApiError;

/// The result of a handler.
type ApiResult<T> = Result<Json<T>, ApiError>;

pub(super) fn routes() -> Router<AppState> {
    let (router, api) = OpenApiRouter::with_openapi(document::base())
        .routes(routes!(overview::show))
        .routes(routes!(events::follow))
        .routes(routes!(broadcasts::list))
        .routes(routes!(broadcasts::show))
        .routes(routes!(broadcasts::act))
        .routes(routes!(recipients::list))
        .routes(routes!(recipients::export))
        .routes(routes!(sends::list))
        .routes(routes!(sends::act))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::show))
        .routes(routes!(jobs::act))
        .routes(routes!(jobs::runs))
        .routes(routes!(scripts::list))
        .routes(routes!(scripts::run))
        .routes(routes!(records::log))
        .routes(routes!(records::quotas))
        .routes(routes!(records::activity))
        .routes(routes!(session::show, session::begin, session::end))
        .split_for_parts();
    let served = events::serve(router);
    let nothing = async || ApiError::not_found("there is nothing here");
    document::serve(served, api).fallback(nothing).method_not_allowed_fallback(async || {
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this address takes other methods: `Allow` names them")
    })
}
