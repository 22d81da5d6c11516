//! `log`: writes lines to the host's log, with their place in the script.

use mlua::{Function, Lua, Table, Value};

use crate::protocol::{LogLevel, LogLine, ToHost};

use super::super::context::ScriptContext;
use super::super::convert::{JsonRole, to_json};
use super::super::fault::NativeError;
use super::super::report::{clean, whereabouts};
use super::ModuleKit;

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let module = kit.lua().create_table()?;
    for (name, level) in [
        ("debug", LogLevel::Debug),
        ("info", LogLevel::Info),
        ("warn", LogLevel::Warn),
        ("error", LogLevel::Error),
    ] {
        let shown = kit.prelude().get::<Function>("shown")?;
        let write = move |lua: &Lua, context: &ScriptContext, arguments| {
            write(lua, context, &shown, level, arguments)
        };
        module.raw_set(name, kit.plain(write)?)?;
    }
    Ok(module)
}

fn write(
    lua: &Lua,
    context: &ScriptContext,
    shown: &Function,
    level: LogLevel,
    (message, fields): (Value, Option<Table>),
) -> Result<(), NativeError> {
    let fields = match fields {
        Some(fields) => {
            String::from_utf8(to_json(lua, &Value::Table(fields), JsonRole::Data)?).unwrap_or_default()
        }
        None => String::new(),
    };
    let line = LogLine {
        level,
        message: clean(&shown.call::<mlua::LuaString>(message)?.to_string_lossy()),
        fields,
        location: whereabouts(lua).unwrap_or_default(),
    };
    context
        .pipe
        .borrow_mut()
        .try_send(&ToHost::Log(line))
        .map_err(|error| NativeError::invalid("fields", format!("log: {error}")))?;
    context.flush_output();
    Ok(())
}
