//! The errors of native functions, and how they are reported to the script.

use mlua::{Error, IntoLua, Lua, MultiValue, Table, Value};

use crate::protocol::{FailureKind, RequestFailure};

/// Why a native function failed.
#[derive(Debug)]
pub(super) enum NativeError {
    /// A failure that becomes an error value with the usual fields.
    Failure(Box<RequestFailure>),
    /// An error of Lua itself, such as a lack of memory or a bad argument.
    Lua(Error),
}

impl From<Error> for NativeError {
    fn from(error: Error) -> Self {
        Self::Lua(error)
    }
}

impl From<RequestFailure> for NativeError {
    fn from(failure: RequestFailure) -> Self {
        Self::Failure(Box::new(failure))
    }
}

impl NativeError {
    /// Creates the error of a malformed argument.
    pub(super) fn invalid(field: impl Into<Box<str>>, message: impl Into<String>) -> Self {
        RequestFailure::invalid(field, message).into()
    }

    /// Returns the arguments of the prelude's `settle`: `false` and the error.
    pub(super) fn into_values(self, lua: &Lua) -> mlua::Result<MultiValue> {
        let fault = match self {
            Self::Failure(failure) => Value::Table(error_value(lua, &failure)?),
            Self::Lua(error) => match bad_argument(&error) {
                Some(failure) => Value::Table(error_value(lua, &failure)?),
                None => plain(&error).into_lua(lua)?,
            },
        };
        Ok(MultiValue::from_vec(vec![Value::Boolean(false), fault]))
    }
}

/// Creates the table of an error value. The prelude adds `where` and the metatable.
pub(super) fn error_value(lua: &Lua, failure: &RequestFailure) -> mlua::Result<Table> {
    let value = lua.create_table_with_capacity(0, 8)?;
    value.raw_set("kind", failure.kind.name())?;
    value.raw_set("message", failure.message.as_str())?;
    value.raw_set("retryable", failure.kind.retryable())?;
    value.raw_set("field", failure.field.as_deref())?;
    value.raw_set("status", failure.status)?;
    value.raw_set("code", failure.code.as_deref())?;
    if !failure.receipts.is_empty() {
        value.raw_set("receipts", receipts(lua, &failure.receipts)?)?;
    }
    if !failure.problems.is_empty() {
        value.raw_set("problems", problems(lua, failure)?)?;
    }
    Ok(value)
}

/// Creates the list of a message's problems.
pub(super) fn problems(lua: &Lua, failure: &RequestFailure) -> mlua::Result<Table> {
    let list = lua.create_table_with_capacity(failure.problems.len(), 0)?;
    for (field, message) in &failure.problems {
        let problem = lua.create_table_with_capacity(0, 2)?;
        problem.raw_set("field", field.as_str())?;
        problem.raw_set("message", message.as_str())?;
        list.raw_push(problem)?;
    }
    Ok(list)
}

/// Creates the table `{ [group_id] = message_id }`.
pub(super) fn receipts(lua: &Lua, pairs: &[(String, String)]) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, pairs.len())?;
    for (group, message) in pairs {
        table.raw_set(group.as_str(), message.as_str())?;
    }
    Ok(table)
}

/// Converts a type error of an argument into an `invalid` failure.
fn bad_argument(error: &Error) -> Option<RequestFailure> {
    match error {
        Error::BadArgument { pos, name, cause, .. } => {
            let field = name.clone().unwrap_or_else(|| format!("argument {pos}"));
            let message =
                format!("{field}: {}", bad_argument(cause).map_or_else(|| plain(cause), |f| f.message));
            Some(RequestFailure::invalid(field, message))
        }
        Error::FromLuaConversionError { from, to, message } => {
            let detail = message.as_ref().map(|message| format!(" ({message})")).unwrap_or_default();
            Some(RequestFailure::new(
                FailureKind::Invalid,
                format!("expected {}, got {from}{detail}", friendly(to)),
            ))
        }
        _ => None,
    }
}

/// Names a Rust type in the terms of Lua.
fn friendly(rust: &str) -> &str {
    match rust {
        "String" | "string" | "LuaString" | "&str" | "BString" | "str" => "a string",
        "table" | "Table" => "a table",
        "function" | "Function" => "a function",
        "bool" | "boolean" => "true or false",
        other if other.starts_with(['i', 'u', 'f']) => "a number",
        other => other,
    }
}

/// Returns Lua's own message, without what mlua adds to it.
pub(super) fn plain(error: &Error) -> String {
    match error {
        Error::RuntimeError(message) | Error::MemoryError(message) | Error::SyntaxError { message, .. } => {
            message.clone()
        }
        Error::CallbackError { cause, .. } | Error::WithContext { cause, .. } => plain(cause),
        other => other.to_string(),
    }
}

/// Converts the result of a native function into the arguments of the prelude's `settle`.
pub(super) fn settled(lua: &Lua, result: Result<MultiValue, NativeError>) -> mlua::Result<MultiValue> {
    match result {
        Ok(mut values) => {
            values.push_front(Value::Boolean(true));
            Ok(values)
        }
        // A lack of memory must not become an error value of a bad argument, which a script could ignore.
        Err(NativeError::Lua(Error::MemoryError(message))) => Err(Error::MemoryError(message)),
        Err(fault) => fault.into_values(lua),
    }
}
