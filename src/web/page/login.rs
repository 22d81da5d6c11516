//! Login with a token, logout, and the choice of the page's language.

use axum::extract::{Extension, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use serde::Deserialize;

use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::PageForm;
use crate::web::guard::{BrowserSession, TokenCheck, log_in};
use crate::web::listener::Peer;

use super::page_context::{self, Guest, within};
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
    State(state): State<AppState>,
    guest: Guest,
    headers: HeaderMap,
    Query(then): Query<LoginQuery>,
) -> Response {
    let told = match BrowserSession::shown(&headers) {
        Some(session) => match state.tokens.check_session(&session).await {
            Ok(TokenCheck::Ended(_)) => guest.language.text("token_ended"),
            Ok(_) => None,
            Err(problem) => return guest.refuse(&state, &problem.into()),
        },
        None => None,
    };
    let context =
        context! { next => within(&then.next), wrong => told.is_some(), told, ..guest.context(&state) };
    guest.page(&state, "login.html", &context)
}

/// `POST /login`
pub(super) async fn enter(
    State(state): State<AppState>,
    guest: Guest,
    Extension(peer): Extension<Peer>,
    parts: Parts,
    PageForm(shown): PageForm<LoginForm>,
) -> Response {
    let next = within(&shown.next);
    let mut wait = None;
    let (status, told) = match log_in(&state, &parts, shown.token.trim()).await {
        Ok(TokenCheck::Active(token)) => {
            match state.tokens.session(&token).cookie(peer.is_secure(&parts.headers)) {
                Some(cookie) => return ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response(),
                None => return guest.refuse(&state, &ApiError::unauthorized()),
            }
        }
        Ok(TokenCheck::Ended(_)) => {
            (StatusCode::UNAUTHORIZED, guest.language.text("token_ended").map(str::to_owned))
        }
        Ok(TokenCheck::Unknown) => {
            (StatusCode::UNAUTHORIZED, guest.language.text("token_wrong").map(str::to_owned))
        }
        Err(problem) => match problem.retry_after {
            Some(seconds) if problem.status() == StatusCode::TOO_MANY_REQUESTS => {
                wait = Some(seconds);
                (problem.status(), guest.language.say("too_many_tries", &[("wait", seconds.to_string())]))
            }
            _ => return guest.refuse(&state, &problem),
        },
    };
    let context = context! { next, wrong => true, told, ..guest.context(&state) };
    let mut answer = guest.page(&state, "login.html", &context);
    *answer.status_mut() = status;
    if let Some(wait) = wait {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    answer
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
    let (name, tag) = (page_context::LANGUAGE, language.tag());
    let cookie = format!("{name}={tag}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000");
    ([(header::SET_COOKIE, cookie)], Redirect::to(within(&then.next))).into_response()
}
