//! Who may ask for what: the name that a request is for, where it comes from, and whose token it shows.
//!
//! - `site`: names and origins, against pages of others that speak through somebody's browser;
//! - `tokens`: the tokens of who may look and who may act; `session`, `secret`: the cookie of a browser that showed one;
//! - `headers`: what browsers are told that every answer may not do.

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

/// What a body may be: nothing that is asked for here takes more words.
const BOUNDS: BodyLimits = BodyLimits { bytes: 64 * 1024, within: Duration::from_secs(10) };

/// Lets a request through, with its whole body, or refuses it before anybody looks at it. What comes back may not be
/// framed, cached or run.
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
    // Who writes slowly keeps a connection that others may need.
    let _place = site.reading.try_acquire().map_err(|_| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests arrive at once; try again")
    })?;
    let (head, body) = request.into_parts();
    let body = BOUNDS.read(body, &site.clock).await?;
    Ok(Request::from_parts(head, body.into()))
}

/// Whoever may look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer {
    /// What else they may do.
    pub(super) role: TokenRole,
}

/// Whoever may act.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operator;

impl FromRequestParts<AppState> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &AppState) -> Result<Self, ApiError> {
        let headers = &parts.headers;
        // A browser sends its cookie along with whatever any page asks it to send.
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

/// What they may do whose token or session is shown. A token that is shown counts alone, whatever else is.
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

/// The token of an `Authorization` header, where there is one and no more: of two, others might believe the other.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let value = all.next().filter(|_| all.next().is_none())?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
