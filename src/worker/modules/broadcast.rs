//! `im.broadcast`: checks the names and types of its fields, and collects recipients and messages into batches.

use std::cell::RefCell;

use mlua::{AnyUserData, Function, Lua, Table, UserData, Value};
use serde_json::{Map, Value as Json};

use crate::core::{BROADCAST_FIELDS, nearest};
use crate::input::AudienceOptions;
use crate::protocol::{BroadcastStep, HostRequest};

use super::super::context::ScriptContext;
use super::super::convert::{EmptyTable, to_json};
use super::super::fault::NativeError;
use super::ModuleKit;
use super::arguments::{each, integer, utf8, wrong};

/// The part in Lua, which draws recipients and calls the script's functions.
const LUA_PART: &str = include_str!("broadcast.lua");

/// The most bytes of one field that are sent for exports: more than exports keep.
const LONGEST: usize = 16_384;

/// The size of a batch in bytes at which it is sent, even with few recipients.
const FULL: usize = 1 << 20;

pub(super) fn build(kit: &ModuleKit, app: u32) -> mlua::Result<Function> {
    let ask = kit.lua().create_table()?;
    ask.raw_set(
        "begin",
        kit.waiting(move |_, _, spec: mlua::LuaString| {
            let spec = spec.as_bytes().to_vec().into();
            Ok(HostRequest::Broadcast(BroadcastStep::Begin { app, spec }))
        })?,
    )?;
    let step = |make: fn(u64) -> BroadcastStep| {
        kit.waiting(move |_, _, handle| Ok(HostRequest::Broadcast(make(handle))))
    };
    ask.raw_set("page", step(|handle| BroadcastStep::Page { handle })?)?;
    ask.raw_set("take", step(|handle| BroadcastStep::Take { handle })?)?;
    ask.raw_set("compared", step(|handle| BroadcastStep::Compared { handle })?)?;
    ask.raw_set("check", step(|handle| BroadcastStep::Check { handle })?)?;
    ask.raw_set(
        "rows",
        kit.waiting(|_, _, (handle, group_id): (u64, String)| {
            Ok(HostRequest::Broadcast(BroadcastStep::Rows { handle, group_id }))
        })?,
    )?;
    ask.raw_set("fix", step(|handle| BroadcastStep::Fix { handle })?)?;
    ask.raw_set("wait", step(|handle| BroadcastStep::Wait { handle })?)?;
    ask.raw_set("abandon", step(|handle| BroadcastStep::Abandon { handle })?)?;
    let parts = (
        kit.plain(read)?,
        ask,
        kit.plain(|_, _, id_column: Option<String>| {
            Ok(RecipientJsonBatch { id_column, ..RecipientJsonBatch::default() })
        })?,
        kit.plain(add)?,
        kit.waiting(append)?,
        kit.prelude.get::<Function>("can_wait")?,
        kit.prelude.get::<Function>("throw")?,
    );
    kit.lua_part(LUA_PART, parts)
}

/// Checks fields that one of our own modules passes on later. `more` holds the names of that module's own fields,
/// which were removed before; suggestions for a misspelt name include them.
pub(super) fn check(
    lua: &Lua,
    _: &ScriptContext,
    (what, spec, more): (String, Value, Vec<String>),
) -> Result<(), NativeError> {
    let known: Vec<&str> = BROADCAST_FIELDS.into_iter().chain(more.iter().map(String::as_str)).collect();
    fields(lua, &what, &spec, &known).map(drop)
}

/// Reads the fields for the host. Returns them as JSON, and whether some of them are functions. `test` is `None` for
/// no test messages, false for a few before the broadcast, and true for only these.
fn read(
    lua: &Lua,
    context: &ScriptContext,
    (spec, test): (Value, Option<bool>),
) -> Result<(mlua::LuaString, bool), NativeError> {
    let (mut json, functions) = fields(lua, "broadcast", &spec, &BROADCAST_FIELDS)?;
    json.entry("run").or_insert_with(|| Json::from(context.run.as_str()));
    if let Some(only) = test {
        json.insert("tested".to_owned(), Json::from(true));
        json.insert("test_only".to_owned(), Json::from(only));
    }
    if let Some(Json::Object(excluded)) = json.get_mut("exclude") {
        excluded.entry("run").or_insert_with(|| Json::from(context.run.as_str()));
    }
    Ok((lua.create_string(Json::Object(json).to_string())?, functions))
}

