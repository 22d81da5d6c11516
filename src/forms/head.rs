//! Reads the declarations of a script's head: the comments before its first statement.

use crate::core::nearest;

use super::declare::{self, Declared, Place};
use super::field::{ArgumentType, FormField};
use super::form::FormError;

/// The mark of a declaration in a comment of three dashes.
const MARK: &str = "@arg";
const WORD: &str = "arg";

/// What may be meant as the mark.
const NEAR: [&str; 4] = [WORD, "args", "argument", "arguments"];

/// An example of a declaration.
const LIKE: &str = "--- @arg city string The city to invite to";

/// The declarations of a head.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) fields: Vec<FormField>,
    /// The line of the first one.
    pub(super) line: usize,
}

impl Head {
    /// Reads the head of a script.
    ///
    /// # Errors
    ///
    /// The first wrong declaration, with its line.
    pub(super) fn of(script: &[u8]) -> Result<Self, FormError> {
        let mut head = Self::default();
        let mut block: Option<Vec<u8>> = None;
        let mut lines = script.split(|byte| *byte == b'\n').enumerate();
        for (index, line) in lines.by_ref() {
            let mut line = trimmed(line);
            if let Some(close) = &block {
                let Some(end) = find(line, close) else { continue };
                line = trimmed(line.get(end + close.len()..).unwrap_or_default());
                block = None;
            }
            if line.is_empty() {
                continue;
            }
            let Some(comment) = line.strip_prefix(b"--") else { break };
            if let Some(close) = long_comment(comment) {
                match find(comment, &close) {
                    None => block = Some(close),
                    Some(end) if trimmed(comment.get(end + close.len()..).unwrap_or_default()).is_empty() => {
                    }
                    Some(_) => break,
                }
                continue;
            }
            let comment = String::from_utf8_lossy(comment);
            head.take(&comment, index + 1).map_err(|message| FormError { line: index + 1, message })?;
        }
        match lines.find(|(_, line)| is_declaration(line)) {
            None => Ok(head),
            Some((index, _)) => Err(FormError {
                line: index + 1,
                message: format!(
                    "`{MARK}` has no effect after the first statement; move it to the head of the script"
                ),
            }),
        }
    }

    /// Reads a comment, without its first two dashes.
    fn take(&mut self, comment: &str, line: usize) -> Result<(), String> {
        let text = comment.trim_start_matches('-');
        let Some(marked) = text.trim_start().strip_prefix('@') else { return Ok(()) };
        let named = marked.trim_start();
        let end = named.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(named.len());
        let (name, rest) = named.split_at(end);
        if name != WORD || marked != named {
            let is_near = text.len() < comment.len() && nearest(name, NEAR).is_some();
            let shown = marked.get(..marked.len() - rest.len()).unwrap_or_default();
            return if is_near {
                Err(format!("`@{shown}` is not known; write `{MARK}`: `{LIKE}`"))
            } else {
                Ok(())
            };
        }
        if comment.len() - text.len() != 1 {
            return Err(format!("`{MARK}` stands in a comment of three dashes: `--- {MARK} NAME TYPE HELP`"));
        }
        declare::add(&mut self.fields, field(rest)?)?;
        if self.fields.len() == 1 {
            self.line = line;
        }
        Ok(())
    }
}

/// Whether a line is a whole declaration.
fn is_declaration(line: &[u8]) -> bool {
    let Some(text) = trimmed(line).strip_prefix(b"---") else { return false };
    let text = String::from_utf8_lossy(text);
    let declared = text.trim_start().strip_prefix(MARK).filter(|rest| rest.starts_with(char::is_whitespace));
    declared.is_some_and(|rest| field(rest).is_ok())
}

/// Returns the text that closes a long comment, if this is one: `]]` or `]==]`.
fn long_comment(comment: &[u8]) -> Option<Vec<u8>> {
    let rest = comment.strip_prefix(b"[")?;
    let level = rest.iter().take_while(|byte| **byte == b'=').count();
    (rest.get(level) == Some(&b'[')).then(|| [b"]".as_slice(), &vec![b'='; level], b"]"].concat())
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

/// Reads `NAME TYPE [ALLOWED] [= DEFAULT] [HELP]`.
fn field(text: &str) -> Result<FormField, String> {
    let (name, rest) = word(text);
    let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
    if name.is_empty() {
        return Err(format!("`{MARK}` needs a name and a type, such as `{LIKE}`"));
    }
    declare::check_name(name)?;
    let (kind, mut rest) = word(rest);
    let kind = declare::kind_of(name, kind)?;
    let separator = match kind {
        ArgumentType::Choice => Some('|'),
        ArgumentType::File => Some(','),
        _ => None,
    };
    let mut allowed = Vec::new();
    if let Some(separator) = separator {
        let (list, after) = word(rest);
        allowed = list.split(separator).map(str::to_owned).collect();
        rest = after;
    }
    let mut default = None;
    if let (mark, after) = word(rest)
        && let Some(first) = mark.strip_prefix('=')
    {
        // `=warm` is read as `= warm`.
        let given = if first.is_empty() { after } else { rest.trim_start().get(1..).unwrap_or_default() };
        let (value, after) = value(given).map_err(|why| format!("the default of `{name}`: {why}"))?;
        (default, rest) = (Some(value), after);
    }
    let (name, help) = (name.to_owned(), rest.to_owned());
    declare::checked(Declared { name, kind, allowed, optional, default, help }, Place::Head)
}

/// Cuts the first word.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

/// Cuts a value: a word, or a text in quotes with `\"`, `\\` and `\n`.
fn value(text: &str) -> Result<(String, &str), &'static str> {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = word(text);
        return Ok((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, letter @ ('"' | '\\'))) => value.push(letter),
                _ => return Err("after `\\` only `\"`, `\\` and `n` are known"),
            },
            letter => value.push(letter),
        }
    }
    Err("the closing quote is missing")
}
