//! Authorizes requests by their host name, their origin and their token.
//!
//! - `site`: host names and origins, against cross-site requests through an operator's browser;
//! - `caller`: who makes a request, by a token, a session or the header of a proxy; `roles`: the role that each route
//!   needs, checked before its handler; `login_limiter`: limits the tries of tokens;
//! - `tokens`: the tokens; `session`, `secret`: the session cookie of a browser;
//! - `headers`: the security headers of every response.

mod caller;
mod headers;
mod login_limiter;
mod roles;
mod secret;
mod session;
mod site;
mod tokens;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use std::time::Duration;

use crate::control::MAX_RUN_FILE;

pub(super) use caller::{Caller, log_in};
pub(super) use login_limiter::LoginLimiter;
pub(super) use roles::needed_for;
pub(super) use session::BrowserSession;
pub(super) use site::SiteNames;
pub(super) use tokens::{ApiTokens, TokenCheck};
pub use tokens::{FIRST_TOKENS, NewToken, mint};

use super::AppState;
use super::answer::ApiError;
use super::body::BodyLimits;

/// The limits of a body with a file, from a caller who may upload it.
const FILE_BOUNDS: BodyLimits =
    BodyLimits { bytes: MAX_RUN_FILE + 256 * 1024, within: Duration::from_mins(1) };

/// The routes that take a file.
const TAKES_FILES: &[&str] = &["/api/v1/run-files", "/script/run"];

/// The limits of a body. No other request of the page or the API is longer.
const BOUNDS: BodyLimits = BodyLimits { bytes: 64 * 1024, within: Duration::from_secs(10) };

/// Adds headers to the response that forbid framing, caching and scripts.
pub(super) async fn secure(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    headers::put(answer.headers_mut());
    answer
}

/// Passes a request on with its whole body if its caller may make it, or refuses it before a handler sees it.
pub(super) async fn admit(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    Ok(next.run(admitted(&state, request).await?).await)
}

async fn admitted(state: &AppState, request: Request) -> Result<Request, ApiError> {
    state.names.admit(&request)?;
    let (mut head, body) = request.into_parts();
    let takes_file = head.method == Method::POST && TAKES_FILES.contains(&head.uri.path());
    let is_long = !head.headers.contains_key(header::CONTENT_LENGTH) || BOUNDS.refuse(&head.headers).is_err();
    let is_file = takes_file && is_long;
    let (bounds, permits) = if is_file {
        // The caller is checked before a long body is read.
        roles::check(state, &mut head).await?;
        (FILE_BOUNDS, &state.reading_files)
    } else {
        BOUNDS.refuse(&head.headers)?;
        (BOUNDS, &state.reading)
    };
    if is_safe(&head.method) {
        roles::check(state, &mut head).await?;
        return Ok(Request::from_parts(head, body));
    }
    // A client that writes slowly occupies a slot that others may need.
    let permit = permits.try_acquire().map_err(|_| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests arrive at once; try again")
    })?;
    let body = bounds.read(body, &state.clock).await?;
    drop(permit);
    if !is_file {
        roles::check(state, &mut head).await?;
    }
    Ok(Request::from_parts(head, body.into()))
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
