//! Authorizes requests by their host name, their origin and their token.
//!
//! - `site`: host names and origins, against cross-site requests through an operator's browser;
//! - `tokens`: the tokens for reading and for acting; `session`, `secret`: the session cookie of a browser;
//! - `headers`: the security headers of every response.

mod headers;
mod secret;
mod session;
mod site;
mod tokens;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::Duration;

use crate::ledger::{LedgerError, TokenRole};

pub(super) use session::BrowserSession;
pub(super) use site::SiteNames;
pub(super) use tokens::ApiTokens;
pub use tokens::{NewToken, mint};

use super::AppState;
use super::answer::ApiError;
use super::body::BodyLimits;

/// The limits of a body. No request of the page or the API is longer.
const BOUNDS: BodyLimits = BodyLimits { bytes: 64 * 1024, within: Duration::from_secs(10) };

/// Passes a request on with its whole body, or refuses it before a handler sees it. The response gets headers that
/// forbid framing, caching and scripts.
pub(super) async fn watch(State(site): State<AppState>, request: Request, next: Next) -> Response {
    let mut answer = match admit(&site, request).await {
        Ok(request) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    headers::put(answer.headers_mut());
    answer
}

async fn admit(site: &AppState, request: Request) -> Result<Request, ApiError> {
    site.names.admit(&request)?;
    BOUNDS.refuse(request.headers())?;
    if is_safe(request.method()) {
        return Ok(request);
    }
    // A client that writes slowly occupies a slot that others may need.
    let _place = site.reading.try_acquire().map_err(|_| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests arrive at once; try again")
    })?;
    let (head, body) = request.into_parts();
    let body = BOUNDS.read(body, &site.clock).await?;
    Ok(Request::from_parts(head, body.into()))
}

/// A caller that may read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer {
    /// The caller's role.
    pub(super) role: TokenRole,
}

/// A caller that may act.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operator;

impl FromRequestParts<AppState> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &AppState) -> Result<Self, ApiError> {
        let headers = &parts.headers;
        // A browser sends its cookie with requests of any page.
        if !headers.contains_key(header::AUTHORIZATION)
            && BrowserSession::shown(headers).is_some()
            && !site::is_own(&parts.method, headers)
        {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "the browser does not say that the request comes from a page of this host",
            ));
        }
        role(site, headers).await?.map(|role| Self { role }).ok_or_else(ApiError::unauthorized)
    }
}

/// The role of the request's token or session. If a token is given, only the token counts.
pub(super) async fn role(site: &AppState, headers: &HeaderMap) -> Result<Option<TokenRole>, LedgerError> {
    if headers.contains_key(header::AUTHORIZATION) {
        match bearer(headers) {
            Some(token) => site.tokens.role_of(token).await,
            None => Ok(None),
        }
    } else if let Some(session) = BrowserSession::shown(headers) {
        site.tokens.role_in(&session).await
    } else {
        Ok(None)
    }
}

impl FromRequestParts<AppState> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &AppState) -> Result<Self, ApiError> {
        match Viewer::from_request_parts(parts, site).await?.role {
            TokenRole::Operate => Ok(Self),
            TokenRole::Read => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "this token may only look; acting takes the operator's token",
            )),
        }
    }
}

/// The token of the `Authorization` header. `None` if there are several, because another server could use another
/// one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let value = all.next().filter(|_| all.next().is_none())?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
