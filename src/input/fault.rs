//! What is wrong with something that was read, and where.

use std::fmt;

/// What is wrong with a text, or with one row of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// The line, counted from 1 as editors count; none where it is about all of it.
    pub line: Option<u64>,
    /// Where in the line, such as "column 2 (`name`)"; may be empty.
    pub place: String,
    /// What is wrong, and what to do about it.
    pub what: String,
}

impl InputError {
    /// Something about the whole.
    pub(super) fn whole(what: impl Into<String>) -> Self {
        Self { line: None, place: String::new(), what: what.into() }
    }

    /// Something about a line.
    pub(super) fn line(line: u64, what: impl Into<String>) -> Self {
        Self { line: Some(line), place: String::new(), what: what.into() }
    }

    /// Something about a place in a line.
    pub(super) fn at(line: u64, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { line: Some(line), place: place.into(), what: what.into() }
    }

    /// The same without the line, for where the line stands beside it.
    #[must_use]
    pub fn without_line(&self) -> String {
        if self.place.is_empty() { self.what.clone() } else { format!("{}: {}", self.place, self.what) }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.place.as_str()) {
            (Some(line), "") => write!(formatter, "line {line}: {}", self.what),
            (Some(line), place) => write!(formatter, "line {line}, {place}: {}", self.what),
            (None, "") => formatter.write_str(&self.what),
            (None, place) => write!(formatter, "{place}: {}", self.what),
        }
    }
}

impl std::error::Error for InputError {}

/// How a column is named in errors: its number, and its name where it has one.
pub(super) fn column(index: usize, name: Option<&str>) -> String {
    match name {
        Some(name) if !name.is_empty() => format!("column {} (`{name}`)", index + 1),
        _ => format!("column {}", index + 1),
    }
}
