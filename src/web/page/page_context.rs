//! The caller of a page: role, language and time zone.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::tz::TimeZone;
use minijinja::{Value, context};

use crate::core::{ActorKind, Person, TokenRole};
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::guard::Caller;

use super::notice;
use crate::web::words::Language;

/// The cookie of a chosen language.
pub(super) const LANGUAGE: &str = "mooncast_language";

/// The cookie in which the page's script stores the browser's time zone.
const ZONE: &str = "mooncast_zone";

/// The header with which the page's script requests a part of a page.
const PART: &str = "x-mooncast-part";

/// A caller, with or without a session.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) language: Language,
    /// The browser's time zone, if its script has said it.
    zone: Option<String>,
    /// Whether the page's script asks, which inserts the response into a page.
    pub(super) part: bool,
    /// The result of the last action, if it was not shown yet.
    notice: Option<String>,
    address: String,
}

/// A caller whose role is enough for the page.
#[derive(Debug, Clone)]
pub(super) struct PageContext {
    guest: Guest,
    caller: Caller,
}

impl Guest {
    pub(super) fn of(parts: &Parts) -> Self {
        let headers = &parts.headers;
        let chosen = cookie(headers, LANGUAGE).and_then(Language::of);
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|accepted| accepted.to_str().ok());
        let zone = cookie(headers, ZONE).filter(|zone| TimeZone::get(zone).is_ok());
        let address = parts.uri.path_and_query().map_or("/", |address| address.as_str());
        Self {
            language: chosen.unwrap_or_else(|| Language::preferred(accepted.unwrap_or_default())),
            zone: zone.map(str::to_owned),
            part: headers.contains_key(PART),
            notice: cookie(headers, notice::COOKIE).and_then(notice::read),
            address: address.to_owned(),
        }
    }

    /// The reader's time zone, or the project's if it is not known.
    pub(super) fn zone<'a>(&'a self, state: &'a AppState) -> &'a str {
        self.zone.as_deref().unwrap_or(&state.daemon.handle.serve.zone)
    }

    /// The context that every template gets.
    pub(super) fn context(&self, state: &AppState) -> Value {
        let now = state.clock.unix_time();
        context! {
            lang => self.language.tag(),
            zone => self.zone(state),
            zone_known => self.zone.is_some(),
            now => now.as_secs(),
            address => self.address.as_str(),
            notice => self.notice.as_deref(),
            healthy => state.ledger.is_healthy(),
            live => false,
            known => false,
            may_act => false,
            globals => state.pages.globals(),
        }
    }

    /// Renders a page, or a part of one.
    pub(super) fn page(&self, state: &AppState, template: &str, context: &Value) -> Response {
        match state.pages.render(template, context) {
            Ok(html) => self.html(html),
            Err(problem) => problem.into_response(),
        }
    }

    fn html(&self, html: String) -> Response {
        // Without this header, the browser would not send the origin of a form's request.
        let mut answer = ([(header::REFERRER_POLICY, "same-origin")], Html(html)).into_response();
        if self.notice.is_some() && !self.part {
            answer.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static(notice::FORGET));
        }
        answer
    }

    /// Renders an error.
    pub(super) fn refuse(&self, state: &AppState, problem: &ApiError) -> Response {
        let template = if self.part { "part/problem.html" } else { "refusal.html" };
        let status = problem.status();
        let more = context! { status => status.as_u16(), problem => problem.message() };
        let mut answer = self.page(state, template, &context! { ..more, ..self.context(state) });
        *answer.status_mut() = status;
        problem.add_headers(answer.headers_mut());
        answer
    }

    /// Leads to the login, which continues with this page if it only shows something.
    pub(super) fn to_login(&self, is_safe: bool) -> Response {
        let next = if is_safe { self.address.as_str() } else { "/" };
        Redirect::to(&login(next)).into_response()
    }
}

impl PageContext {
    /// The context that every template gets.
    pub(super) fn context(&self, state: &AppState) -> Value {
        let Caller { name, kind, role, .. } = &self.caller;
        context! {
            known => true,
            may_act => role.covers(TokenRole::Operator),
            may_audit => role.covers(TokenRole::Approver),
            may_approve => role.covers(TokenRole::Approver),
            caller => name,
            by_proxy => *kind == ActorKind::Proxy,
            role => role.name(),
            ..self.guest.context(state)
        }
    }

    /// Who acts.
    pub(super) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether the caller is one of these people.
    pub(super) fn is_among(&self, names: &[String]) -> bool {
        let caller = Person::of(&self.caller.actor());
        names.iter().any(|name| caller.is(&Person { name: name.clone(), kind: caller.kind }))
    }

    /// Renders the result of a query, or its error.
    pub(super) fn answer(&self, state: &AppState, template: &str, came: Result<Value, ApiError>) -> Response {
        match came {
            Ok(context) => self.page(state, template, &context),
            Err(problem) => self.refuse(state, &problem),
        }
    }
}

impl std::ops::Deref for PageContext {
    type Target = Guest;

    fn deref(&self) -> &Guest {
        &self.guest
    }
}

impl<S: Sync> FromRequestParts<S> for Guest {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts))
    }
}

impl FromRequestParts<AppState> for PageContext {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Ok(Self { guest: Guest::of(parts), caller })
    }
}

/// The address of the login page, which continues with `next`.
fn login(next: &str) -> String {
    if next == "/" {
        return "/login".to_owned();
    }
    format!("/login?next={}", super::format::in_query(next))
}

/// Returns `address` if it is an address on this site, and `/` otherwise.
pub(super) fn within(address: &str) -> &str {
    let plain = address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let own = address.starts_with('/') && !address.starts_with("//") && address.parse::<Uri>().is_ok();
    if plain && own { address } else { "/" }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_login_is_of_this_site() {
        assert_eq!(within("/broadcasts/3?state=sent"), "/broadcasts/3?state=sent");
        for elsewhere in
            ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "", "/a\nb"]
        {
            assert_eq!(within(elsewhere), "/", "{elsewhere}");
        }
    }
}
