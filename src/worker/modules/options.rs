//! Parses tables of options with serde.

use std::vec::IntoIter;

use mlua::serde::de::{Deserializer, Options};
use mlua::{Error, Value};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer, MapAccess};
use serde_path_to_error::Segment;

use crate::core::{BroadcastSpec, unknown_name};

pub(super) use crate::core::WholeNumber;

use super::super::fault::NativeError;
use super::arguments::wrong;

/// Reads a table into a type that has a field for each option. Nil is a table without options. `function` is the
/// function's name, for errors; an unknown option is an error that suggests the nearest known one.
pub(super) fn options<T: DeserializeOwned>(function: &str, table: &Value) -> Result<T, NativeError> {
    read(function, "options", ("options.", ""), table)
}

/// As [`options`], for an argument of any name. All errors name the argument before the field, if it has a name.
pub(super) fn fields<T: DeserializeOwned>(
    function: &str,
    argument: &str,
    table: &Value,
) -> Result<T, NativeError> {
    let prefix = if argument.is_empty() { String::new() } else { format!("{argument}.") };
    read(function, argument, (&prefix, &prefix), table)
}

fn read<T: DeserializeOwned>(
    function: &str,
    argument: &str,
    (of_unknown, of_values): (&str, &str),
    table: &Value,
) -> Result<T, NativeError> {
    let pairs = pairs(argument, table)?;
    T::deserialize(MapAccessDeserializer::new(OptionAccess::new(pairs))).map_err(|error| {
        let OptionError { name, unknown, .. } = &error;
        let prefix = if *unknown { of_unknown } else { of_values };
        let shown = if *unknown || name.is_empty() { String::new() } else { format!("{name}: ") };
        NativeError::invalid(format!("{prefix}{name}"), format!("{function}: {shown}{}", error.in_lua()))
    })
}

/// Returns the names and values of a table of options. `argument` is the argument's name, for errors.
pub(super) fn pairs(argument: &str, table: &Value) -> Result<Vec<(String, Value)>, NativeError> {
    let table = match table {
        Value::Nil => return Ok(Vec::new()),
        Value::Table(table) => table,
        other => return Err(wrong(argument, "a table", other)),
    };
    let named = |pair: mlua::Result<(Value, Value)>| match pair? {
        (Value::String(name), value) => Ok((name.to_string_lossy(), value)),
        (other, _) => Err(wrong(argument, "names of options", &other)),
    };
    table.pairs().map(named).collect()
}

/// Reads the fields of a broadcast. Errors name the field alone.
pub(super) fn broadcast_spec(fields: Vec<(String, Value)>) -> Result<BroadcastSpec, NativeError> {
    let access = OptionAccess::new(fields);
    serde_path_to_error::deserialize(MapAccessDeserializer::new(access)).map_err(|error| {
        let path = error.path().clone();
        let mut error = error.into_inner();
        for step in path.iter().skip(1) {
            let Value::Table(table) = &error.value else { break };
            error.value = match step {
                Segment::Map { key } => table.raw_get(key.as_str()),
                Segment::Seq { index } => table.raw_get(index + 1),
                _ => break,
            }
            .unwrap_or(Value::Nil);
        }
        BroadcastSpec::problem(&path.to_string(), &error.in_lua()).into()
    })
}

/// A value that is present, and is read without serde.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given;

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

/// Returns the value of an option that is [`Given`].
pub(super) fn raw(table: &Value, name: &str) -> Result<Value, NativeError> {
    Ok(table.as_table().map(|table| table.raw_get(name)).transpose()?.unwrap_or(Value::Nil))
}

struct OptionAccess {
    pairs: IntoIter<(String, Value)>,
    value: Option<(String, Value)>,
}

