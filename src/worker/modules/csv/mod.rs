//! `csv`: reads tables in text row by row, and writes them.

mod write;

use std::cell::RefCell;
use std::io::Cursor;

use mlua::{AnyUserData, Lua, LuaString, Table, UserData, Value};
use serde::Deserialize;

use crate::input::{self, AudienceOptions, TableEvent};

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::ModuleKit;
use super::arguments::{table, text};
use super::fs;
use super::options::{Given, fields, raw};

/// The part in Lua: iterators, and reading a file first.
const LUA_PART: &str = include_str!("csv.lua");

type CsvRows = input::TableReader<Cursor<Vec<u8>>>;

/// The layout of a text. Options that are not set are detected.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CsvParseOptions {
    header: Option<bool>,
    separator: Option<Separator>,
    encoding: Option<Encoding>,
}

/// The layout of a text to write.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CsvEncodeOptions {
    header: Option<bool>,
    separator: Option<Separator>,
    columns: Option<Given>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Separator(u8);

impl TryFrom<String> for Separator {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        AudienceOptions::separator(&text).map(Self)
    }
}

/// The label of an encoding.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Encoding(String);

impl TryFrom<String> for Encoding {
    type Error = String;

    fn try_from(label: String) -> Result<Self, String> {
        AudienceOptions::check_encoding(&label).map(|()| Self(label))
    }
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

fn open(_: &Lua, _: &ScriptContext, (content, given): (Value, Value)) -> Result<LuaCsvReader, NativeError> {
    Ok(LuaCsvReader(RefCell::new(table_of("csv.rows", &content, &given)?)))
}

fn next_row(lua: &Lua, _: &ScriptContext, (open,): (AnyUserData,)) -> Result<Option<Table>, NativeError> {
    let open = open.borrow::<LuaCsvReader>()?;
    let mut rows = open.0.borrow_mut();
    advance(&mut rows)?.then(|| row(lua, &rows)).transpose()
}

fn parse(lua: &Lua, _: &ScriptContext, (content, given): (Value, Value)) -> Result<Table, NativeError> {
    let mut rows = table_of("csv.parse", &content, &given)?;
    let list = lua.create_table()?;
    while advance(&mut rows)? {
        list.raw_push(row(lua, &rows)?)?;
    }
    Ok(list)
}

fn table_of(function: &str, content: &Value, given: &Value) -> Result<CsvRows, NativeError> {
    let own: CsvParseOptions = fields(function, "options", given)?;
    let layout = AudienceOptions {
        encoding: own.encoding.map(|encoding| encoding.0),
        separator: own.separator.map(|separator| separator.0),
        ..AudienceOptions::default()
    };
    let content = Cursor::new(text("text", content)?.as_bytes().to_vec());
    CsvRows::open(content, &layout, own.header.unwrap_or(true), None).map_err(bad)
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

fn encode(lua: &Lua, _: &ScriptContext, (rows, given): (Value, Value)) -> Result<LuaString, NativeError> {
    let rows = table("rows", &rows)?;
    let own: CsvEncodeOptions = fields("csv.encode", "options", &given)?;
    let columns = own.columns.map(|_| write::columns(&raw(&given, "columns")?)).transpose()?;
    Ok(lua.create_string(write::write(&rows, columns, &own)?)?)
}
