//! What an act has done, kept by the browser until the next page tells it.

use axum::http::HeaderValue;
use data_encoding::BASE64URL_NOPAD;

/// The cookie's name.
pub(super) const COOKIE: &str = "mooncast_notice";

/// The header that takes it away.
pub(super) const FORGET: &str = "mooncast_notice=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0";

/// The most bytes of one.
const LONGEST: usize = 1_500;

/// The header that gives a notice to a browser.
pub(super) fn keep(notice: &str) -> Option<HeaderValue> {
    let end = notice.floor_char_boundary(LONGEST);
    let value = BASE64URL_NOPAD.encode(notice.get(..end)?.as_bytes());
    HeaderValue::from_str(&format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=60")).ok()
}

/// The notice of a cookie.
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
