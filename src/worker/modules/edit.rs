//! `im.edit`: edits sent messages, by their receipts or of a whole broadcast.

use mlua::{Lua, Table, Value};
use serde::Deserialize;

use crate::core::{BroadcastSpec, CorrectedBroadcast, Priority, unknown_name};
use crate::protocol::HostRequest;

use super::super::context::ScriptContext;
use super::super::convert::{JsonRole, to_json};
use super::super::fault::NativeError;
use super::arguments::{utf8, wrong};
use super::im::{RunName, receipt_pairs};
use super::options::{broadcast_spec, fields, pairs};

/// The options of the edit of a broadcast: some fields of a broadcast, and `from`.
const OPTIONS: [&str; 8] = [
    "from",
    "rate",
    "window",
    "priority",
    "stop_after_failures",
    "max_recipients",
    "on_progress",
    "on_change",
];

/// The options of the edit of receipts.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EditFields {
    from: Option<String>,
    priority: Priority,
}

/// The broadcast whose messages are edited.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditedBroadcast {
    broadcast: String,
    run: Option<RunName>,
}

/// Edits messages by their receipts.
pub(super) fn of_receipts(
    lua: &Lua,
    app: u32,
    (receipts, change, given): (Value, Value, Value),
) -> Result<HostRequest, NativeError> {
    let EditFields { from, priority } = fields("im.edit", "options", &given)?;
    if let Value::String(_) = &receipts {
        let why = "receipts: an announcement cannot be edited: the service gives it an id of its own, and none to the message that each user gets";
        return Err(NativeError::invalid("receipts", why));
    }
    let Value::Table(_) = &receipts else {
        return Err(wrong(
            "receipts",
            "{ [group_id] = message_id } or { broadcast = NAME, run = RUN }",
            &receipts,
        ));
    };
    let mut change = match &change {
        Value::Table(change) => change_json(lua, change)?,
        Value::Function(_) => {
            let why = "change: a function edits the messages of a broadcast; for receipts give a table with `body`, `ext` or both";
            return Err(NativeError::invalid("change", why));
        }
        other => return Err(wrong("change", "a table with `body`, `ext` or both", other)),
    };
    if let (Some(from), Some(change)) = (from, change.as_object_mut()) {
        change.insert("from".to_owned(), from.into());
    }
    let change = change.to_string().into_bytes().into();
    Ok(HostRequest::Edit { app, receipts: receipt_pairs(lua, receipts)?, change, priority })
}

/// Reads the edit of a broadcast for the host. Returns its fields as JSON, and whether some of them are functions.
pub(super) fn read_broadcast(
    lua: &Lua,
    context: &ScriptContext,
    (sent, change, options): (Value, Value, Value),
) -> Result<(mlua::LuaString, bool), NativeError> {
    let own: EditedBroadcast = fields("im.edit", "", &sent)?;
    let run = own.run.map_or_else(|| context.run.clone(), RunName::text);
    let (mut from, mut functions, mut others) = (None, false, Vec::new());
    for (name, value) in pairs("options", &options)? {
        match (name.as_str(), &value) {
            (name, _) if !OPTIONS.contains(&name) => {
                let problem = format!("im.edit: options: {}", unknown_name(name, OPTIONS.into_iter()));
                return Err(NativeError::invalid(format!("options.{name}"), problem));
            }
            ("from", _) => from = Some(utf8("from", &value)?),
            ("on_progress", Value::Function(_)) => functions = true,
            ("on_progress", other) => return Err(wrong("on_progress", "a function", other)),
            _ => others.push((name, value)),
        }
    }
    let message = match &change {
        Value::Table(change) => Some(change_json(lua, change)?),
        Value::Function(_) => {
            functions = true;
            None
        }
        other => return Err(wrong("change", "a table with `body`, `ext` or both, or a function", other)),
    };
    let corrects = Some(CorrectedBroadcast { broadcast: own.broadcast, run: Some(run), from });
    let spec = BroadcastSpec { message, corrects, ..broadcast_spec(others)? };
    spec.validate()?;
    let json = serde_json::to_vec(&spec).map_err(mlua::Error::external)?;
    Ok((lua.create_string(json)?, functions))
}

fn change_json(lua: &Lua, change: &Table) -> Result<serde_json::Value, NativeError> {
    let json = to_json(lua, &Value::Table(change.clone()), JsonRole::Message)?;
    serde_json::from_slice(&json).map_err(|error| NativeError::invalid("change", error.to_string()))
}
