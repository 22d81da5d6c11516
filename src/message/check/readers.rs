//! Readers of one value: each answers the value in its proper type, or what was expected in its place.

use serde_json::{Map, Number, Value};

use crate::message::{Problem, ShareSecret, shown};

/// Above this, whole numbers that a script computed may have lost their last digits (2^53).
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A value is not what its field needs.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) expected: &'static str,
    pub(super) shown: String,
}

impl Wrong {
    fn new(expected: &'static str, value: &Value) -> Self {
        Self { expected, shown: shown::value(value) }
    }

    pub(super) fn at(self, field: impl Into<String>) -> Problem {
        Problem::wrong_value(field, self.expected, self.shown)
    }
}

/// An id of a group or a user: a string, or a whole number without loss of digits (a float up to 2^53). `field` is
/// the name under which a problem is reported.
///
/// # Errors
///
/// An empty string, a number that is not whole or not exact, or a value of another type.
pub fn id(field: &str, value: Value) -> Result<String, Problem> {
    id_of(value).map_err(|wrong| wrong.at(field))
}

pub(super) fn id_of(value: Value) -> Result<String, Wrong> {
    match value {
        Value::String(id) if !id.is_empty() => Ok(id),
        Value::Number(number) => whole_digits(&number).ok_or_else(|| {
            Wrong::new(
                "an id, which as a number is whole and exact (write it as a string)",
                &Value::Number(number),
            )
        }),
        Value::String(_) => Err(Wrong::new("an id of at least one character", &value)),
        _ => Err(Wrong::new("an id: a string or a whole number", &value)),
    }
}

/// The digits of a whole number, if it has lost none.
fn whole_digits(number: &Number) -> Option<String> {
    if !number.is_f64() {
        return Some(number.to_string());
    }
    // Adding zero makes 0 of -0.
    let float = number.as_f64()? + 0.0;
    (float.fract() == 0.0 && float.abs() <= MAX_EXACT).then(|| format!("{float:.0}"))
}

pub(super) fn string(value: Value) -> Result<String, Wrong> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(Wrong::new("a string", &value)),
    }
}

pub(super) fn text(value: Value) -> Result<String, Wrong> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        _ => Err(Wrong::new("a string of at least one character", &value)),
    }
}

/// A share-secret; what is found in its place is not shown.
pub(super) fn secret(value: Value) -> Result<ShareSecret, Wrong> {
    match value {
        Value::String(secret) => Ok(ShareSecret::new(secret)),
        _ => Err(Wrong { expected: "a string", shown: shown::sort(&value).to_owned() }),
    }
}

pub(super) fn boolean(value: Value) -> Result<bool, Wrong> {
    match value {
        Value::Bool(answer) => Ok(answer),
        other => Err(Wrong::new("a boolean", &other)),
    }
}

/// A whole number from 0 on; a float without a fraction is one (in Lua `720 / 2` is a float).
pub(super) fn whole(value: Value) -> Result<u64, Wrong> {
    number(value, "a whole number, 0 or more", |number| whole_digits(number)?.parse().ok())
}

/// Seconds, rounded to whole ones.
pub(super) fn seconds(value: Value) -> Result<u64, Wrong> {
    number(value, "a number of seconds, 0 or more", |number| {
        let seconds = number.as_f64().filter(|seconds| *seconds >= 0.0)?;
        format!("{:.0}", seconds.round() + 0.0).parse().ok()
    })
}

fn number<T>(
    value: Value,
    expected: &'static str,
    read: impl FnOnce(&Number) -> Option<T>,
) -> Result<T, Wrong> {
    match value {
        Value::Number(number) => read(&number).ok_or_else(|| Wrong::new(expected, &Value::Number(number))),
        other => Err(Wrong::new(expected, &other)),
    }
}

/// Degrees as a string; a number becomes the shortest text that reads back as that number.
pub(super) fn degrees(value: Value) -> Result<String, Wrong> {
    match value {
        Value::String(degrees) if !degrees.is_empty() => Ok(degrees),
        Value::Number(number) => Ok(match number.as_f64() {
            Some(degrees) if number.is_f64() => degrees.to_string(),
            _ => number.to_string(),
        }),
        _ => Err(Wrong::new("degrees: a number, or a string of at least one character", &value)),
    }
}

pub(super) fn object(value: Value) -> Result<Map<String, Value>, Wrong> {
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(Wrong::new("an object", &value)),
    }
}
