//! Sanitizes texts from outside for display: removes secrets and control characters, and limits the length.

/// The most characters of such a text that are shown.
const SHOWN_CHARACTERS: usize = 300;
const HIDDEN: &str = "[hidden]";

/// A text from outside that is safe to show and log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SanitizedText(String);

impl SanitizedText {
    /// Hides each of `secrets` in `text`, escapes characters that would disturb a terminal, and cuts the text to 300
    /// characters.
    pub(super) fn new(text: &str, secrets: &[&str]) -> Self {
        let mut hidden = text.to_owned();
        // This comes before the cut, because a cut secret would not be recognized.
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            if hidden.contains(secret) {
                hidden = hidden.replace(secret, HIDDEN);
            }
        }
        let mut shown = String::with_capacity(hidden.len().min(SHOWN_CHARACTERS));
        for (count, character) in hidden.trim().chars().enumerate() {
            if count == SHOWN_CHARACTERS {
                shown.push('…');
                break;
            }
            if disturbs(character) {
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

/// Whether a character is a control character, or one that reverses or hides the text around it.
fn disturbs(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
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

    proptest! {
        #[test]
        fn never_shows_a_secret(before in ".{0,400}", after in ".{0,50}", secret in "[a-zA-Z0-9_-]{12,60}") {
            let text = format!("{before}{secret}{after}");
            let shown = SanitizedText::new(&text, &[&secret]);
            prop_assert!(!shown.as_str().contains(&secret));
            prop_assert!(!shown.as_str().chars().any(char::is_control));
        }
    }
}
