//! `host`: the program that runs the script, and its machine.

use mlua::{Lua, Table};

use crate::protocol::HostRequest;

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::ModuleKit;

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let host = kit.lua().create_table()?;
    host.raw_set("info", kit.waiting(info)?)?;
    Ok(host)
}

fn info(_: &Lua, _: &ScriptContext, (): ()) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::HostInfo)
}
