//! Reads ids of groups and users. Blanks around an id are removed; an id with an invisible character is refused.
//!
//! Every id passes through here: `to`, `users`, `from`, `roam_ignore_users`, and the recipients of broadcasts from
//! lists, CSV, JSON and JSONL.

use serde_json::{Number, Value};

use super::altered::{IdKind, altered};
use super::problem::MessageProblem;
use super::shown;

/// Integral floats above this (2^53) may have lost digits when a script computed them.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// What an id can be.
const ID: &str = "an id: a string or a whole number";

/// Why an id is refused and how to correct it: the parts of a problem's sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidId {
    /// The expected value, such as "an id of at least one character".
    pub(super) expected: &'static str,
    /// The value, quoted, with invisible characters as escapes.
    pub(super) shown: String,
    /// The position of the fault in the value, and the remedy. Empty if the sentence already says both.
    pub(super) remedy: String,
}

/// What to do about a number with a decimal point or an exponent where an id belongs.
pub const FLOAT_AS_ID: &str = "a number with a decimal point or an exponent may have lost digits; write the id as a text in quotes, with all its digits";

/// Reads an id of a group or a user from JSON: a string, or an integer. A float is refused: a program may have
/// shortened it (`1.84525E+14`). `field` is the name that a problem reports.
pub fn id(field: &str, value: Value, of: IdKind) -> Result<String, MessageProblem> {
    read(value, of).map_err(|invalid| invalid.at(field))
}

/// Reads an id from text and removes the blanks around it (white space of any script, byte order marks). `field` is
/// the name that a problem reports.
///
/// # Errors
///
/// - a text of blanks only
/// - a blank, control, zero-width, direction or other invisible character inside or at an end
/// - an id that a program has changed, or that may be several: [`altered`]
pub fn id_text<'text>(field: &str, text: &'text str, of: IdKind) -> Result<&'text str, MessageProblem> {
    trimmed(text, of).map_err(|invalid| invalid.at(field))
}

/// [`id`] without the name of a field.
pub(super) fn read(value: Value, of: IdKind) -> Result<String, InvalidId> {
    match value {
        Value::String(text) => {
            let id = trimmed(&text, of)?;
            Ok(if id.len() == text.len() { text } else { id.to_owned() })
        }
        Value::Number(number) => {
            if number.is_f64() {
                let invalid = InvalidId::new(ID, shown::value(&Value::Number(number)));
                return Err(InvalidId { remedy: format!(": {FLOAT_AS_ID}"), ..invalid });
            }
            trimmed(&number.to_string(), of).map(str::to_owned)
        }
        other => Err(InvalidId::new(ID, shown::value(&other))),
    }
}

/// [`id_text`] without the name of a field.
pub(super) fn trimmed(text: &str, of: IdKind) -> Result<&str, InvalidId> {
    let id = text.trim_matches(|letter: char| letter.is_whitespace() || letter == BYTE_ORDER_MARK);
    if id.is_empty() {
        return Err(InvalidId::new("an id of at least one character", shown::quoted(text)));
    }
    if let Some((before, letter)) = id.chars().enumerate().find(|(_, letter)| is_refused(*letter)) {
        let remedy = format!(" (its character {} is {})", before + 1, name_of(letter));
        let expected = "an id without blanks or invisible characters inside";
        return Err(InvalidId { remedy, ..InvalidId::new(expected, shown::quoted(id)) });
    }
    if let Some(what) = altered(id, of) {
        let invalid = InvalidId::new("the original id", shown::quoted(id));
        return Err(InvalidId { remedy: format!(": {what}"), ..invalid });
    }
    Ok(id)
}

/// Returns the digits of a whole number, or None if digits were lost.
pub(super) fn whole_digits(number: &Number) -> Option<String> {
    if !number.is_f64() {
        return Some(number.to_string());
    }
    // Adding zero turns -0 into 0.
    let float = number.as_f64()? + 0.0;
    (float.fract() == 0.0 && float.abs() <= MAX_EXACT).then(|| format!("{float:.0}"))
}

