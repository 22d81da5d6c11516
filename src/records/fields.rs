//! Reads fields from the service's JSON, where ids and times come as texts or as numbers.

use serde_json::{Map, Value};

use super::RecordError;

/// The end of the year 9999, in milliseconds since 1970-01-01T00:00:00Z. A later time is not a time.
pub(super) const MAX_TIME_MS: i64 = 253_402_300_799_999;

pub(super) type Fields = Map<String, Value>;

/// Returns a text that is not empty, or the digits of a whole number.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the [`text`] of a field; None also if it is missing.
pub(super) fn optional(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).and_then(text)
}

/// Returns the [`text`] of a field that must be there.
pub(super) fn required(fields: &Fields, name: &'static str) -> Result<String, RecordError> {
    optional(fields, name).ok_or(RecordError::Field(name))
}

/// Returns an object; None if the field is missing or has another type.
pub(super) fn object<'fields>(fields: &'fields Fields, name: &str) -> Option<&'fields Fields> {
    fields.get(name).and_then(Value::as_object)
}

/// Returns a field's time in milliseconds since 1970-01-01T00:00:00Z, at most [`MAX_TIME_MS`].
pub(super) fn time_ms(fields: &Fields, name: &'static str) -> Result<i64, RecordError> {
    let time = required(fields, name)?.parse().ok();
    time.filter(|time| (0..=MAX_TIME_MS).contains(time)).ok_or(RecordError::Field(name))
}
