//! Formats values for problems: short, on one line, harmless on a terminal.

use std::io;

use icu_properties::CodePointSetData;
use icu_properties::props::{DefaultIgnorableCodePoint, EnumeratedProperty, GeneralCategory};
use serde_json::Value;

/// Characters of a value that are shown.
const MAX_CHARS: usize = 80;

/// Bytes of a value that are formatted: enough for [`MAX_CHARS`] and a cut.
const MAX_BYTES: usize = (MAX_CHARS + 2) * 4;

/// Formats a value for people. A plain value is shortened JSON. An object or a list shows only its size, since it may
/// hold a file's share-secret.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Object(map) => format!("an object of {}", counted(map.len(), "field")),
        Value::Array(items) => format!("a list of {}", items.len()),
        plain => {
            let mut text = TruncatingBuffer(Vec::new());
            // The only error is a full buffer.
            let _ = serde_json::to_writer(&mut text, plain);
            shorten(&String::from_utf8_lossy(&text.0))
        }
    }
}

/// Returns the type of a value that must not be shown.
pub(super) fn sort(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Formats a name or text without quotes around it.
pub(super) fn text(text: &str) -> String {
    shorten(text)
}

/// Formats a text in double quotes: short, on one line, with invisible characters as `\u{200b}`.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", shorten(text))
}

/// Whether this character shows as nothing or as a blank: blanks of any script, controls, zero-width characters,
/// direction marks, fillers, and characters that no font has.
pub fn is_invisible(letter: char) -> bool {
    if letter.is_ascii() {
        return !letter.is_ascii_graphic();
    }
    let drawn_empty = matches!(letter, '\u{2800}' | '\u{1d159}');
    drawn_empty
        || matches!(
            GeneralCategory::for_char(letter),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::PrivateUse
                | GeneralCategory::SpaceSeparator
                | GeneralCategory::Surrogate
                | GeneralCategory::Unassigned
        )
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter)
}

/// Whether a text has no visible character. Characters of private use count as visible, since apps draw them.
pub(super) fn shows_nothing(text: &str) -> bool {
    let is_seen = |letter: char| {
        !is_invisible(letter)
            || matches!(
                GeneralCategory::for_char(letter),
                GeneralCategory::PrivateUse | GeneralCategory::Unassigned
            ) && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter)
    };
    !text.chars().any(is_seen)
}

/// Formats a number and its noun: `1 group`, `2 groups`. The noun takes an `s` in the plural.
pub fn counted(count: impl std::fmt::Display, noun: &str) -> String {
    let count = count.to_string();
    format!("{count} {noun}{}", if count == "1" { "" } else { "s" })
}

/// Formats a number and its verb: `1 is`, `2 are`, and other verbs.
pub fn counted_as(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn shorten(text: &str) -> String {
    let mut shown = String::new();
    for (index, letter) in text.chars().enumerate() {
        if index == MAX_CHARS {
            shown.push('…');
            break;
        }
        match letter {
            ' ' => shown.push(letter),
            '\t' | '\n' | '\r' => shown.extend(letter.escape_default()),
            _ if is_invisible(letter) => shown.extend(letter.escape_unicode()),
            // Quotes and backslashes are harmless, and JSON has escaped the ones that need it.
            _ => shown.push(letter),
        }
    }
    shown
}

/// Keeps the first [`MAX_BYTES`] and refuses the rest, so that a huge value is not serialised in full.
struct TruncatingBuffer(Vec<u8>);

impl io::Write for TruncatingBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = MAX_BYTES.saturating_sub(self.0.len());
        if room == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let taken = room.min(bytes.len());
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{quoted, value};

    #[test]
    fn values_are_short_and_on_one_line() {
        assert_eq!(value(&json!("a\nb\u{1b}[31m\u{202e}\u{9b}")), r#""a\nb\u001b[31m\u{202e}\u{9b}""#);
        assert_eq!(value(&json!("群组")), "\"群组\"");
        assert_eq!(
            quoted("a b\t\u{3000}\u{3164}\u{fe0f}e\u{301}"),
            "\"a b\\t\\u{3000}\\u{3164}\\u{fe0f}e\u{301}\""
        );
        assert_eq!(value(&json!(1.5)), "1.5");
        assert_eq!(value(&json!({"secret": "s3cret"})), "an object of 1 field");
        assert_eq!(value(&json!([1, 2])), "a list of 2");
        for long in ["x", "群", "\u{1b}"] {
            let shown = value(&json!(long.repeat(100_000)));
            assert!(shown.chars().count() <= 81 && shown.ends_with('…'), "{shown}");
        }
    }
}