/// Returns the fields as JSON, and whether some of them are functions.
fn fields(
    lua: &Lua,
    what: &str,
    spec: &Value,
    known: &[&str],
) -> Result<(Map<String, Json>, bool), NativeError> {
    let mut json = Map::new();
    let (mut functions, mut allow_empty) = (false, false);
    let Value::Table(given) = spec else { return Err(wrong(what, "a table of fields", spec)) };
    each(what, spec, known, |name, value| {
        let read = match name {
            "name" | "id_column" | "sheet" => Json::from(word(name, value)?),
            "run" => run(value)?,
            "to" => return to(&mut json, &mut functions, value),
            "message" => match value {
                Value::Function(_) => {
                    functions = true;
                    return Ok(());
                }
                Value::Table(_) => parsed(&to_json(lua, value, EmptyTable::OfMessage)?)?,
                other => return Err(wrong(name, "a message (a table) or a function", other)),
            },
            "pack" => Json::from(ranged(name, value, 1, 3)?),
            "stop_after_failures" | "max_recipients" => Json::from(ranged(name, value, 1, i64::MAX)?),
            "in_doubt" => one_of(name, value, &["hold", "resend"])?,
            "on_change" => one_of(name, value, &["refuse", "continue", "replan"])?,
            "priority" => one_of(name, value, &["high", "normal", "low"])?,
            "rate" => rate(value)?,
            "window" => words(name, value, &["from", "to", "tz"])?,
            "exclude" => exclude(lua, value)?,
            "skip_bad" => Json::from(super::arguments::boolean(name, value)?),
            "encoding" => checked(name, value, AudienceOptions::check_encoding)?,
            "separator" => checked(name, value, |text| AudienceOptions::separator(text).map(drop))?,
            // For the messages, not for the host.
            "allow_empty" => {
                allow_empty = super::arguments::boolean(name, value)?;
                return Ok(());
            }
            _ => {
                functions = true;
                return match value {
                    Value::Function(_) => Ok(()),
                    other => Err(wrong(name, "a function", other)),
                };
            }
        };
        json.insert(name.to_owned(), read);
        Ok(())
    })?;
    for (name, what) in [
        ("name", "a name that identifies the broadcast"),
        ("to", "a list of groups, an iterator, or a .csv, .xlsx, .json or .jsonl file"),
        (
            "message",
            "a message without `to`, or a function that takes a recipient and returns such a message",
        ),
    ] {
        if given.raw_get::<Value>(name)?.is_nil() {
            return Err(NativeError::invalid(name, format!("`{name}` is missing: {what}")));
        }
    }
    if allow_empty && let Some(Json::Object(message)) = json.get_mut("message") {
        message.entry("allow_empty").or_insert(Json::Bool(true));
    }
    Ok((json, functions))
}

/// Reads a string and checks it with `check`.
fn checked(
    name: &str,
    value: &Value,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<Json, NativeError> {
    let text = utf8(name, value)?;
    check(&text).map_err(|what| NativeError::invalid(name, format!("`{name}`: {what}")))?;
    Ok(Json::from(text))
}

fn parsed(json: &[u8]) -> Result<Json, NativeError> {
    serde_json::from_slice(json).map_err(|error| NativeError::invalid("message", error.to_string()))
}

fn word(name: &str, value: &Value) -> Result<String, NativeError> {
    let text = utf8(name, value)?;
    if text.is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
        return Err(NativeError::invalid(
            name,
            format!("`{name}` must have 1 to 200 bytes and no control characters"),
        ));
    }
    Ok(text)
}

/// Reads a string, or an integer, which is converted to a string.
fn run(value: &Value) -> Result<Json, NativeError> {
    match value {
        Value::Integer(number) => Ok(Json::from(number.to_string())),
        other => word("run", other).map(Json::from),
    }
}

