//! Sanitizes texts from outside for display: removes secrets and control characters, and limits the length.

use data_encoding::BASE64_NOPAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::core::is_format_character;

/// The most characters of such a text that are shown.
const SHOWN_CHARACTERS: usize = 300;
const HIDDEN: &str = "[hidden]";

/// What a value in an address encodes (RFC 3986: all but the unreserved characters).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A text from outside that is safe to show and log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SanitizedText(String);

impl SanitizedText {
    /// Hides each of `secrets` in `text`, escapes characters that would disturb a terminal, and cuts the text to 300
    /// characters.
    pub(super) fn new(text: &str, secrets: &[&str]) -> Self {
        let mut hidden = text.to_owned();
        // This comes before the cut, because a cut secret would not be recognized.
        hide(&mut hidden, secrets);
        let mut shown = String::with_capacity(hidden.len().min(SHOWN_CHARACTERS));
        for (count, character) in hidden.trim().chars().enumerate() {
            if count == SHOWN_CHARACTERS {
                shown.push('…');
                break;
            }
            if character.is_control() || is_format_character(character) {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        Self(shown)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The fewest bytes of one line of a secret that is hidden by itself.
const LEAST_LINE: usize = 8;

/// Hides each of `secrets` in a text, also as an address, JSON or base64 writes it; of a secret with several lines each
/// line too.
pub fn hide(text: &mut String, secrets: &[&str]) {
    let several = secrets.iter().filter(|secret| secret.contains('\n'));
    let lines =
        several.flat_map(|secret| secret.lines()).map(str::trim).filter(|line| line.len() >= LEAST_LINE);
    let lines: Vec<&str> = lines.collect();
    for secret in secrets.iter().chain(&lines).filter(|secret| !secret.is_empty()) {
        let encoded = utf8_percent_encode(secret, ENCODED).to_string();
        let base64 = BASE64_NOPAD.encode(secret.as_bytes());
        // The last character of the base64 text may also hold bits of what follows.
        let base64 = base64.get(..base64.len() - 1).filter(|part| part.len() >= 8).unwrap_or(&base64);
        let escaped = secret.replace('/', "\\/");
        for form in
            [secret, encoded.as_str(), &encoded.replace("%2F", "/"), &lower_hex(&encoded), &escaped, base64]
        {
            if text.contains(form) {
                *text = text.replace(form, HIDDEN);
            }
        }
    }
}

/// Returns a percent-encoded text with its hexadecimal digits in lower case.
fn lower_hex(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(2.min(part.len()));
        text.push('%');
        text.push_str(&digits.to_ascii_lowercase());
        text.push_str(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hides_escapes_and_cuts() {
        assert_eq!(
            SanitizedText::new(" a tok-1 b\n\u{1b}[31m", &["tok-1", ""]).as_str(),
            r"a [hidden] b\n\u{1b}[31m"
        );
        let long = SanitizedText::new(&"字".repeat(400), &[]);
        assert_eq!(long.as_str().chars().count(), 301);
        let straddling = format!("{}canary", "x".repeat(297));
        assert!(!SanitizedText::new(&straddling, &["canary"]).as_str().contains("can"));
    }

    #[test]
    fn hides_what_is_encoded() {
        let token = "YWMt/ab+cd==xyzQ0123";
        for form in [
            "YWMt%2Fab%2Bcd%3D%3DxyzQ0123",
            "YWMt%2fab%2bcd%3d%3dxyzQ0123",
            "YWMt/ab%2Bcd%3D%3DxyzQ0123",
            r"YWMt\/ab+cd==xyzQ0123",
            "WVdNdC9hYitjZD09eHl6UTAxMjM",
        ] {
            let shown = SanitizedText::new(&format!("a {form}= b"), &[token]);
            assert!(shown.as_str().starts_with("a [hidden]"), "{form}: {shown:?}");
        }
    }

    proptest! {
        #[test]
        fn never_shows_a_secret(before in ".{0,400}", after in ".{0,50}", secret in "[a-zA-Z0-9_-]{12,60}") {
            let text = format!("{before}{secret}{after}");
            let shown = SanitizedText::new(&text, &[&secret]);
            prop_assert!(!shown.as_str().contains(&secret));
            prop_assert!(!shown.as_str().chars().any(char::is_control));
        }
    }

    #[test]
    fn each_line_of_a_secret_is_hidden() {
        let key = "-----BEGIN KEY-----\nMIIBVgIBADANBgkq\nshort\n-----END KEY-----\n";
        let mut text = "got MIIBVgIBADANBgkq and short".to_owned();
        hide(&mut text, &[key]);
        assert_eq!(text, format!("got {HIDDEN} and short"));
    }
}
