//! Lua patterns as regular expressions, so that a slow pattern cannot stop the host: the time to match a text grows in
//! proportion to its length. The text is matched as bytes, as Lua does.

use std::fmt::Write as _;

use regex::bytes::{Regex, RegexBuilder};

/// The most bytes of a pattern.
const LONGEST: usize = 1000;

/// A Lua pattern without back-references, `%b` and `%f`, which no regular expression has.
#[derive(Debug, Clone)]
pub struct TextPattern {
    text: String,
    regex: Regex,
}

impl TextPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with the pattern, in words.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it has {} bytes; at most {LONGEST} are allowed", text.len()));
        }
        let regex = RegexBuilder::new(&translated(text.as_bytes())?)
            .unicode(false)
            .dot_matches_new_line(true)
            .build()
            .map_err(|_| "it is too large; write a shorter one".to_owned())?;
        Ok(Self { text: text.to_owned(), regex })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether `string.find(text, pattern)` finds something.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TextPattern {}

/// Returns the regular expression of a Lua pattern.
fn translated(pattern: &[u8]) -> Result<String, String> {
    let mut regex = String::new();
    let mut rest = pattern;
    if let Some(anchored) = rest.strip_prefix(b"^") {
        (regex, rest) = (r"\A".to_owned(), anchored);
    }
    let mut open = 0_u32;
    while let Some((&first, after)) = rest.split_first() {
        match first {
            b'(' => {
                open += 1;
                regex.push_str("(?:");
                rest = after;
            }
            b')' => {
                open = open.checked_sub(1).ok_or("it has a `)` without a `(`")?;
                regex.push(')');
                rest = after;
            }
            b'$' if after.is_empty() => {
                regex.push_str(r"\z");
                rest = after;
            }
            _ => {
                rest = single(rest, &mut regex)?;
                if let Some((quantifier, after)) = rest.split_first()
                    && b"*+-?".contains(quantifier)
                {
                    // Which match is the shortest does not matter here.
                    regex.push(if *quantifier == b'-' { '*' } else { char::from(*quantifier) });
                    rest = after;
                }
            }
        }
    }
    if open == 0 { Ok(regex) } else { Err("it has a `(` without a `)`".to_owned()) }
}

/// Translates what matches one byte, and returns the rest of the pattern.
fn single<'pattern>(pattern: &'pattern [u8], regex: &mut String) -> Result<&'pattern [u8], String> {
    match pattern {
        [b'%', letter, rest @ ..] => {
            if let b'b' | b'f' | b'0'..=b'9' = letter {
                return Err(format!(
                    "`%{}` cannot be used here; match it in the function, with `event.text:find(…)`",
                    char::from(*letter)
                ));
            }
            let _ = write!(regex, "[{}]", class(*letter));
            Ok(rest)
        }
        [b'%'] => Err("it ends with a single `%`; write `%%` for the character itself".to_owned()),
        [b'[', rest @ ..] => set(rest, regex),
        [b'.', rest @ ..] => {
            regex.push('.');
            Ok(rest)
        }
        [byte, rest @ ..] => {
            regex.push_str(&literal(*byte));
            Ok(rest)
        }
        [] => Ok(pattern),
    }
}

/// Translates the set after a `[`, and returns the rest of the pattern.
fn set<'pattern>(pattern: &'pattern [u8], regex: &mut String) -> Result<&'pattern [u8], String> {
    let mut rest = pattern.strip_prefix(b"^").unwrap_or(pattern);
    regex.push_str(if rest.len() < pattern.len() { "[^" } else { "[" });
    let mut is_first = true;
    loop {
        rest = match rest {
            // A `]` at the beginning stands for itself.
            [b']', after @ ..] if !is_first => {
                regex.push(']');
                return Ok(after);
            }
            [b'%', letter, after @ ..] => {
                regex.push_str(&class(*letter));
                after
            }
            [_, b'-', b'%', ..] => return Err("a range in it ends with `%`".to_owned()),
            [from, b'-', to, after @ ..] if *to != b']' => {
                // A range that is the wrong way round has no members.
                if from <= to {
                    let _ = write!(regex, "{}-{}", literal(*from), literal(*to));
                } else {
                    regex.push_str(r"[^\x00-\xff]");
                }
                after
            }
            [byte, after @ ..] => {
                regex.push_str(&literal(*byte));
                after
            }
            [] => return Err("it has a `[` without a `]`".to_owned()),
        };
        is_first = false;
    }
}

/// Returns the members of a class, such as `%a`, for use in a set. Another letter stands for itself.
fn class(letter: u8) -> String {
    let name = match letter.to_ascii_lowercase() {
        b'a' => "alpha",
        b'c' => "cntrl",
        b'd' => "digit",
        b'g' => "graph",
        b'l' => "lower",
        b'p' => "punct",
        b's' => "space",
        b'u' => "upper",
        b'w' => "alnum",
        b'x' => "xdigit",
        b'z' => return if letter == b'z' { r"\x00" } else { r"[^\x00]" }.to_owned(),
        _ => return literal(letter),
    };
    let not = if letter.is_ascii_uppercase() { "^" } else { "" };
    format!("[:{not}{name}:]")
}

fn literal(byte: u8) -> String {
    format!(r"\x{byte:02x}")
}
