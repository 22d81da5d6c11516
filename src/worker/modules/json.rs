//! `json`: encodes and decodes values, and marks empty tables as lists or objects.

use mlua::{Lua, LuaString, Table, Value};
use serde::Deserialize;

use crate::input::decode_json;

use super::super::context::ScriptContext;
use super::super::convert::{JsonRole, mark_list, mark_object, to_json, to_lua};
use super::super::fault::NativeError;
use super::ModuleKit;
use super::options::options;

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let module = kit.lua().create_table()?;
    module.raw_set("encode", kit.plain(encode)?)?;
    module.raw_set("decode", decode_function(kit)?)?;
    module.raw_set("array", kit.plain(array)?)?;
    module.raw_set("object", kit.plain(object)?)?;
    module.raw_set("null", Value::NULL)?;
    Ok(module)
}

/// Returns the function that decodes JSON, which other modules use too.
pub(super) fn decode_function(kit: &ModuleKit) -> mlua::Result<mlua::Function> {
    kit.plain(decode)
}

/// The options of `json.encode`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct JsonOptions {
    pretty: bool,
}

fn encode(lua: &Lua, _: &ScriptContext, (value, given): (Value, Value)) -> Result<LuaString, NativeError> {
    let json = to_json(lua, &value, JsonRole::Data)?;
    let own: JsonOptions = options("json.encode", &given)?;
    if !own.pretty {
        return Ok(lua.create_string(&json)?);
    }
    let value: serde_json::Value = serde_json::from_slice(&json).map_err(mlua::Error::external)?;
    let text = serde_json::to_string_pretty(&value).map_err(mlua::Error::external)?;
    Ok(lua.create_string(text)?)
}

fn decode(lua: &Lua, _: &ScriptContext, text: LuaString) -> Result<Value, NativeError> {
    let value = decode_json(&text.as_bytes())
        .map_err(|fault| NativeError::invalid("text", format!("json.decode: {fault}")))?;
    Ok(to_lua(lua, &value)?)
}

fn array(lua: &Lua, _: &ScriptContext, table: Option<Table>) -> Result<Table, NativeError> {
    let table = table.map_or_else(|| lua.create_table(), Ok)?;
    mark_list(lua, &table)?;
    Ok(table)
}

fn object(lua: &Lua, _: &ScriptContext, table: Option<Table>) -> Result<Table, NativeError> {
    let table = table.map_or_else(|| lua.create_table(), Ok)?;
    mark_object(lua, &table)?;
    Ok(table)
}
