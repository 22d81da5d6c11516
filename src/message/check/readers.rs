//! Readers of one value. Each returns the value in its proper type, or says what was expected.

use serde_json::{Map, Number, Value};

use crate::message::ids::{self, InvalidId, whole_digits};
use crate::message::{IdKind, MessageProblem, ShareSecret, shown};

/// The most letters of `env`.
const ROUTE_LETTERS: usize = 8;

/// Why a value does not fit its field.
#[derive(Debug)]
pub(super) enum FieldError {
    /// A value other than an id.
    Value {
        /// The expected value, such as "a string".
        expected: &'static str,
        /// The given value in a form that may be shown.
        shown: String,
    },
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

/// Reads an id.
pub(super) fn id(value: Value, of: IdKind) -> Result<String, FieldError> {
    ids::read(value, of).map_err(FieldError::Id)
}

/// Reads the id of a user.
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

/// Reads a share-secret. A wrong value is never shown, as it may be a secret.
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

/// Reads `env`, the route of a message's callbacks: at most 8 letters and digits (vendor's page).
pub(super) fn route(value: Value) -> Result<String, FieldError> {
    match value {
        Value::String(route)
            if (1..=ROUTE_LETTERS).contains(&route.len())
                && route.bytes().all(|letter| letter.is_ascii_alphanumeric()) =>
        {
            Ok(route)
        }
        _ => Err(FieldError::new("1 to 8 letters and digits", &value)),
    }
}

/// Reads a whole number of at least 0. A float without a fraction is one (in Lua `720 / 2` is a float).
pub(super) fn whole(value: Value) -> Result<u64, FieldError> {
    number(value, "a whole number, 0 or more", |number| whole_digits(number)?.parse().ok())
}

/// Reads seconds, rounded up to whole ones and at least 1: a player treats a sound of length 0 as broken.
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

/// Reads degrees as a string. A number becomes the shortest text that reads back as that number.
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
