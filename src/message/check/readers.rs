//! Readers of one value: each answers the value in its proper type, or what was expected in its place.

use serde_json::{Map, Number, Value};

use crate::message::ids::{self, InvalidId, whole_digits};
use crate::message::{IdKind, MessageProblem, ShareSecret, shown};

/// A value is not what its field needs.
#[derive(Debug)]
pub(super) enum FieldError {
    /// Any value but an id.
    Value {
        /// Reads "a string".
        expected: &'static str,
        /// The value, as it may be shown.
        shown: String,
    },
    /// An id.
    Id(InvalidId),
}

impl FieldError {
    fn new(expected: &'static str, value: &Value) -> Self {
        Self::Value { expected, shown: shown::value(value) }
    }

    pub(super) fn at(self, field: impl Into<String>) -> MessageProblem {
        match self {
            Self::Value { expected, shown } => MessageProblem::wrong_value(field, expected, shown),
            Self::Id(invalid) => invalid.at(field),
        }
    }
}

/// The id of a group.
pub(super) fn group(value: Value) -> Result<String, FieldError> {
    ids::read(value, IdKind::Group).map_err(FieldError::Id)
}

/// The id of a user.
pub(super) fn user(value: Value) -> Result<String, FieldError> {
    ids::read(value, IdKind::User).map_err(FieldError::Id)
}

pub(super) fn string(value: Value) -> Result<String, FieldError> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(FieldError::new("a string", &value)),
    }
}

pub(super) fn text(value: Value) -> Result<String, FieldError> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        _ => Err(FieldError::new("a string of at least one character", &value)),
    }
}

/// A share-secret; what is found in its place is not shown.
pub(super) fn secret(value: Value) -> Result<ShareSecret, FieldError> {
    match value {
        Value::String(secret) => Ok(ShareSecret::new(secret)),
        _ => Err(FieldError::Value { expected: "a string", shown: shown::sort(&value).to_owned() }),
    }
}

pub(super) fn boolean(value: Value) -> Result<bool, FieldError> {
    match value {
        Value::Bool(answer) => Ok(answer),
        other => Err(FieldError::new("a boolean", &other)),
    }
}

/// A whole number from 0 on; a float without a fraction is one (in Lua `720 / 2` is a float).
pub(super) fn whole(value: Value) -> Result<u64, FieldError> {
    number(value, "a whole number, 0 or more", |number| whole_digits(number)?.parse().ok())
}

/// Seconds, rounded up to whole ones, and never 0: a player takes a sound of no length for a broken one.
pub(super) fn seconds(value: Value) -> Result<u64, FieldError> {
    number(value, "a number of seconds, 0 or more", |number| {
        let seconds = number.as_f64().filter(|seconds| *seconds >= 0.0)?;
        format!("{:.0}", seconds.ceil().max(1.0)).parse().ok()
    })
}

fn number<T>(
    value: Value,
    expected: &'static str,
    read: impl FnOnce(&Number) -> Option<T>,
) -> Result<T, FieldError> {
    match value {
        Value::Number(number) => {
            read(&number).ok_or_else(|| FieldError::new(expected, &Value::Number(number)))
        }
        other => Err(FieldError::new(expected, &other)),
    }
}

/// Degrees as a string; a number becomes the shortest text that reads back as that number.
pub(super) fn degrees(value: Value) -> Result<String, FieldError> {
    match value {
        Value::String(degrees) if !degrees.is_empty() => Ok(degrees),
        Value::Number(number) => Ok(match number.as_f64() {
            Some(degrees) if number.is_f64() => degrees.to_string(),
            _ => number.to_string(),
        }),
        _ => Err(FieldError::new("degrees: a number, or a string of at least one character", &value)),
    }
}

pub(super) fn object(value: Value) -> Result<Map<String, Value>, FieldError> {
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(FieldError::new("an object", &value)),
    }
}
