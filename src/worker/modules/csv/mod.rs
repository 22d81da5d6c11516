//! `csv`: tables in text, read row by row and written.

mod rows;
mod write;

use std::cell::RefCell;

use mlua::{AnyUserData, Lua, LuaString, Table, UserData, Value};

use super::super::context::Context;
use super::super::fault::Fault;
use super::Kit;
use super::arguments::{boolean, each, table, text};
use super::fs;
use rows::Rows;

/// What is easier said in Lua: iterators, and reading the file first.
const LUA_PART: &str = include_str!("csv.lua");

/// How a text is laid out.
#[derive(Debug, Clone, Copy)]
struct Layout {
    header: bool,
    separator: u8,
}

pub(super) fn build(kit: &Kit) -> mlua::Result<Table> {
    let csv = kit.lua().create_table()?;
    csv.raw_set("parse", kit.plain(parse)?)?;
    csv.raw_set("encode", kit.plain(encode)?)?;
    kit.lua_part(LUA_PART, (csv, kit.plain(open)?, kit.plain(next_row)?, fs::read_function(kit)?))
}

/// A text that is being read.
struct Open(RefCell<Rows>);

impl UserData for Open {}

fn open(_: &Lua, _: &Context, (content, options): (Value, Value)) -> Result<Open, Fault> {
    let layout = layout(&options)?;
    let content = text("text", &content)?;
    Ok(Open(RefCell::new(Rows::new(content.as_bytes().to_vec(), layout))))
}

fn next_row(lua: &Lua, _: &Context, (open,): (AnyUserData,)) -> Result<Option<Table>, Fault> {
    let open = open.borrow::<Open>()?;
    let mut rows = open.0.borrow_mut();
    rows.advance()?.then(|| row(lua, &rows)).transpose()
}

fn parse(lua: &Lua, _: &Context, (content, options): (Value, Value)) -> Result<Table, Fault> {
    let layout = layout(&options)?;
    let mut rows = Rows::new(text("text", &content)?.as_bytes().to_vec(), layout);
    let list = lua.create_table()?;
    while rows.advance()? {
        list.raw_push(row(lua, &rows)?)?;
    }
    Ok(list)
}

/// The row that was read last: by the names of the header, or a list where there is none.
fn row(lua: &Lua, rows: &Rows) -> Result<Table, Fault> {
    let Some(header) = rows.header() else {
        return Ok(lua.create_sequence_from(rows.fields())?);
    };
    let row = lua.create_table_with_capacity(0, header.len())?;
    for (name, field) in header.iter().zip(rows.fields()) {
        // A column without a name, as spreadsheets leave them at the end, cannot be asked for.
        if !name.is_empty() {
            row.raw_set(name.as_str(), field)?;
        }
    }
    Ok(row)
}

fn encode(lua: &Lua, _: &Context, (rows, options): (Value, Value)) -> Result<LuaString, Fault> {
    let rows = table("rows", &rows)?;
    let mut layout = Layout { header: true, separator: b',' };
    let mut columns = None;
    each("options", &options, &["columns", "header", "separator"], |name, value| {
        match name {
            "columns" => columns = Some(write::columns(value)?),
            _ => set(&mut layout, name, value)?,
        }
        Ok(())
    })?;
    Ok(lua.create_string(write::write(&rows, columns, layout)?)?)
}

fn layout(options: &Value) -> Result<Layout, Fault> {
    let mut layout = Layout { header: true, separator: b',' };
    each("options", options, &["header", "separator"], |name, value| set(&mut layout, name, value))?;
    Ok(layout)
}

fn set(layout: &mut Layout, name: &str, value: &Value) -> Result<(), Fault> {
    if name == "header" {
        layout.header = boolean("options.header", value)?;
        return Ok(());
    }
    match *text("options.separator", value)?.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => layout.separator = byte,
        _ => {
            let message = "options.separator: expected one letter, such as \",\", \";\" or \"\\t\"";
            return Err(Fault::invalid("options.separator", message));
        }
    }
    Ok(())
}