impl InvalidId {
    fn new(expected: &'static str, shown: String) -> Self {
        Self { expected, shown, remedy: String::new() }
    }

    pub(super) fn at(self, field: impl Into<String>) -> MessageProblem {
        let mut problem = MessageProblem::wrong_value(field, self.expected, self.shown);
        problem.message.push_str(&self.remedy);
        problem
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The character that a decoder writes for bytes that it cannot read.
const REPLACEMENT: char = '\u{fffd}';

fn is_refused(letter: char) -> bool {
    // Most ids have only such characters.
    !letter.is_ascii_graphic() && (letter == REPLACEMENT || shown::is_invisible(letter))
}

/// Returns the name of an invisible character.
fn name_of(letter: char) -> String {
    let kind = match letter {
        ' ' => return "a blank".to_owned(),
        '\t' => return "a tab".to_owned(),
        '\n' | '\r' => return "a line break".to_owned(),
        REPLACEMENT => "the sign for bytes that could not be read",
        '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | BYTE_ORDER_MARK => "zero-width",
        '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            "a mark of writing direction"
        }
        _ if letter.is_whitespace() => "a blank",
        _ if letter.is_control() => "a control character",
        _ => "invisible",
    };
    format!("U+{:04X}, {kind}", u32::from(letter))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blanks_around_an_id_are_cut_off() {
        for text in ["g1", " g1", "g1\t\r\n", "\u{feff}g1", "\u{a0}g1\u{3000}", "\u{2003}\u{feff} g1\u{85}"] {
            assert_eq!(id("to", json!(text), IdKind::User).unwrap(), "g1", "{text:?}");
        }
        assert_eq!(id_text("to", " 群组 ", IdKind::User), Ok("群组"));
        // Letters with marks and letters of other scripts are visible.
        for text in ["user.name+tag@x", "e\u{301}a", "पाठक", "ก็", "😀"] {
            assert_eq!(id_text("to", text, IdKind::User), Ok(text));
        }
    }

    #[test]
    fn what_cannot_be_seen_in_an_id_is_refused() {
        for hidden in [
            ' ',
            '\t',
            '\n',
            '\0',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{202e}',
            '\u{2028}',
            '\u{2060}',
            '\u{2069}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fffd}',
            '\u{e000}',
            '\u{e0001}',
            '\u{e0101}',
        ] {
            let text = format!("1845{hidden}25");
            let problem = id("users[2]", json!(text), IdKind::User).unwrap_err();
            assert!(
                problem.message.starts_with("`users[2]` must be an id without blanks"),
                "{}",
                problem.message
            );
            assert!(problem.message.contains("character 5 is "), "{}", problem.message);
            let seen = !shown::is_invisible(hidden);
            assert!(
                seen || hidden == ' ' || !problem.message.contains(hidden),
                "{hidden:?}: {}",
                problem.message
            );
        }
        let problem = id_text("group_id", "\u{200b}184524748161025", IdKind::User).unwrap_err();
        assert_eq!(problem.value.as_deref(), Some(r#""\u{200b}184524748161025""#));
        assert!(problem.message.ends_with("(its character 1 is U+200B, zero-width)"), "{}", problem.message);
        for text in ["", "  ", "\u{feff}\t", "\u{3000}"] {
            assert!(
                id_text("to", text, IdKind::User).unwrap_err().message.contains("at least one character"),
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_id_that_a_program_has_changed_is_refused_with_its_value() {
        for (text, says) in [
            ("1.84525E+14", "format the column as text"),
            ("184525E9", "Excel has shortened"),
            ("A;B", "does that separate columns or several ids?"),
            ("'1845", "an apostrophe"),
            ("１８４", "full-width"),
        ] {
            let problem = id_text("to", text, IdKind::Group).unwrap_err();
            assert!(problem.message.contains(says), "{}", problem.message);
            assert_eq!(problem.value, Some(format!("\"{text}\"")));
        }
        assert!(id("to", json!(-5), IdKind::Group).is_err());
        assert_eq!(id("users[1]", json!(13_800_000_000_u64), IdKind::User), Ok("13800000000".to_owned()));
    }
}
