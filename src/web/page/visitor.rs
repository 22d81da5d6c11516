//! Who looks: what they may do, and in which language and time zone they read.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::tz::TimeZone;
use minijinja::{Value, context};

use crate::ledger::TokenRole;
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::guard::Viewer;

use super::notice;
use crate::web::words::Language;

/// The cookie of who has chosen a language.
pub(super) const LANGUAGE: &str = "mooncast_language";

/// The cookie in which our script says where the browser is.
const ZONE: &str = "mooncast_zone";

/// The header by which our script asks for a part of a page.
const PART: &str = "x-mooncast-part";

/// Whoever asks, known or not.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) language: Language,
    zone: String,
    /// Whether our script asks, and puts the answer into a page itself.
    pub(super) part: bool,
    /// What the last act has done, where it was not told yet.
    notice: Option<String>,
    /// What was asked for.
    address: String,
}

/// Whoever may look.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    guest: Guest,
    may_act: bool,
}

impl Guest {
    fn of(parts: &Parts) -> Self {
        let headers = &parts.headers;
        let chosen = cookie(headers, LANGUAGE).and_then(Language::of);
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|accepted| accepted.to_str().ok());
        let zone = cookie(headers, ZONE).filter(|zone| TimeZone::get(zone).is_ok()).unwrap_or("UTC");
        let address = parts.uri.path_and_query().map_or("/", |address| address.as_str());
        Self {
            language: chosen.unwrap_or_else(|| Language::preferred(accepted.unwrap_or_default())),
            zone: zone.to_owned(),
            part: headers.contains_key(PART),
            notice: cookie(headers, notice::COOKIE).and_then(notice::read),
            address: address.to_owned(),
        }
    }

    /// Where the reader is.
    pub(super) fn zone(&self) -> &str {
        &self.zone
    }

    /// What every template knows.
    pub(super) fn context(&self, site: &AppState) -> Value {
        let now = site.clock.unix_time();
        context! {
            lang => self.language.tag(),
            zone => self.zone.as_str(),
            now => now.as_secs(),
            address => self.address.as_str(),
            notice => self.notice.as_deref(),
            healthy => site.ledger.is_healthy(),
            live => false,
            known => false,
            may_act => false,
            house => site.pages.house(),
        }
    }

    /// A page, or the part of one.
    pub(super) fn page(&self, site: &AppState, template: &str, context: &Value) -> Response {
        match site.pages.render(template, context) {
            Ok(html) => self.html(html),
            Err(problem) => problem.into_response(),
        }
    }

    fn html(&self, html: String) -> Response {
        // A form's request would not say where it comes from without it.
        let mut answer = ([(header::REFERRER_POLICY, "same-origin")], Html(html)).into_response();
        if self.notice.is_some() && !self.part {
            answer.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static(notice::FORGET));
        }
        answer
    }

    /// Says why not.
    pub(super) fn refuse(&self, site: &AppState, problem: &ApiError) -> Response {
        let template = if self.part { "part/problem.html" } else { "refusal.html" };
        let status = problem.status();
        let more = context! { status => status.as_u16(), problem => problem.message() };
        let mut answer = self.page(site, template, &context! { ..more, ..self.context(site) });
        *answer.status_mut() = status;
        answer
    }
}

impl Visitor {
    /// What every template knows.
    pub(super) fn context(&self, site: &AppState) -> Value {
        context! { known => true, may_act => self.may_act, ..self.guest.context(site) }
    }

    /// Whether they may act.
    ///
    /// # Errors
    ///
    /// Where they may not.
    pub(super) fn operates(&self) -> Result<(), ApiError> {
        let words = self.language.text("only_looks").unwrap_or_default();
        if self.may_act { Ok(()) } else { Err(ApiError::new(StatusCode::FORBIDDEN, words)) }
    }

    /// A page of what came of a question, or why nothing did.
    pub(super) fn answer(&self, site: &AppState, template: &str, came: Result<Value, ApiError>) -> Response {
        match came {
            Ok(context) => self.page(site, template, &context),
            Err(problem) => self.refuse(site, &problem),
        }
    }
}

impl std::ops::Deref for Visitor {
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

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &AppState) -> Result<Self, Response> {
        let guest = Guest::of(parts);
        match Viewer::from_request_parts(parts, site).await {
            Ok(viewer) => Ok(Self { may_act: viewer.role == TokenRole::Operate, guest }),
            Err(problem) if problem.status() == StatusCode::UNAUTHORIZED && !guest.part => {
                let next = if parts.method.is_safe() { guest.address.as_str() } else { "/" };
                Err(Redirect::to(&login(next)).into_response())
            }
            Err(problem) => Err(guest.refuse(site, &problem)),
        }
    }
}

/// The address of the login that leads on to another.
fn login(next: &str) -> String {
    if next == "/" {
        return "/login".to_owned();
    }
    format!("/login?next={}", super::format::in_query(next))
}

/// An address of this site, of what somebody says that it is.
pub(super) fn within(address: &str) -> &str {
    let plain = address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let own = address.starts_with('/') && !address.starts_with("//") && address.parse::<Uri>().is_ok();
    if plain && own { address } else { "/" }
}

/// The value of a cookie.
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
