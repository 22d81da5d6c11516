//! The session cookie of a browser that logged in with a token.

use axum::http::{HeaderMap, HeaderValue, header};

/// The cookie's name.
const NAME: &str = "mooncast";

/// A session: the name of its token, its end, and its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) struct BrowserSession {
    pub(super) name: String,
    /// The end, in seconds since 1970.
    pub(super) until: u64,
    pub(super) tag: String,
}

impl BrowserSession {
    /// The session in the request's cookies.
    pub(in crate::web) fn shown(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut values = cookies.flat_map(|line| line.split(';')).filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == NAME).then_some(value)
        });
        // A name may contain dots.
        let mut parts = values.next()?.rsplitn(3, '.');
        let (tag, until, name) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { name: name.to_owned(), until: until.parse().ok()?, tag: tag.to_owned() })
    }

    /// The `Set-Cookie` header of the session: for this host only, hidden from scripts, and not sent with requests
    /// of other sites.
    pub(in crate::web) fn cookie(&self, tls: bool) -> Option<HeaderValue> {
        let Self { name, until, tag } = self;
        let age = 7 * 24 * 3600;
        cookie(&format!("{name}.{until}.{tag}"), age, tls)
    }

    /// The header that removes the cookie.
    pub(in crate::web) fn removal_cookie(tls: bool) -> Option<HeaderValue> {
        cookie("", 0, tls)
    }
}

fn cookie(value: &str, age: u32, tls: bool) -> Option<HeaderValue> {
    let secure = if tls { "; Secure" } else { "" };
    HeaderValue::from_str(&format!(
        "{NAME}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}"
    ))
    .ok()
}
