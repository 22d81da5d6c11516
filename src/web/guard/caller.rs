//! The caller of a request: the holder of a token, of a session, or a user whom a trusted proxy names.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::control::is_invisible;
use crate::core::{Actor, ActorKind, Door, TokenRole, host_name};
use crate::ledger::AccessToken;
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::listener::Peer;

use super::tokens::{TOKEN_HEAD, TokenCheck};
use super::{BrowserSession, site};

/// The user of `[serve.users]` that stands for all others.
const ANY_USER: &str = "*";

/// The maximum length of a user's name, in characters.
const LONGEST_USER: usize = 128;

/// Whether the log has named an ignored user header.
static WARNED: AtomicBool = AtomicBool::new(false);

/// An authenticated caller whose role is enough for the route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) struct Caller {
    /// The name of its token, or the user whom the proxy names.
    pub(in crate::web) name: String,
    pub(in crate::web) kind: ActorKind,
    pub(in crate::web) role: TokenRole,
    door: Door,
    address: IpAddr,
}

impl Caller {
    fn new(state: &AppState, parts: &Parts, name: String, kind: ActorKind, role: TokenRole) -> Self {
        let door = if is_of_api(parts) { Door::Api } else { Door::Page };
        Self { name, kind, role, door, address: address(state, parts) }
    }

    /// The caller as the audit names it.
    pub(in crate::web) fn actor(&self) -> Actor {
        Actor {
            name: self.name.clone(),
            kind: self.kind,
            role: self.role,
            door: self.door,
            host: host_name(),
            address: Some(self.address.to_string()),
        }
    }

    /// The caller of a request. If a token is given, only the token counts.
    ///
    /// # Errors
    ///
    /// 401 without a valid token or session; 403 for a request that a page of another origin may have made, and for a
    /// proxy's request whose user has no role; 429 after too many wrong tokens.
    pub(in crate::web) async fn identify(state: &AppState, parts: &Parts) -> Result<Self, ApiError> {
        let headers = &parts.headers;
        if let Some(caller) = proxied(state, parts)? {
            own_page(parts)?;
            return Ok(caller);
        }
        if headers.contains_key(header::AUTHORIZATION) {
            let token = bearer(headers).ok_or_else(ApiError::unauthorized)?;
            let checked = state.tokens.check(token).await?;
            if matches!(checked, TokenCheck::Unknown) {
                // A valid token passes also where others have shown wrong ones.
                let address = address(state, parts);
                state.wrong_tokens.admit(address)?;
                state.wrong_tokens.failed(address);
            }
            let AccessToken { name, role, .. } = checked.active()?;
            return Ok(Self::new(state, parts, name, ActorKind::Token, role));
        }
        let Some(session) = BrowserSession::shown(headers) else { return Err(ApiError::unauthorized()) };
        own_page(parts)?;
        let AccessToken { name, role, .. } = state.tokens.check_session(&session).await?.active()?;
        Ok(Self::new(state, parts, name, ActorKind::Token, role))
    }

    /// Refuses a caller whose role is not enough.
    pub(super) fn require(&self, needed: TokenRole) -> Result<(), ApiError> {
        if self.role.covers(needed) {
            return Ok(());
        }
        let Self { name, role, .. } = self;
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            format!(
                "`{name}` has the role {role}, and this needs the role {}; ask an admin for a token with that role",
                needed.or_above()
            ),
        ))
    }
}

/// Checks the token of a login. Wrong ones are counted for the address that the request comes from.
///
/// # Errors
///
/// 429 after too many wrong ones, whatever the token is.
pub(in crate::web) async fn log_in(
    state: &AppState,
    parts: &Parts,
    token: &str,
) -> Result<TokenCheck, ApiError> {
    let address = address(state, parts);
    state.logins.admit(address)?;
    let checked = state.tokens.check(token).await?;
    if matches!(checked, TokenCheck::Unknown) {
        state.logins.failed(address);
    }
    Ok(checked)
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(ApiError::unauthorized)
    }
}

