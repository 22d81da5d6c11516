//! An error of an input file, and its position.

use std::fmt;

/// An error in an input file, or in one of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// The line, counted from 1 as editors count. `None` for an error of the whole file.
    pub line: Option<u64>,
    /// The position in the line, such as "column 2 (`name`)". May be empty.
    pub position: String,
    /// What is wrong and how to correct it.
    pub what: String,
}

impl InputError {
    pub(super) fn whole(what: impl Into<String>) -> Self {
        Self { line: None, position: String::new(), what: what.into() }
    }

    pub(super) fn line(line: u64, what: impl Into<String>) -> Self {
        Self { line: Some(line), position: String::new(), what: what.into() }
    }

    /// A fault at a position in a line.
    pub(super) fn at(line: u64, position: impl Into<String>, what: impl Into<String>) -> Self {
        Self { line: Some(line), position: position.into(), what: what.into() }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.position.as_str()) {
            (Some(line), "") => write!(formatter, "line {line}: {}", self.what),
            (Some(line), position) => write!(formatter, "line {line}, {position}: {}", self.what),
            (None, "") => formatter.write_str(&self.what),
            (None, position) => write!(formatter, "{position}: {}", self.what),
        }
    }
}

impl std::error::Error for InputError {}

/// Returns the name of a column in errors: its number, and its name if it has one.
pub(super) fn column(index: usize, name: Option<&str>) -> String {
    match name {
        Some(name) if !name.is_empty() => format!("column {} (`{name}`)", index + 1),
        _ => format!("column {}", index + 1),
    }
}
