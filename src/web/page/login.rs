//! Login with a token, logout, and the choice of the page's language.

use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use serde::Deserialize;

use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::guard::BrowserSession;
use crate::web::listener::Peer;

use super::visitor::{self, Guest, within};
use crate::web::words::Language;

/// The query: the page to continue with.
#[derive(Debug, Deserialize)]
pub(super) struct LoginQuery {
    #[serde(default)]
    next: String,
}

/// The fields of the login form.
#[derive(Deserialize)]
pub(super) struct LoginForm {
    token: String,
    #[serde(default)]
    next: String,
}

pub(super) async fn show(
    State(site): State<AppState>,
    guest: Guest,
    Query(then): Query<LoginQuery>,
) -> Response {
    let context = context! { next => within(&then.next), wrong => false, ..guest.context(&site) };
    guest.page(&site, "login.html", &context)
}

/// `POST /login`
pub(super) async fn enter(
    State(site): State<AppState>,
    guest: Guest,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Form(shown): Form<LoginForm>,
) -> Response {
    let next = within(&shown.next);
    match begin(&site, shown.token.trim(), peer.is_secure(&headers)).await {
        Ok(Some(cookie)) => ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response(),
        Ok(None) => {
            let context = context! { next, wrong => true, ..guest.context(&site) };
            let mut answer = guest.page(&site, "login.html", &context);
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
            answer
        }
        Err(problem) => guest.refuse(&site, &problem),
    }
}

/// The cookie of a new session. `None` if the token is not valid.
async fn begin(site: &AppState, token: &str, secure: bool) -> Result<Option<HeaderValue>, ApiError> {
    let Some(role) = site.tokens.role_of(token).await? else { return Ok(None) };
    let session = site.tokens.session(role).await?;
    Ok(session.and_then(|session| session.cookie(secure)))
}

/// `POST /logout`
pub(super) async fn leave(Extension(peer): Extension<Peer>, headers: HeaderMap) -> Response {
    let mut answer = Redirect::to("/login").into_response();
    if let Some(cookie) = BrowserSession::removal_cookie(peer.is_secure(&headers)) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

/// `GET /language/{to}`: stores the choice for a year.
pub(super) async fn language(Path(to): Path<String>, Query(then): Query<LoginQuery>) -> Response {
    let Some(language) = Language::of(&to) else { return StatusCode::NOT_FOUND.into_response() };
    let (name, tag) = (visitor::LANGUAGE, language.tag());
    let cookie = format!("{name}={tag}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000");
    ([(header::SET_COOKIE, cookie)], Redirect::to(within(&then.next))).into_response()
}
