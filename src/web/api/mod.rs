//! Everything in JSON, below `/api/v1`: all that the page can show and do.
//!
//! - `overview`, `events`: how everything stands, once and on and on;
//! - `broadcasts`, `recipients`, `sends`; `jobs`, `scripts`; `records`: the log, quotas, what was sent lately; `session`: who asks;
//! - `take`: what requests say, understood or refused; `document`: what the API says of itself.
//!
//! A handler's first extractor is who asks, so that nobody else learns even whether a request makes sense.

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

/// What handlers give.
type ApiResult<T> = Result<Json<T>, ApiError>;

/// The addresses of the API.
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
