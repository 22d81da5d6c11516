//! `im.broadcast`: checks the names and types of its fields, and collects recipients and messages into batches.

use std::cell::RefCell;

use mlua::{AnyUserData, Function, Lua, Table, UserData, Value};
use serde_json::Value as Json;

use crate::core::{BROADCAST_FIELDS, BroadcastSpec, Call, unknown_name};
use crate::input::{AudienceOptions, users_by_another_name};
use crate::protocol::{BroadcastStep, HostRequest};

use super::super::context::ScriptContext;
use super::super::convert::{JsonRole, to_json};
use super::super::fault::NativeError;
use super::arguments::{boolean, utf8, wrong};
use super::options::{broadcast_spec, pairs};
use super::{ModuleKit, edit};

/// The part in Lua, which draws recipients and calls the script's functions.
const LUA_PART: &str = include_str!("broadcast.lua");

/// The most bytes of one field that are sent for exports: more than exports keep.
const LONGEST: usize = 16_384;

/// The size of a batch in bytes at which it is sent, even with few recipients.
const FULL: usize = 1 << 20;

/// Returns a table with the functions `broadcast` and `edit`.
pub(super) fn build(kit: &ModuleKit, app: u32) -> mlua::Result<Table> {
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
        kit.plain(edit::read_broadcast)?,
        ask,
        kit.plain(|_, _, (id_column, kind): (Option<String>, Option<String>)| {
            let kind = kind.as_deref().and_then(Call::from_name);
            Ok(RecipientJsonBatch { id_column, kind, ..RecipientJsonBatch::default() })
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
    let (mut spec, functions) = fields(lua, "broadcast", &spec, &BROADCAST_FIELDS)?;
    spec.run.get_or_insert_with(|| context.run.clone());
    spec.tested = test.is_some();
    spec.test_only = test == Some(true);
    if let Some(excluded) = &mut spec.exclude {
        excluded.run.get_or_insert_with(|| context.run.clone());
    }
    let json = serde_json::to_vec(&spec).map_err(mlua::Error::external)?;
    Ok((lua.create_string(json)?, functions))
}

/// Returns the fields, and whether some of them are functions.
fn fields(lua: &Lua, what: &str, spec: &Value, known: &[&str]) -> Result<(BroadcastSpec, bool), NativeError> {
    let (mut functions, mut allow_empty) = (false, false);
    let (mut path, mut message, mut others) = (None, None, Vec::new());
    let Value::Table(given) = spec else { return Err(wrong(what, "a table of fields", spec)) };
    for (name, value) in pairs(what, spec)? {
        let known = || known.iter().copied();
        match (name.as_str(), &value) {
            (name, _) if known().all(|one| one != name) => {
                let problem = format!("{what}: {}", unknown_name(name, known()));
                return Err(NativeError::invalid(format!("{what}.{name}"), problem));
            }
            ("message" | "on_progress" | "to", Value::Function(_)) => functions = true,
            ("to", Value::String(_)) => path = Some(utf8("to", &value)?),
            ("to", _) => check_list(&value)?,
            ("message", Value::Table(_)) => {
                let json = to_json(lua, &value, JsonRole::Message)?;
                let unreadable =
                    |error: serde_json::Error| NativeError::invalid("message", error.to_string());
                message = Some(serde_json::from_slice::<Json>(&json).map_err(unreadable)?);
            }
            ("message", other) => return Err(wrong("message", "a message (a table) or a function", other)),
            ("on_progress", other) => return Err(wrong("on_progress", "a function", other)),
            // For the messages, not for the host.
            ("allow_empty", _) => allow_empty = boolean("allow_empty", &value)?,
            ("ramp", Value::Table(ramp)) => others.push((name, Value::Table(ramp_fields(lua, ramp)?))),
            ("window", Value::Table(window)) => {
                let (window, function) = window_without_function(lua, window)?;
                functions |= function;
                others.push((name, Value::Table(window)));
            }
            _ => others.push((name, value)),
        }
    }
    for (name, what) in [
        ("name", "a name that identifies the broadcast"),
        ("to", "a list of recipients, an iterator, or a .csv, .xlsx, .json or .jsonl file"),
        (
            "message",
            "a message without `to`, or a function that takes a recipient and returns such a message",
        ),
    ] {
        if given.raw_get::<Value>(name)?.is_nil() {
            return Err(NativeError::invalid(name, format!("`{name}` is missing: {what}")));
        }
    }
    if allow_empty && let Some(Json::Object(message)) = &mut message {
        message.entry("allow_empty").or_insert(Json::Bool(true));
    }
    let spec = BroadcastSpec { path, message, ..broadcast_spec(others)? };
    spec.validate()?;
    AudienceOptions::of(&spec)?;
    Ok((spec, functions))
}

/// Returns the fields of a ramp: its list of stages under a name, beside `pause`.
fn ramp_fields(lua: &Lua, ramp: &Table) -> Result<Table, NativeError> {
    let (fields, stages) = (lua.create_table()?, lua.create_table()?);
    for stage in ramp.sequence_values::<Value>() {
        stages.raw_push(stage?)?;
    }
    for pair in ramp.pairs::<Value, Value>() {
        if let (name @ Value::String(_), value) = pair? {
            fields.raw_set(name, value)?;
        }
    }
    fields.raw_set("stages", stages)?;
    Ok(fields)
}

/// Returns the fields of a window, with a mark in place of a function, and whether there was one.
fn window_without_function(lua: &Lua, window: &Table) -> Result<(Table, bool), NativeError> {
    if !window.raw_get::<Value>("tz")?.is_function() {
        return Ok((window.clone(), false));
    }
    let copy = lua.create_table()?;
    for pair in window.pairs::<Value, Value>() {
        let (name, value) = pair?;
        copy.raw_set(name, value)?;
    }
    let mark = lua.create_table()?;
    mark.raw_set("function", true)?;
    copy.raw_set("tz", mark)?;
    Ok((copy, true))
}

fn check_list(value: &Value) -> Result<(), NativeError> {
    match value {
        Value::Table(list) if list.raw_len() > 0 || list.is_empty() => whole_list("to", list),
        Value::Table(_) => Err(NativeError::invalid(
            "to",
            "`to` is a table without a first item; for one recipient write { recipient }",
        )),
        other => Err(wrong("to", "a list, an iterator or the path of a file", other)),
    }
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

/// Recipients and messages to be sent to the host: the inside of a JSON list.
#[derive(Default)]
struct RecipientJsonBatch {
    bytes: RefCell<Vec<u8>>,
    recipients: std::cell::Cell<u64>,
    /// The field that holds the recipient's id, if the script names one.
    id_column: Option<String>,
    /// What the recipients are; `None` for groups and members of groups.
    kind: Option<Call>,
}

impl UserData for RecipientJsonBatch {}

/// The batch, the recipient, its number, its line of a file, whether a function made its message, that message, and its time
/// zone.
type AddArguments = (AnyUserData, Value, u64, Option<u64>, bool, Value, Value);

/// Adds a recipient. Returns the number of recipients, or more than the maximum of a batch once it is large enough.
fn add(
    lua: &Lua,
    _: &ScriptContext,
    (batch, recipient, number, line, made, message, zone): AddArguments,
) -> Result<u64, NativeError> {
    let batch = batch.borrow::<RecipientJsonBatch>()?;
    let position = line.map_or_else(|| format!("recipient {number}"), |line| format!("line {line}"));
    // The host already has the fields of the lines of its file.
    let recipient = recipient_json(lua, &recipient, line.is_none(), &batch, &position)?;
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
            Value::Table(_) => bytes.extend_from_slice(&to_json(lua, &message, JsonRole::Message)?),
            other => {
                return Err(NativeError::invalid(
                    "message",
                    format!(
                        "{position}: the function gave a {}, not a message (a table) or nil",
                        other.type_name()
                    ),
                ));
            }
        }
    }
    match &zone {
        Value::Nil => {}
        Value::String(zone) => {
            let zone = zone.to_str().map_err(|_| {
                NativeError::invalid("window.tz", format!("{position}: the time zone is not UTF-8"))
            })?;
            bytes.extend_from_slice(b",\"z\":");
            bytes.extend_from_slice(&serde_json::to_vec(&*zone).map_err(mlua::Error::external)?);
        }
        other => {
            let what = format!(
                "{position}: the function of `window.tz` gave a {}, not a time zone",
                other.type_name()
            );
            return Err(NativeError::invalid("window.tz", what));
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
    batch: &RecipientJsonBatch,
    position: &str,
) -> Result<Vec<u8>, NativeError> {
    let Value::Table(fields) = recipient else { return to_json(lua, recipient, JsonRole::Recipient) };
    let needed: Table = lua.create_table()?;
    if plain {
        for pair in fields.pairs::<Value, Value>() {
            let (Value::String(name), value) = pair? else { continue };
            let (Ok(_), Some(value)) = (name.to_str(), exported(lua, value)?) else { continue };
            needed.raw_set(name, value)?;
        }
    }
    let call = batch.kind.unwrap_or(Call::Group);
    let id_column = batch.id_column.as_deref().unwrap_or(call.id_field());
    if call.recipient() == Call::Group.recipient() {
        let users: Value = fields.get("users")?;
        // A row without a group is one of another kind, as in a correction of messages to users.
        let names_a_group = !fields.get::<Value>(id_column)?.is_nil();
        if plain && names_a_group && users.is_nil() && batch.kind != Some(Call::Group) {
            check_user_fields(fields, batch, position)?;
        }
        needed.raw_set("users", users)?;
    } else if plain && batch.id_column.is_none() {
        // The host refuses a recipient that can be read as another one.
        for name in ["group_id", "users", "user_id", "room_id"] {
            needed.raw_set(name, fields.get::<Value>(name)?)?;
        }
    }
    needed.raw_set(call.id_field(), fields.get::<Value>(id_column)?)?;
    to_json(lua, &Value::Table(needed), JsonRole::Recipient)
}

/// Refuses a recipient without `users` whose other fields seem to hold them: the whole group would get the message.
fn check_user_fields(fields: &Table, batch: &RecipientJsonBatch, position: &str) -> Result<(), NativeError> {
    let mut named = Vec::new();
    for pair in fields.pairs::<Value, Value>() {
        // A number is a count, not users.
        if let (Value::String(name), Value::String(_) | Value::Table(_)) = pair?
            && let Ok(name) = name.to_str()
            && batch.id_column.as_deref() != Some(&*name)
        {
            named.push(name.to_owned());
        }
    }
    named.sort_unstable();
    match users_by_another_name(named.iter().map(String::as_str)) {
        Some(what) => Err(NativeError::invalid("users", format!("{position}: {what}"))),
        None => Ok(()),
    }
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
