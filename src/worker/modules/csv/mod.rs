//! `csv`: reads tables in text row by row, and writes them.

mod write;

use std::cell::RefCell;
use std::io::Cursor;

use mlua::{AnyUserData, Lua, LuaString, Table, UserData, Value};

use crate::input::{self, AudienceOptions, TableEvent};

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::ModuleKit;
use super::arguments::{boolean, each, table, text, utf8};
use super::fs;

/// The part in Lua: iterators, and reading a file first.
const LUA_PART: &str = include_str!("csv.lua");

type CsvRows = input::TableReader<Cursor<Vec<u8>>>;

/// The layout of a text. Options that are not set are detected.
#[derive(Debug, Clone)]
struct CsvLayout {
    header: bool,
    options: AudienceOptions,
}

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let csv = kit.lua().create_table()?;
    csv.raw_set("parse", kit.plain(parse)?)?;
    csv.raw_set("encode", kit.plain(encode)?)?;
    kit.lua_part(LUA_PART, (csv, kit.plain(open)?, kit.plain(next_row)?, fs::read_function(kit)?))
}

/// A text that is being read.
struct LuaCsvReader(RefCell<CsvRows>);

impl UserData for LuaCsvReader {}

fn open(_: &Lua, _: &ScriptContext, (content, options): (Value, Value)) -> Result<LuaCsvReader, NativeError> {
    Ok(LuaCsvReader(RefCell::new(table_of(&content, &options)?)))
}

fn next_row(lua: &Lua, _: &ScriptContext, (open,): (AnyUserData,)) -> Result<Option<Table>, NativeError> {
    let open = open.borrow::<LuaCsvReader>()?;
    let mut rows = open.0.borrow_mut();
    advance(&mut rows)?.then(|| row(lua, &rows)).transpose()
}

fn parse(lua: &Lua, _: &ScriptContext, (content, options): (Value, Value)) -> Result<Table, NativeError> {
    let mut rows = table_of(&content, &options)?;
    let list = lua.create_table()?;
    while advance(&mut rows)? {
        list.raw_push(row(lua, &rows)?)?;
    }
    Ok(list)
}

fn table_of(content: &Value, options: &Value) -> Result<CsvRows, NativeError> {
    let CsvLayout { header, options } = layout(options)?;
    let content = Cursor::new(text("text", content)?.as_bytes().to_vec());
    CsvRows::open(content, &options, header, None).map_err(bad)
}

/// Reads the next row. Returns false at the end.
fn advance(rows: &mut CsvRows) -> Result<bool, NativeError> {
    match rows.advance().map_err(bad)? {
        TableEvent::Good(_) => Ok(true),
        TableEvent::Bad(fault) => Err(bad(fault)),
        TableEvent::End => Ok(false),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` takes")]
fn bad(fault: input::InputError) -> NativeError {
    NativeError::invalid("text", fault.to_string())
}

/// Returns the row read last: a table by the names of the header, or a list if there is no header.
fn row(lua: &Lua, rows: &CsvRows) -> Result<Table, NativeError> {
    let Some(header) = rows.header() else {
        return Ok(lua.create_sequence_from(rows.cells())?);
    };
    let row = lua.create_table_with_capacity(0, header.len())?;
    for (name, field) in header.iter().zip(rows.cells()) {
        // Spreadsheets leave columns without a name at the end. Scripts cannot ask for such a column.
        if !name.is_empty() {
            row.raw_set(name.as_str(), field)?;
        }
    }
    Ok(row)
}

fn encode(lua: &Lua, _: &ScriptContext, (rows, options): (Value, Value)) -> Result<LuaString, NativeError> {
    let rows = table("rows", &rows)?;
    let mut layout = CsvLayout { header: true, options: AudienceOptions::default() };
    let mut columns = None;
    each("options", &options, &["columns", "header", "separator"], |name, value| {
        match name {
            "columns" => columns = Some(write::columns(value)?),
            _ => set(&mut layout, name, value)?,
        }
        Ok(())
    })?;
    Ok(lua.create_string(write::write(&rows, columns, &layout)?)?)
}

fn layout(options: &Value) -> Result<CsvLayout, NativeError> {
    let mut layout = CsvLayout { header: true, options: AudienceOptions::default() };
    each("options", options, &["encoding", "header", "separator"], |name, value| {
        if name == "encoding" {
            let encoding = utf8("options.encoding", value)?;
            AudienceOptions::check_encoding(&encoding).map_err(|what| {
                NativeError::invalid("options.encoding", format!("options.encoding: {what}"))
            })?;
            layout.options.encoding = Some(encoding);
            return Ok(());
        }
        set(&mut layout, name, value)
    })?;
    Ok(layout)
}

fn set(layout: &mut CsvLayout, name: &str, value: &Value) -> Result<(), NativeError> {
    if name == "header" {
        layout.header = boolean("options.header", value)?;
        return Ok(());
    }
    let separator = utf8("options.separator", value)?;
    let separator = AudienceOptions::separator(&separator)
        .map_err(|what| NativeError::invalid("options.separator", format!("options.separator: {what}")))?;
    layout.options.separator = Some(separator);
    Ok(())
}
