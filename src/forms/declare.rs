//! One argument of a declaration, in a head or in a table: the rules that both share.

use crate::core::nearest;

use super::field::{ArgumentType, FormField};

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

/// Where an argument is declared. Its problems show the remedy for this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A comment at the head of the script.
    Head,
    /// The table that the script assigns to `args`.
    Table,
}

impl Place {
    const fn choice(self) -> &'static str {
        match self {
            Self::Head => "choice warm|formal",
            Self::Table => "choices = { \"warm\", \"formal\" }",
        }
    }

    const fn file(self) -> &'static str {
        match self {
            Self::Head => "file .csv,.xlsx",
            Self::Table => "extensions = { \".csv\", \".xlsx\" }",
        }
    }

    fn optional(self, name: &str) -> String {
        match self {
            Self::Head => format!("{name}?"),
            Self::Table => "optional = true".to_owned(),
        }
    }
}

/// What a declaration says about an argument.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) kind: ArgumentType,
    /// The words of a choice, or the suffixes of a file.
    pub(super) allowed: Vec<String>,
    pub(super) optional: bool,
    pub(super) default: Option<String>,
    pub(super) help: String,
}

/// Checks what a declaration says about an argument. The name and the type are checked before, because what follows
/// depends on them.
pub(super) fn checked(declared: Declared, place: Place) -> Result<FormField, String> {
    let Declared { name, kind, allowed, optional, default, help } = declared;
    let allowed = match kind {
        ArgumentType::Choice => choices(&name, allowed, place)?,
        ArgumentType::File => suffixes(&name, &allowed, place)?,
        _ => Vec::new(),
    };
    let help = help.trim();
    if help.chars().count() > MAX_HELP || help.contains(char::is_control) {
        return Err(format!("the help of `{name}` must be one line of at most {MAX_HELP} characters"));
    }
    let required = !optional && default.is_none();
    let field = FormField { name, kind, required, default, allowed, help: help.to_owned() };
    let name = &field.name;
    match &field.default {
        Some(_) if kind == ArgumentType::File => Err(format!("the file `{name}` cannot have a default")),
        Some(value) if value.is_empty() => Err(format!(
            "the default of `{name}` is empty; write `{}` for an argument that may be left out",
            place.optional(name)
        )),
        Some(value) => {
            field.check(value).map_err(|why| format!("the default of `{name}`, {value:?}, {why}"))?;
            Ok(field)
        }
        None => Ok(field),
    }
}

/// Adds an argument to those before it.
pub(super) fn add(fields: &mut Vec<FormField>, field: FormField) -> Result<(), String> {
    if let Some(other) = fields.iter().find(|other| other.name.eq_ignore_ascii_case(&field.name)) {
        return Err(format!("the argument `{}` is declared twice (`{}`)", field.name, other.name));
    }
    if fields.len() == MAX_FIELDS {
        return Err(format!("a script has at most {MAX_FIELDS} arguments"));
    }
    fields.push(field);
    Ok(())
}

pub(super) fn check_name(name: &str) -> Result<(), String> {
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

pub(super) fn kind_of(name: &str, kind: &str) -> Result<ArgumentType, String> {
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

fn choices(name: &str, words: Vec<String>, place: Place) -> Result<Vec<String>, String> {
    let doubled =
        words.iter().enumerate().any(|(at, one)| words.iter().skip(at + 1).any(|other| other == one));
    // The words stand in a line with `|` between them where the form is shown.
    let bad = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '|';
    if words.len() < 2 || doubled || words.iter().any(|word| word.is_empty() || word.contains(bad)) {
        return Err(format!(
            "the choice `{name}` needs its words, all different, without spaces and `|`, such as `{}`",
            place.choice()
        ));
    }
    Ok(words)
}

fn suffixes(name: &str, suffixes: &[String], place: Place) -> Result<Vec<String>, String> {
    let suffixes: Vec<String> = suffixes.iter().map(|suffix| suffix.to_ascii_lowercase()).collect();
    let fits = |suffix: &String| {
        suffix.strip_prefix('.').is_some_and(|rest| {
            (1..=10).contains(&rest.len()) && rest.bytes().all(|letter| letter.is_ascii_alphanumeric())
        })
    };
    if !suffixes.is_empty() && suffixes.iter().all(fits) {
        return Ok(suffixes);
    }
    Err(format!("the file `{name}` needs the suffixes of its name, such as `{}`", place.file()))
}