/// Refuses a browser's request that another site's page may have made: a browser sends its cookies, also those of the
/// proxy, with requests of any page.
fn own_page(parts: &Parts) -> Result<(), ApiError> {
    if site::is_own(&parts.method, &parts.headers) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "the browser did not confirm that the request comes from a page of this host; load the page again",
    ))
}

/// The user whom a trusted proxy names. `None` if the setting is off, the request did not come through the proxy, or it
/// has a token of its own.
fn proxied(state: &AppState, parts: &Parts) -> Result<Option<Caller>, ApiError> {
    let settings = (state.daemon.handle.settings)();
    let Some(header) = settings.serve.user_header.as_deref() else { return Ok(None) };
    let named: Vec<&HeaderValue> = parts.headers.get_all(header).iter().collect();
    if !parts.extensions.get::<Peer>().is_some_and(|peer| peer.proxy) {
        if !named.is_empty() && !WARNED.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a request had the header {header}, and it is ignored: it did not come from an address of `[serve] trusted_proxies`; name the proxy there, or remove `[serve] user_header`"
            );
        }
        return Ok(None);
    }
    let refused = |why: String| Err(ApiError::new(StatusCode::FORBIDDEN, why));
    let with_token = bearer(&parts.headers).is_some_and(|token| token.starts_with(TOKEN_HEAD));
    let user = match named.as_slice() {
        [] if with_token => return Ok(None),
        [] => {
            return refused(format!(
                "the proxy sent no user: the header {header} is missing; log in at the proxy, or send a token in `Authorization: Bearer TOKEN`"
            ));
        }
        [_] if with_token => {
            return refused(format!(
                "the request names a user in {header} and has a token of its own; send one of them"
            ));
        }
        [one] => user_in(one),
        _ => return refused(format!("the request has the header {header} more than once")),
    };
    let Some(user) = user else {
        return refused(format!(
            "the header {header} is not the name of one user: 1 to {LONGEST_USER} characters in UTF-8 without commas, control characters and invisible ones"
        ));
    };
    let users = &settings.serve.users;
    match users.get(user).or_else(|| users.get(ANY_USER)) {
        Some(role) => Ok(Some(Caller::new(state, parts, user.to_owned(), ActorKind::Proxy, *role))),
        None => refused(format!(
            "the user `{user}` has no role here; an admin can give one in `[serve.users]` of mooncast.toml"
        )),
    }
}

/// The user in a header's value. A comma would show that a proxy joined several values.
fn user_in(value: &HeaderValue) -> Option<&str> {
    let user = std::str::from_utf8(value.as_bytes()).ok()?.trim();
    let fits = (1..=LONGEST_USER).contains(&user.chars().count());
    // With an invisible character, one person would count as two.
    let plain = !user.chars().any(|one| one == ',' || one.is_control() || one != ' ' && is_invisible(one));
    // Otherwise a user of this name would get the role of all others.
    (fits && plain && user != ANY_USER).then_some(user)
}

fn is_of_api(parts: &Parts) -> bool {
    parts.extensions.get::<MatchedPath>().is_some_and(|path| path.as_str().starts_with("/api/"))
}

/// The address that a request comes from. Behind trusted proxies, it is the last one that they forward and that is not
/// a proxy itself.
fn address(state: &AppState, parts: &Parts) -> IpAddr {
    let peer = parts.extensions.get::<Peer>();
    let of_peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.address);
    if !peer.is_some_and(|peer| peer.proxy) {
        return of_peer;
    }
    let lines = parts.headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
    let all: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    for one in all.into_iter().rev() {
        match one.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(address) if state.daemon.handle.serve.trusted_proxies.contains(&address) => {}
            Ok(address) => return address,
            Err(_) => break,
        }
    }
    of_peer
}

/// The token of the `Authorization` header. `None` if there are several, because another server could use another
/// one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let value = all.next().filter(|_| all.next().is_none())?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
