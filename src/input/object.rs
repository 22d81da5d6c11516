//! Recipients in JSON: an id, or an object with one.

use std::collections::HashSet;

use serde_json::Value;

use crate::core::Call;
use crate::message::{FLOAT_AS_ID, id};

use super::fault::InputError;
use super::header::{self, ColumnMeaning};
use super::ids::recipient_id;

/// The most field names that are kept.
const FIELDS: usize = 1_000;

/// Checks the names of an object's fields. `known` are the names that are already accepted.
pub(super) fn check_fields(
    value: &Value,
    line: u64,
    id_column: &str,
    is_chosen: bool,
    call: Call,
    known: &mut HashSet<String>,
) -> Result<(), InputError> {
    let Some(fields) = value.as_object() else { return Ok(()) };
    for name in fields.keys() {
        let wrong = |what: String| InputError::at(line, format!("`{}`", name.escape_debug()), what);
        if call.recipient() != Call::Group.recipient() {
            if !is_chosen && header::is_other_kind(name, call) {
                return Err(wrong(header::other_kind("field", call)));
            }
            continue;
        }
        if name == id_column || name == header::USERS || known.contains(name) {
            continue;
        }
        match header::meaning(name, id_column) {
            ColumnMeaning::Itself if known.len() < FIELDS => drop(known.insert(name.clone())),
            // If the id's field is missing, the one that probably means it is proposed.
            ColumnMeaning::Id if !is_chosen && fields.contains_key(id_column) => {
                return Err(wrong(header::two_of_ids("field", id_column)));
            }
            ColumnMeaning::Users if !fields.contains_key(header::USERS) => {
                return Err(wrong(header::other_users("field")));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn read(mut value: Value, line: u64, id_column: &str, call: Call) -> Result<Value, InputError> {
    let recipient = call.recipient();
    let position = |name: &str| format!("`{name}`");
    let Value::Object(fields) = &mut value else {
        let id = json_id(&value, call).map_err(|what| InputError::line(line, what))?;
        return Ok(Value::from(id));
    };
    if fields.get(id_column).is_some_and(Value::is_null) {
        let what = format!("it is null; the id of the {recipient} belongs here");
        return Err(InputError::at(line, position(id_column), what));
    }
    let Some(id) = fields.get(id_column) else {
        let names: Vec<String> = fields.keys().cloned().collect();
        let hint = header::proposed(&names, id_column).map_or_else(String::new, |name| {
            format!("; `{name}` seems to be meant: say `id_column = \"{name}\"`")
        });
        return Err(InputError::line(
            line,
            format!("`{id_column}` is missing: the id of the {recipient}{hint}"),
        ));
    };
    let id = json_id(id, call).map_err(|what| InputError::at(line, position(id_column), what))?;
    fields.insert(id_column.to_owned(), Value::from(id.as_str()));
    fields.insert(call.id_field().to_owned(), Value::from(id));
    Ok(value)
}

/// Reads an id in JSON: a text, or a whole number written without a fraction or an exponent.
fn json_id(value: &Value, call: Call) -> Result<String, String> {
    match value {
        Value::String(text) => recipient_id(text, call).map(str::to_owned),
        Value::Number(number) if number.is_f64() => Err(format!("{number}: {FLOAT_AS_ID}")),
        Value::Number(number) => recipient_id(&number.to_string(), call).map(str::to_owned),
        other => id(call.id_field(), other.clone(), call.id_kind()).map_err(|problem| problem.message),
    }
}
