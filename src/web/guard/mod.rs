//! Who may ask for what: the name that a request is for, where it comes from, and whose token it shows.
//!
//! - `site`: names and origins, against pages of others that speak through somebody's browser;
//! - `tokens`: the tokens of who may look and who may act; `session`: the cookie of a browser that showed one;
//! - `headers`: what browsers are told that every answer may not do.

mod headers;
mod session;
mod site;
mod tokens;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::ledger::Role;

pub(super) use session::Session;
pub(super) use site::Names;
pub(super) use tokens::Tokens;
pub use tokens::{Minted, mint};

use super::Site;
use super::answer::Problem;

/// Lets a request through, or refuses it before anybody looks at it. What comes back may not be framed, cached or run.
pub(super) async fn watch(State(site): State<Site>, request: Request, next: Next) -> Response {
    let mut answer = match site.names.admit(&request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    headers::put(answer.headers_mut());
    answer
}

/// Whoever may look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer {
    /// What else they may do.
    pub(super) role: Role,
}

/// Whoever may act.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operator;

impl FromRequestParts<Site> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        let role = if let Some(token) = bearer(&parts.headers) {
            site.tokens.role_of(token).await
        } else if let Some(session) = Session::shown(&parts.headers) {
            // A browser sends it along with whatever any page asks it to send.
            if !is_safe(&parts.method) && !site::is_own(&parts.headers) {
                return Err(Problem::new(
                    StatusCode::FORBIDDEN,
                    "the browser does not say that the request comes from a page of this host",
                ));
            }
            site.tokens.role_in(&session).await
        } else {
            Ok(None)
        };
        match role {
            Ok(Some(role)) => Ok(Self { role }),
            Ok(None) => Err(Problem::unauthorized()),
            Err(error) => Err(Problem::of_ledger(&error)),
        }
    }
}

impl FromRequestParts<Site> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        match Viewer::from_request_parts(parts, site).await?.role {
            Role::Operate => Ok(Self),
            Role::Read => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "this token may only look; acting takes the operator's token",
            )),
        }
    }
}

/// The token of an `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
