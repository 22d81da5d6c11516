//! The result of an action, stored in a cookie until the next page shows it.

use axum::http::HeaderValue;
use data_encoding::BASE64URL_NOPAD;

pub(super) const COOKIE: &str = "mooncast_notice";

/// The header that removes the cookie.
pub(super) const FORGET: &str = "mooncast_notice=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0";

/// The maximum length of a notice, in bytes.
const LONGEST: usize = 1_500;

/// The `Set-Cookie` header for a notice.
pub(super) fn keep(notice: &str) -> Option<HeaderValue> {
    let end = notice.floor_char_boundary(LONGEST);
    let value = BASE64URL_NOPAD.encode(notice.get(..end)?.as_bytes());
    HeaderValue::from_str(&format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=60")).ok()
}

/// The notice in a cookie's value.
pub(super) fn read(value: &str) -> Option<String> {
    let notice = BASE64URL_NOPAD.decode(value.as_bytes()).ok()?;
    String::from_utf8(notice).ok().filter(|notice| !notice.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_nothing_else_is() {
        let kept = keep("春节/1 已暂停").unwrap();
        let value = kept.to_str().unwrap().split(['=', ';']).nth(1).unwrap();
        assert_eq!(read(value).as_deref(), Some("春节/1 已暂停"));
        assert_eq!(read("%%"), None);
        assert!(keep(&"群".repeat(9_000)).unwrap().len() < 3_000);
    }
}
