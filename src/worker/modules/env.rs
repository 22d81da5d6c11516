//! `env`: granted environment variables, and handles to secrets.

use mlua::{Lua, Table, Value};

use crate::protocol::HostRequest;

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::ModuleKit;
use super::arguments::utf8;
use super::secret::SecretText;

/// The part in Lua: it applies the default, and returns a handle once the host has confirmed that the secret exists.
const LUA_PART: &str = r"
local ask, ask_secret, handle = ...
return {
  get = function(name, default)
    local value = ask(name)
    if value == nil then
      return default
    end
    return value
  end,
  secret = function(name)
    ask_secret(name)
    return handle(name)
  end,
}
";

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    kit.lua_part(LUA_PART, (kit.waiting(ask)?, kit.waiting(ask_secret)?, kit.plain(handle)?))
}

fn ask(_: &Lua, _: &ScriptContext, (name,): (Value,)) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::Env(utf8("name", &name)?))
}

fn ask_secret(_: &Lua, _: &ScriptContext, (name,): (Value,)) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::Secret(utf8("name", &name)?))
}

fn handle(_: &Lua, _: &ScriptContext, (name,): (Value,)) -> Result<SecretText, NativeError> {
    Ok(SecretText::named(utf8("name", &name)?))
}
