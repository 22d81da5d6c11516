//! `store`: data that outlives a run. The host stores it in the ledger.

use mlua::{Lua, Table, Value};
use serde::Deserialize;

use crate::protocol::{HostRequest, STORE_KEY_BYTES, StoreRequest, StoreStep};

use super::super::context::ScriptContext;
use super::super::convert::{JsonRole, to_json};
use super::super::fault::NativeError;
use super::ModuleKit;
use super::arguments::{integer, utf8};
use super::options::options;
use super::task::Milliseconds;

const LUA_PART: &str = include_str!("store.lua");

/// The name passed to `store.open`; `None` for the script's own data.
type StoreName = Option<String>;

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    kit.lua_part(
        LUA_PART,
        (
            kit.waiting(get)?,
            kit.waiting(set)?,
            kit.waiting(delete)?,
            kit.waiting(swap)?,
            kit.waiting(increment)?,
            kit.waiting(page)?,
            kit.plain(name)?,
        ),
    )
}

/// Reads a name of shared data.
fn name(_: &Lua, _: &ScriptContext, name: Value) -> Result<String, NativeError> {
    let name = utf8("name", &name)?;
    if (1..=STORE_KEY_BYTES).contains(&name.len()) {
        return Ok(name);
    }
    let message = format!("name: expected a name of 1 to {STORE_KEY_BYTES} bytes, got {}", name.len());
    Err(NativeError::invalid("name", message))
}

const fn store_request(space: StoreName, step: StoreStep) -> HostRequest {
    HostRequest::Store(StoreRequest { space, step })
}

fn get(_: &Lua, _: &ScriptContext, (space, key): (StoreName, Value)) -> Result<HostRequest, NativeError> {
    Ok(store_request(space, StoreStep::Get(utf8("key", &key)?)))
}

fn set(
    lua: &Lua,
    _: &ScriptContext,
    (space, key, value, options): (StoreName, Value, Value, Value),
) -> Result<HostRequest, NativeError> {
    let key = utf8("key", &key)?;
    let Some(value) = json(lua, "value", &value)? else {
        return Err(NativeError::invalid(
            "value",
            "value: nil cannot be stored; to delete a key, call store.delete(key); to store an empty value, \
             use json.null",
        ));
    };
    Ok(store_request(space, StoreStep::Set { key, value, ttl_ms: ttl("store.set", &options)? }))
}

fn delete(_: &Lua, _: &ScriptContext, (space, key): (StoreName, Value)) -> Result<HostRequest, NativeError> {
    Ok(store_request(space, StoreStep::Delete(utf8("key", &key)?)))
}

fn swap(
    lua: &Lua,
    _: &ScriptContext,
    (space, key, expected, new, options): (StoreName, Value, Value, Value, Value),
) -> Result<HostRequest, NativeError> {
    let step = StoreStep::Swap {
        key: utf8("key", &key)?,
        expected: json(lua, "expected", &expected)?,
        new: json(lua, "new", &new)?,
        ttl_ms: ttl("store.swap", &options)?,
    };
    Ok(store_request(space, step))
}

fn increment(
    _: &Lua,
    _: &ScriptContext,
    (space, key, by, options): (StoreName, Value, Value, Value),
) -> Result<HostRequest, NativeError> {
    let by = if by.is_nil() { 1 } else { integer("by", &by)? };
    Ok(store_request(
        space,
        StoreStep::Increment { key: utf8("key", &key)?, by, ttl_ms: ttl("store.increment", &options)? },
    ))
}

fn page(
    _: &Lua,
    _: &ScriptContext,
    (space, prefix, after): (StoreName, Value, Option<String>),
) -> Result<HostRequest, NativeError> {
    let prefix = if prefix.is_nil() { String::new() } else { utf8("prefix", &prefix)? };
    Ok(store_request(space, StoreStep::List { prefix, after }))
}

/// Encodes a value as JSON with sorted fields, so that equal values have equal texts. Returns `None` for nil.
fn json(lua: &Lua, field: &str, value: &Value) -> Result<Option<String>, NativeError> {
    if value.is_nil() {
        return Ok(None);
    }
    let json = to_json(lua, value, JsonRole::Data).map_err(|fault| match fault {
        NativeError::Failure(mut failure) => {
            failure.message = format!("{field}: {}", failure.message);
            NativeError::Failure(failure)
        }
        NativeError::Lua(error) => NativeError::Lua(error),
    })?;
    // `to_json` always writes UTF-8.
    Ok(Some(String::from_utf8_lossy(&json).into_owned()))
}

/// The options of the functions that write.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StoreOptions {
    ttl: Option<Milliseconds>,
}

fn ttl(function: &str, given: &Value) -> Result<Option<u64>, NativeError> {
    let own: StoreOptions = options(function, given)?;
    if own.ttl.is_some_and(|time| time.0 == 0) {
        let problem = "ttl: 0 would expire at once; to delete a key, call store.delete(key)";
        return Err(NativeError::invalid("options.ttl", problem));
    }
    Ok(own.ttl.map(|time| time.0))
}