fn to(json: &mut Map<String, Json>, functions: &mut bool, value: &Value) -> Result<(), NativeError> {
    match value {
        Value::Function(_) => *functions = true,
        Value::String(_) => {
            let path = utf8("to", value)?;
            json.insert("path".to_owned(), Json::from(path));
        }
        Value::Table(list) if list.raw_len() > 0 || list.is_empty() => whole_list("to", list)?,
        Value::Table(_) => {
            return Err(NativeError::invalid(
                "to",
                "`to` is a table without a first item; for one recipient write { recipient }",
            ));
        }
        other => return Err(wrong("to", "a list, an iterator or the path of a file", other)),
    }
    Ok(())
}

/// Refuses a list with holes, which would be read only up to the first one, and fields beside its items.
fn whole_list(name: &str, list: &Table) -> Result<(), NativeError> {
    let (mut items, mut highest, mut stranger) = (0, 0, None);
    list.for_each::<Value, Value>(|key, _| {
        match key {
            Value::Integer(index) if index > 0 => {
                items += 1;
                highest = highest.max(index);
            }
            other => stranger = Some(other.to_string()?),
        }
        Ok(())
    })?;
    if let Some(key) = stranger {
        return Err(NativeError::invalid(
            name,
            format!(
                "`{name}` is a list and has the field `{key}` beside its items; for a recipient with users write {{ {{ group_id = …, users = … }} }}"
            ),
        ));
    }
    if items == highest {
        return Ok(());
    }
    let hole = (1..highest).find(|index| list.raw_get::<Value>(*index).is_ok_and(|item| item.is_nil()));
    Err(NativeError::invalid(
        name,
        format!(
            "`{name}[{}]` is nil, and `{name}[{highest}]` is not: the list has holes; does a variable have no value?",
            hole.unwrap_or(highest)
        ),
    ))
}

fn ranged(name: &str, value: &Value, least: i64, most: i64) -> Result<i64, NativeError> {
    let number = integer(name, value)?;
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    let range = if most == i64::MAX { format!("at least {least}") } else { format!("{least} to {most}") };
    Err(NativeError::invalid(name, format!("`{name}` must be {range}, not {number}")))
}

fn rate(value: &Value) -> Result<Json, NativeError> {
    let rate = match value {
        Value::Integer(number) => *number as f64,
        Value::Number(number) => *number,
        other => return Err(wrong("rate", "messages a second", other)),
    };
    if rate.is_finite() && rate > 0.0 {
        return Ok(Json::from(rate));
    }
    Err(NativeError::invalid("rate", format!("`rate` must be over 0 messages a second, not {rate}")))
}

fn one_of(name: &str, value: &Value, known: &[&str]) -> Result<Json, NativeError> {
    let word = utf8(name, value)?;
    if known.contains(&word.as_str()) {
        return Ok(Json::from(word));
    }
    let hint = nearest(&word, known.iter().copied())
        .map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
    Err(NativeError::invalid(
        name,
        format!("`{name}` must be one of {}, not \"{word}\"{hint}", known.join(", ")),
    ))
}

/// Reads a table of strings.
fn words(what: &str, value: &Value, known: &[&str]) -> Result<Json, NativeError> {
    let Value::Table(_) = value else { return Err(wrong(what, "a table", value)) };
    let mut json = Map::new();
    each(what, value, known, |name, value| {
        json.insert(name.to_owned(), Json::from(utf8(&format!("{what}.{name}"), value)?));
        Ok(())
    })?;
    Ok(Json::Object(json))
}

fn exclude(lua: &Lua, value: &Value) -> Result<Json, NativeError> {
    let Value::Table(_) = value else { return Err(wrong("exclude", "a table { broadcast = NAME }", value)) };
    let mut json = Map::new();
    each("exclude", value, &["broadcast", "run", "states"], |name, value| {
        let read = match name {
            "broadcast" => Json::from(word("exclude.broadcast", value)?),
            "run" => run(value)?,
            _ => match value {
                Value::String(_) => Json::from(vec![utf8("exclude.states", value)?]),
                Value::Table(_) => parsed(&to_json(lua, value, EmptyTable::Object)?)?,
                other => return Err(wrong("exclude.states", "a list of states", other)),
            },
        };
        json.insert(name.to_owned(), read);
        Ok(())
    })?;
    Ok(Json::Object(json))
}

