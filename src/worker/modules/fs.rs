//! `fs`: the project's files, and other granted ones. The host checks and performs each operation.

use mlua::{Lua, Table, Value};

use crate::protocol::HostRequest;

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::ModuleKit;
use super::arguments::{text, utf8};

/// The part in Lua: lines, and whether a path exists.
const LUA_PART: &str = include_str!("fs.lua");

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let fs = kit.lua().create_table()?;
    fs.raw_set("read", read_function(kit)?)?;
    fs.raw_set("write", kit.waiting(|_, _, arguments| write(&arguments, false))?)?;
    fs.raw_set("append", kit.waiting(|_, _, arguments| write(&arguments, true))?)?;
    fs.raw_set("info", kit.waiting(info)?)?;
    fs.raw_set("list", kit.waiting(list)?)?;
    fs.raw_set("mkdir", kit.waiting(mkdir)?)?;
    fs.raw_set("remove", kit.waiting(remove)?)?;
    kit.lua_part(LUA_PART, fs)
}

/// Returns the function that reads a file, which other modules use too.
pub(super) fn read_function(kit: &ModuleKit) -> mlua::Result<mlua::Function> {
    kit.waiting(read)
}

fn read(_: &Lua, _: &ScriptContext, (path,): (Value,)) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::FileRead(utf8("path", &path)?))
}

fn write((path, content): &(Value, Value), append: bool) -> Result<HostRequest, NativeError> {
    let content = text("text", content)?.as_bytes().to_vec().into();
    Ok(HostRequest::FileWrite { path: utf8("path", path)?, content, append })
}

fn info(_: &Lua, _: &ScriptContext, (path,): (Value,)) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::FileInfo(utf8("path", &path)?))
}

fn list(_: &Lua, _: &ScriptContext, (path,): (Value,)) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::FileList(utf8("path", &path)?))
}

fn mkdir(_: &Lua, _: &ScriptContext, (path,): (Value,)) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::MakeFolder(utf8("path", &path)?))
}

fn remove(_: &Lua, _: &ScriptContext, (path,): (Value,)) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::Remove(utf8("path", &path)?))
}
