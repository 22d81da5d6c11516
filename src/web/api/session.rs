//! `/session`: the caller's role, and the session cookie of a browser.

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::ApiJson;
use crate::ledger::TokenRole;
use crate::web::AppState;
use crate::web::answer::{ApiError, ApiErrorBody};
use crate::web::guard::{BrowserSession, Viewer};
use crate::web::listener::Peer;

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    /// What they may do.
    role: RoleView,
}

/// What somebody may do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RoleView {
    /// Look and act.
    Operate,
    /// Look.
    Read,
}

impl SessionView {
    fn of(role: TokenRole) -> Json<Self> {
        let role = match role {
            TokenRole::Operate => RoleView::Operate,
            TokenRole::Read => RoleView::Read,
        };
        Json(Self { role })
    }
}

/// Who wants to be known.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginRequest {
    /// A token.
    token: String,
}

/// Who asks.
#[utoipa::path(get, path = "/session", operation_id = "show_session", responses((status = 200, description = "Who asks", body = SessionView)))]
pub(super) async fn show(viewer: Viewer) -> Json<SessionView> {
    SessionView::of(viewer.role)
}

/// Gives a browser a cookie by which it is known for a week, or until the token is renewed.
#[utoipa::path(post, path = "/session", operation_id = "begin_session", request_body = LoginRequest, security(()), responses(
    (status = 200, description = "Who it is, and the cookie", body = SessionView, headers(("set-cookie" = String))),
    (status = 400, description = "The body is not right", body = ApiErrorBody),
    (status = 415, description = "The body is no JSON", body = ApiErrorBody),
))]
pub(super) async fn begin(
    State(site): State<AppState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    ApiJson(login): ApiJson<LoginRequest>,
) -> Result<Response, ApiError> {
    let role = site.tokens.role_of(&login.token).await?.ok_or_else(ApiError::unauthorized)?;
    let session = site.tokens.session(role).await?.ok_or_else(ApiError::unauthorized)?;
    let cookie = session.cookie(peer.is_secure(&headers)).ok_or_else(ApiError::unauthorized)?;
    Ok(([(SET_COOKIE, cookie)], SessionView::of(role)).into_response())
}

/// Takes the cookie away.
#[utoipa::path(delete, path = "/session", operation_id = "end_session", security(()), responses(
    (status = 204, description = "The browser has no cookie any more", headers(("set-cookie" = String))),
))]
pub(super) async fn end(Extension(peer): Extension<Peer>, headers: HeaderMap) -> Response {
    let farewell =
        BrowserSession::removal_cookie(peer.is_secure(&headers)).map(|cookie| [(SET_COOKIE, cookie)]);
    (StatusCode::NO_CONTENT, farewell.into_iter().flatten().collect::<HeaderMap>()).into_response()
}
