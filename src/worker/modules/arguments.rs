//! Parses arguments of native functions whose errors must name the field.

use mlua::{LuaString, Table, Value};

use super::super::fault::NativeError;

/// Accepts a string of any bytes.
pub(super) fn text(field: &str, value: &Value) -> Result<LuaString, NativeError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(wrong(field, "a string", other)),
    }
}

/// Accepts a string that is UTF-8.
pub(super) fn utf8(field: &str, value: &Value) -> Result<String, NativeError> {
    match text(field, value)?.to_str() {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(NativeError::invalid(field, format!("{field}: it holds bytes that are not UTF-8"))),
    }
}

pub(super) fn table(field: &str, value: &Value) -> Result<Table, NativeError> {
    match value {
        Value::Table(table) => Ok(table.clone()),
        other => Err(wrong(field, "a table", other)),
    }
}

pub(super) fn boolean(field: &str, value: &Value) -> Result<bool, NativeError> {
    match value {
        Value::Boolean(value) => Ok(*value),
        other => Err(wrong(field, "true or false", other)),
    }
}

/// Accepts an integer, or a float with an integral value.
pub(super) fn integer(field: &str, value: &Value) -> Result<i64, NativeError> {
    match value {
        Value::Integer(number) => Ok(*number),
        #[expect(clippy::cast_possible_truncation, reason = "integral and within 2^53")]
        Value::Number(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => {
            Ok(*number as i64)
        }
        other => Err(wrong(field, "a whole number", other)),
    }
}

/// Returns the error for a value of the wrong type.
pub(super) fn wrong(field: &str, expected: &str, got: &Value) -> NativeError {
    NativeError::invalid(field, format!("{field}: expected {expected}, got {}", got.type_name()))
}

/// Reads one id, or a list of them. `field` names an id in errors.
pub(super) fn id_list(field: &str, ids: Value) -> Result<Vec<String>, NativeError> {
    let ids = match ids {
        Value::Table(list) => list.sequence_values().collect::<mlua::Result<Vec<Value>>>()?,
        one => vec![one],
    };
    let id = |id: &Value| match id {
        Value::String(_) => utf8(field, id),
        Value::Integer(id) => Ok(id.to_string()),
        other => Err(wrong(field, "a string or a whole number", other)),
    };
    ids.iter().map(id).collect()
}
