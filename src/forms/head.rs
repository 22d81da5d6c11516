//! Reads the declarations of a script's head: the comments before its first statement.

use serde::{Deserialize, Serialize};

use crate::core::nearest;

use super::field::{ArgumentType, FormField};

/// The mark of a declaration in a comment of three dashes.
const MARK: &str = "@arg";
const WORD: &str = "arg";

/// What may be meant as the mark.
const NEAR: [&str; 4] = [WORD, "args", "argument", "arguments"];

/// An example of a declaration.
const LIKE: &str = "--- @arg city string The city to invite to";

/// The most arguments of a script.
const MAX_FIELDS: usize = 40;

/// The longest name.
const MAX_NAME: usize = 40;

/// The most characters of a help text.
const MAX_HELP: usize = 500;

/// Words of Lua, which `args.NAME` cannot have.
const KEYWORDS: [&str; 22] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// A wrong declaration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {message}")]
pub struct FormError {
    /// The line, from 1.
    pub line: usize,
    pub message: String,
}

/// The arguments that a script declares, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScriptForm {
    pub fields: Vec<FormField>,
}

impl ScriptForm {
    /// Reads the head of a script. A script without declarations has an empty form.
    ///
    /// # Errors
    ///
    /// The first wrong declaration, with its line.
    pub fn of(script: &[u8]) -> Result<Self, FormError> {
        let mut form = Self::default();
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
            form.take(&comment).map_err(|message| FormError { line: index + 1, message })?;
        }
        match lines.find(|(_, line)| is_declaration(line)) {
            None => Ok(form),
            Some((index, _)) => Err(FormError {
                line: index + 1,
                message: format!(
                    "`{MARK}` has no effect after the first statement; move it to the head of the script"
                ),
            }),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Reads a comment, without its first two dashes.
    fn take(&mut self, comment: &str) -> Result<(), String> {
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
        let field = field(rest)?;
        if let Some(other) = self.fields.iter().find(|other| other.name.eq_ignore_ascii_case(&field.name)) {
            return Err(format!("the argument `{}` is declared twice (`{}`)", field.name, other.name));
        }
        if self.fields.len() == MAX_FIELDS {
            return Err(format!("a script has at most {MAX_FIELDS} arguments"));
        }
        self.fields.push(field);
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
    check_name(name)?;
    let (kind, mut rest) = word(rest);
    let kind = kind_of(name, kind)?;
    let mut allowed = Vec::new();
    if matches!(kind, ArgumentType::Choice | ArgumentType::File) {
        let (list, after) = word(rest);
        allowed = if kind == ArgumentType::Choice { choices(name, list)? } else { suffixes(name, list)? };
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
    let help = rest.trim();
    if help.chars().count() > MAX_HELP || help.contains(char::is_control) {
        return Err(format!("the help of `{name}` must be one line of at most {MAX_HELP} characters"));
    }
    let required = !optional && default.is_none();
    let field = FormField { name: name.to_owned(), kind, required, default, allowed, help: help.to_owned() };
    match &field.default {
        Some(_) if kind == ArgumentType::File => Err(format!("the file `{name}` cannot have a default")),
        Some(value) if value.is_empty() => Err(format!(
            "the default of `{name}` is empty; write `{name}?` for an argument that may be left out"
        )),
        Some(value) => {
            field.check(value).map_err(|why| format!("the default of `{name}`, {value:?}, {why}"))?;
            Ok(field)
        }
        None => Ok(field),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("`{MARK}` needs a name and a type, such as `{LIKE}`"));
    }
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if !first
        || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        || name.len() > MAX_NAME
    {
        return Err(format!(
            "`{}` is not a name of an argument: letters, digits and `_`, at most {MAX_NAME}, no digit first",
            name.escape_debug()
        ));
    }
    if KEYWORDS.contains(&name) {
        return Err(format!("`{name}` is a word of Lua; choose another name for the argument"));
    }
    Ok(())
}

fn kind_of(name: &str, kind: &str) -> Result<ArgumentType, String> {
    if let Some(found) = ArgumentType::ALL.into_iter().find(|known| known.name() == kind) {
        return Ok(found);
    }
    let names = ArgumentType::ALL.map(ArgumentType::name);
    if kind.is_empty() {
        return Err(format!("the argument `{name}` has no type; the types are {}", names.join(", ")));
    }
    let near = nearest(kind, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Err(format!(
        "the argument `{name}` has the unknown type `{}`{near} The types are {}",
        kind.escape_debug(),
        names.join(", ")
    ))
}

fn choices(name: &str, list: &str) -> Result<Vec<String>, String> {
    let words: Vec<String> = list.split('|').map(str::to_owned).collect();
    let doubled =
        words.iter().enumerate().any(|(at, one)| words.iter().skip(at + 1).any(|other| other == one));
    if words.len() < 2 || doubled || words.iter().any(String::is_empty) || list.contains(char::is_control) {
        return Err(format!(
            "the choice `{name}` needs its words, all different, without spaces, such as `choice warm|formal`"
        ));
    }
    Ok(words)
}

fn suffixes(name: &str, list: &str) -> Result<Vec<String>, String> {
    let suffixes: Vec<String> = list.split(',').map(str::to_ascii_lowercase).collect();
    let fits = |suffix: &String| {
        suffix.strip_prefix('.').is_some_and(|rest| {
            (1..=10).contains(&rest.len()) && rest.bytes().all(|letter| letter.is_ascii_alphanumeric())
        })
    };
    if suffixes.iter().all(fits) {
        return Ok(suffixes);
    }
    Err(format!("the file `{name}` needs the suffixes of its name, such as `file .csv,.xlsx`"))
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
