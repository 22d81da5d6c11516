//! `/session`: the caller's role, and the session cookie of a browser.

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::ApiJson;
use crate::core::{ActorKind, TokenRole};
use crate::web::AppState;
use crate::web::answer::{ApiError, ApiErrorBody};
use crate::web::guard::{BrowserSession, Caller, log_in};
use crate::web::listener::Peer;

/// The caller of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    /// The name of its token, or the user whom the proxy names.
    name: String,
    /// How it is known.
    kind: ActorKind,
    role: TokenRole,
}

/// A login.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginRequest {
    /// A token.
    token: String,
}

/// The caller of a request.
#[utoipa::path(get, path = "/session", operation_id = "show_session", responses((status = 200, description = "The caller", body = SessionView)))]
pub(super) async fn show(caller: Caller) -> Json<SessionView> {
    Json(SessionView { name: caller.name, kind: caller.kind, role: caller.role })
}

/// Logs a browser in: sets a session cookie that is valid for a week, or until the token ends.
#[utoipa::path(post, path = "/session", operation_id = "begin_session", request_body = LoginRequest, security(()), responses(
    (status = 200, description = "The caller and the cookie", body = SessionView, headers(("set-cookie" = String))),
    (status = 400, description = "The body is invalid", body = ApiErrorBody),
    (status = 415, description = "The body is not JSON", body = ApiErrorBody),
))]
pub(super) async fn begin(
    State(state): State<AppState>,
    Extension(peer): Extension<Peer>,
    parts: Parts,
    ApiJson(login): ApiJson<LoginRequest>,
) -> Result<Response, ApiError> {
    let token = log_in(&state, &parts, &login.token).await?.active()?;
    let session = state.tokens.session(&token);
    let cookie = session.cookie(peer.is_secure(&parts.headers)).ok_or_else(ApiError::unauthorized)?;
    let caller = SessionView { name: token.name, kind: ActorKind::Token, role: token.role };
    Ok(([(SET_COOKIE, cookie)], Json(caller)).into_response())
}

/// Logs the browser out: deletes the session cookie.
#[utoipa::path(delete, path = "/session", operation_id = "end_session", security(()), responses(
    (status = 204, description = "The browser's cookie was deleted", headers(("set-cookie" = String))),
))]
pub(super) async fn end(Extension(peer): Extension<Peer>, headers: HeaderMap) -> Response {
    let farewell =
        BrowserSession::removal_cookie(peer.is_secure(&headers)).map(|cookie| [(SET_COOKIE, cookie)]);
    (StatusCode::NO_CONTENT, farewell.into_iter().flatten().collect::<HeaderMap>()).into_response()
}
