//! The JSON API below `/api/v1`. It offers everything that the page shows and does.
//!
//! - `overview`, `events`: the overview, once and as a stream;
//! - `broadcasts`, `approvals`, `recipients`, `messages`, `sends`; `jobs`, `runs`, `scripts`; `records`: the log, quotas, recent activity;
//!   `suppressions`: the suppression list; `session`: the caller's role;
//! - `extract`: parses requests; `document`: the OpenAPI document.
//!
//! `guard` checks the token before a handler is called, so an unauthorized caller does not even learn whether a request is
//! valid.

mod approvals;
mod audit;
mod broadcasts;
mod document;
mod events;
mod extract;
mod jobs;
mod messages;
mod overview;
mod recipients;
mod records;
mod runs;
mod scripts;
mod sends;
mod session;
mod suppressions;

use axum::http::StatusCode;
use axum::{Json, Router};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::answer::ApiError;

pub(super) use extract::{ApiPath, ApiQuery, PageForm};

/// The result of a handler.
type ApiResult<T> = Result<Json<T>, ApiError>;

fn documented() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(document::base())
        .routes(routes!(overview::show))
        .routes(routes!(events::follow))
        .routes(routes!(broadcasts::list))
        .routes(routes!(broadcasts::show))
        .routes(routes!(broadcasts::act))
        .routes(routes!(approvals::approve))
        .routes(routes!(approvals::reject))
        .routes(routes!(broadcasts::edit))
        .routes(routes!(recipients::list))
        .routes(routes!(recipients::export))
        .routes(routes!(messages::show))
        .routes(routes!(sends::list))
        .routes(routes!(sends::act))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::show))
        .routes(routes!(jobs::act))
        .routes(routes!(jobs::runs))
        .routes(routes!(runs::show))
        .routes(routes!(runs::output))
        .routes(routes!(scripts::list))
        .routes(routes!(scripts::run))
        .routes(routes!(scripts::rehearse))
        .routes(routes!(scripts::rehearsal))
        .routes(routes!(scripts::upload))
        .routes(routes!(suppressions::list, suppressions::add))
        .routes(routes!(suppressions::remove))
        .routes(routes!(audit::list))
        .routes(routes!(records::log))
        .routes(routes!(records::quotas))
        .routes(routes!(records::activity))
        .routes(routes!(session::show, session::begin, session::end))
}

pub(super) fn routes() -> Router<AppState> {
    let (router, api) = documented().split_for_parts();
    let served = events::serve(router);
    let nothing = async || ApiError::not_found("there is nothing at this address");
    document::serve(served, api).fallback(nothing).method_not_allowed_fallback(async || {
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not accept the request's method; the `Allow` header lists the methods it accepts")
    })
}

/// The method and the path of each operation.
#[cfg(test)]
pub(super) fn operations() -> Vec<(&'static str, String)> {
    let paths = documented().into_openapi().paths.paths;
    let each = paths.into_iter().flat_map(|(path, item)| {
        let methods = [
            ("GET", item.get.is_some()),
            ("POST", item.post.is_some()),
            ("DELETE", item.delete.is_some()),
            ("PUT", item.put.is_some()),
        ];
        methods.into_iter().filter(|(_, is)| *is).map(move |(method, _)| (method, path.clone()))
    });
    each.collect()
}