/// Recipients and messages to be sent to the host: the inside of a JSON list.
#[derive(Default)]
struct RecipientJsonBatch {
    bytes: RefCell<Vec<u8>>,
    recipients: std::cell::Cell<u64>,
    /// The field that holds the group's id, if it is not `group_id`.
    id_column: Option<String>,
}

impl UserData for RecipientJsonBatch {}

/// Adds a recipient. Returns the number of recipients, or more than the maximum of a batch once it is large enough.
fn add(
    lua: &Lua,
    _: &ScriptContext,
    (batch, recipient, number, line, made, message): (AnyUserData, Value, u64, Option<u64>, bool, Value),
) -> Result<u64, NativeError> {
    let batch = batch.borrow::<RecipientJsonBatch>()?;
    let place = line.map_or_else(|| format!("recipient {number}"), |line| format!("line {line}"));
    // The host already has the fields of the lines of its file.
    let recipient = recipient_json(lua, &recipient, line.is_none(), batch.id_column.as_deref())?;
    let mut bytes = batch.bytes.borrow_mut();
    if !bytes.is_empty() {
        bytes.push(b',');
    }
    bytes.extend_from_slice(b"{\"r\":");
    bytes.extend_from_slice(&recipient);
    bytes.extend_from_slice(format!(",\"n\":{number}").as_bytes());
    if let Some(line) = line {
        bytes.extend_from_slice(format!(",\"line\":{line}").as_bytes());
    }
    if made {
        bytes.extend_from_slice(b",\"m\":");
        match &message {
            Value::Nil => bytes.extend_from_slice(b"null"),
            Value::Table(_) => bytes.extend_from_slice(&to_json(lua, &message, EmptyTable::OfMessage)?),
            other => {
                return Err(NativeError::invalid(
                    "message",
                    format!(
                        "{place}: the function gave a {}, not a message (a table) or nil",
                        other.type_name()
                    ),
                ));
            }
        }
    }
    bytes.push(b'}');
    batch.recipients.set(batch.recipients.get() + 1);
    Ok(if bytes.len() >= FULL { u64::MAX >> 1 } else { batch.recipients.get() })
}

/// Encodes what the host needs of a recipient. If `plain` is true, this includes the plain fields for exports, which
/// the host does not have. Other fields are only for the message.
fn recipient_json(
    lua: &Lua,
    recipient: &Value,
    plain: bool,
    id_column: Option<&str>,
) -> Result<Vec<u8>, NativeError> {
    let Value::Table(fields) = recipient else { return to_json(lua, recipient, EmptyTable::Object) };
    let needed: Table = lua.create_table()?;
    if plain {
        for pair in fields.pairs::<Value, Value>() {
            let (Value::String(name), value) = pair? else { continue };
            let (Ok(_), Some(value)) = (name.to_str(), exported(lua, value)?) else { continue };
            needed.raw_set(name, value)?;
        }
    }
    needed.raw_set("group_id", fields.get::<Value>(id_column.unwrap_or("group_id"))?)?;
    needed.raw_set("users", fields.get::<Value>("users")?)?;
    to_json(lua, &Value::Table(needed), EmptyTable::OfMessage)
}

/// Returns a field as exports show it: a string (shortened), a number or a boolean. Returns `None` for other types.
fn exported(lua: &Lua, value: Value) -> Result<Option<Value>, NativeError> {
    Ok(match value {
        Value::String(text) => match text.to_str() {
            Ok(text) if text.len() > LONGEST => {
                let cut = text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default();
                Some(Value::String(lua.create_string(cut)?))
            }
            Ok(_) => Some(Value::String(text)),
            Err(_) => None,
        },
        Value::Number(number) if !number.is_finite() => None,
        Value::Boolean(_) | Value::Integer(_) | Value::Number(_) => Some(value),
        _ => None,
    })
}

fn append(
    _: &Lua,
    _: &ScriptContext,
    (handle, batch): (u64, AnyUserData),
) -> Result<HostRequest, NativeError> {
    let batch = batch.borrow::<RecipientJsonBatch>()?;
    let bytes = batch.bytes.take();
    let mut list = Vec::with_capacity(bytes.len() + 2);
    list.push(b'[');
    list.extend_from_slice(&bytes);
    list.push(b']');
    Ok(HostRequest::Broadcast(BroadcastStep::Append { handle, batch: list.into() }))
}
