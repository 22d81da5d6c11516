//! One argument of a form.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::check::{self, ValueProblem};

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArgumentType {
    /// One line of text.
    String,
    /// Text of several lines.
    Text,
    /// A whole number.
    Integer,
    Number,
    /// `true` or `false`.
    Boolean,
    /// `YYYY-MM-DD`.
    Date,
    /// `HH:MM`.
    Time,
    /// A date and a time with its offset from UTC: `2026-12-01T09:00+08:00`.
    Datetime,
    /// One of a few words.
    Choice,
    /// The id of a group.
    Group,
    /// A file.
    File,
}

impl ArgumentType {
    pub(super) const ALL: [Self; 11] = [
        Self::String,
        Self::Text,
        Self::Integer,
        Self::Number,
        Self::Boolean,
        Self::Date,
        Self::Time,
        Self::Datetime,
        Self::Choice,
        Self::Group,
        Self::File,
    ];

    /// The type's name in a declaration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Time => "time",
            Self::Datetime => "datetime",
            Self::Choice => "choice",
            Self::Group => "group",
            Self::File => "file",
        }
    }
}

/// An argument of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FormField {
    /// Its name in `NAME=VALUE` and in `args.NAME`.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ArgumentType,
    /// Whether a run needs a value for it.
    pub required: bool,
    /// The value if none is given.
    pub default: Option<String>,
    /// Of a choice: its words. Of a file: the suffixes that its name may have.
    pub allowed: Vec<String>,
    /// What it is, for people.
    pub help: String,
}

impl FormField {
    /// Checks a value that is not empty.
    ///
    /// # Errors
    ///
    /// Why it is not of the type.
    pub fn check(&self, value: &str) -> Result<(), ValueProblem> {
        check::value(self, value)
    }

    /// The type with what it allows: `choice warm|formal`, `file .csv,.xlsx`.
    pub fn type_words(&self) -> String {
        match self.kind {
            ArgumentType::Choice => format!("choice {}", self.allowed.join("|")),
            ArgumentType::File => format!("file {}", self.allowed.join(",")),
            kind => kind.name().to_owned(),
        }
    }

    /// A value that the type allows, for an example.
    pub fn example(&self) -> String {
        if let Some(default) = &self.default {
            return default.clone();
        }
        let first = self.allowed.first().map(String::as_str);
        match self.kind {
            ArgumentType::String | ArgumentType::Text => "TEXT".to_owned(),
            ArgumentType::Integer => "1".to_owned(),
            ArgumentType::Number => "1.5".to_owned(),
            ArgumentType::Boolean => "true".to_owned(),
            ArgumentType::Date => "2026-12-01".to_owned(),
            ArgumentType::Time => "09:00".to_owned(),
            ArgumentType::Datetime => "2026-12-01T09:00+08:00".to_owned(),
            ArgumentType::Choice => first.unwrap_or_default().to_owned(),
            ArgumentType::Group => "100000000000001".to_owned(),
            ArgumentType::File => format!("{}{}", self.name, first.unwrap_or_default()),
        }
    }
}

/// The declaration, as a head comment has it.
impl fmt::Display for FormField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optional = if self.required || self.default.is_some() { "" } else { "?" };
        write!(formatter, "--- @arg {}{optional} {}", self.name, self.type_words())?;
        if let Some(default) = &self.default {
            let quoted = default.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(formatter, " = \"{quoted}\"")?;
        }
        if !self.help.is_empty() {
            write!(formatter, " {}", self.help)?;
        }
        Ok(())
    }
}
