//! Characters that a reader does not see, or that change how the text around them is shown.

use std::borrow::Cow;

/// Whether a character changes the direction of text, ends a line for some readers, or has no width. The joiners of emoji
/// and of some scripts are none of these.
pub const fn is_format_character(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Returns a text in which control characters other than a tab, and format characters, are escaped: `\u{202e}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| letter == '\t')
}

/// Returns a text on one line, in which all control and format characters are escaped.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let odd = |letter: char| (letter.is_control() || is_format_character(letter)) && !is_kept(letter);
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if odd(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::{one_line, visible};

    #[test]
    fn what_is_not_seen_is_escaped_and_all_else_stays() {
        let odd = "a\u{202e}b\u{2066}c\u{200f}d\u{feff}e\u{200b}f\u{1b}[31m\rg";
        assert_eq!(visible(odd), "a\\u{202e}b\\u{2066}c\\u{200f}d\\u{feff}e\\u{200b}f\\u{1b}[31m\\rg");
        let plain = "群组\tok 👩\u{200d}🚀 \u{5d0}\u{5d1}";
        assert_eq!(visible(plain), plain);
        assert_eq!(one_line("群\n\x1b[2J\u{202e}x\ty"), "群\\n\\u{1b}[2J\\u{202e}x\\ty");
    }
}