impl OptionAccess {
    fn new(pairs: Vec<(String, Value)>) -> Self {
        Self { pairs: pairs.into_iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for OptionAccess {
    type Error = OptionError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, OptionError> {
        self.value = self.pairs.next();
        self.value.as_ref().map(|(name, _)| seed.deserialize(name.as_str().into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, OptionError> {
        let (name, value) = self.value.take().ok_or_else(|| OptionError::custom("a value without a name"))?;
        // Functions and userdata become units, which no option accepts, so that errors say what is expected.
        let settings = Options::new().deny_unsupported_types(false);
        seed.deserialize(Deserializer::new_with_options(value.clone(), settings))
            .map_err(|error| OptionError::of_value(name, value, &error))
    }
}

/// Why options cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct OptionError {
    /// The option.
    name: String,
    /// Its value.
    value: Value,
    /// Serde's message.
    message: String,
    /// Whether there is no such option.
    unknown: bool,
}

impl serde::de::Error for OptionError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self { name: String::new(), value: Value::Nil, message: message.to_string(), unknown: false }
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        let message = unknown_name(name, known.iter().copied());
        Self { name: name.to_owned(), value: Value::Nil, message, unknown: true }
    }
}

impl OptionError {
    fn of_value(name: String, value: Value, error: &Error) -> Self {
        let message = match error {
            Error::DeserializeError(text) => text.clone(),
            other => super::super::fault::plain(other),
        };
        Self { name, value, message, unknown: false }
    }

    /// Returns serde's message in the terms of Lua.
    fn in_lua(&self) -> String {
        let (text, value) = (self.message.as_str(), &self.value);
        let (found, expected) = text.rsplit_once(", expected ").unwrap_or(("", text));
        if value.as_string().is_some_and(|text| text.to_str().is_err()) {
            "it holds bytes that are not UTF-8".to_owned()
        } else if let Some(found) = found.strip_prefix("invalid type: ") {
            let got = match found.split(' ').next().unwrap_or_default() {
                "floating" => "number",
                "map" | "sequence" => "table",
                "unit" => value.type_name(),
                other => other,
            };
            format!("expected {}, got {got}", in_lua(expected))
        } else if let Some(variant) = found.strip_prefix("unknown variant ") {
            format!("expected {expected}, got {variant}")
        } else if text.starts_with("expected ") {
            format!("{text}, got {}", value.type_name())
        } else if text == "bad enum value" {
            format!("expected a string, got {}", value.type_name())
        } else {
            text.to_owned()
        }
    }
}

/// Names a type of Rust in the terms of Lua.
fn in_lua(rust: &str) -> &str {
    match rust {
        "a boolean" => "true or false",
        "a map" | "a sequence" => "a table",
        _ if rust.starts_with("struct ") => "a table",
        _ if rust.starts_with(['i', 'u', 'f']) => "a number",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use mlua::Lua;

    use super::super::task::Milliseconds;
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Example {
        name: Option<String>,
        rerun: bool,
        limit: WholeNumber,
        timeout: Option<Milliseconds>,
        word: Option<Word>,
        secret: Option<Given>,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        High,
        Low,
    }

    fn read(table: &str) -> Result<Example, String> {
        let lua = Lua::new();
        let value: Value = lua.load(format!("return {table}")).eval().unwrap();
        options("m.call", &value).map_err(|error| match error {
            NativeError::Failure(failure) => {
                format!("{} | {}", failure.field.unwrap_or_default(), failure.message)
            }
            NativeError::Lua(error) => error.to_string(),
        })
    }

    #[test]
    fn options_are_read() {
        let read =
            read("{ name = 'a', rerun = true, limit = 4 / 2, timeout = '5m', word = 'low', secret = print }")
                .unwrap();
        assert_eq!((read.name.as_deref(), read.rerun, read.limit.0), (Some("a"), true, 2));
        assert_eq!((read.timeout.unwrap().0, read.word), (300_000, Some(Word::Low)));
        assert!(read.secret.is_some());
        assert!(self::read("nil").unwrap().name.is_none());
    }

    #[test]
    fn errors_name_the_function_and_the_option() {
        for (table, expected) in [
            ("{ nmae = 1 }", "options.nmae | m.call: unknown `nmae`; did you mean `name`?"),
            (
                "{ zzzzzzzz = 1 }",
                "options.zzzzzzzz | m.call: unknown `zzzzzzzz`; known: name, rerun, limit, timeout, word, secret",
            ),
            ("{ name = 5 }", "name | m.call: name: expected a string, got integer"),
            ("{ name = print }", "name | m.call: name: expected a string, got function"),
            ("{ name = {} }", "name | m.call: name: expected a string, got table"),
            ("{ name = '\\xff' }", "name | m.call: name: it holds bytes that are not UTF-8"),
            ("{ rerun = 'yes' }", "rerun | m.call: rerun: expected true or false, got string"),
            ("{ limit = 1.5 }", "limit | m.call: limit: expected a whole number, got number"),
            (
                "{ timeout = {} }",
                "timeout | m.call: timeout: expected seconds or a text like \"5m\", got table",
            ),
            ("{ word = 'hi' }", "word | m.call: word: expected `high` or `low`, got `hi`"),
            ("{ word = 1 }", "word | m.call: word: expected a string, got integer"),
            ("{ 1 }", "options | options: expected names of options, got integer"),
            ("5", "options | options: expected a table, got integer"),
        ] {
            assert_eq!(read(table).unwrap_err(), expected, "{table}");
        }
        assert!(read("{ timeout = 'soon' }").unwrap_err().contains("`soon` is not a duration"));
    }
}
