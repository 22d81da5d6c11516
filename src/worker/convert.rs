//! Converts Lua values to JSON and back.

use mlua::{Lua, LuaString, MultiValue, Table, Value};
use serde_json::Value as Json;

use crate::message::{TableShape, exact_numbers, shape};
use crate::protocol::HostResponse;

use super::fault::{NativeError, receipts};

/// The deepest nesting of tables. A deeper table is assumed to contain itself.
const MAX_DEPTH: usize = 64;

/// The largest number up to which a float represents every integer exactly: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What a value is for. It decides how an empty table without a mark and an integral float are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonRole {
    /// A message. An empty table is a list or an object by the field that it fills. A float in a field of ids stays a
    /// float, which the host refuses as an id: it may have lost digits.
    Message,
    /// A recipient: an id, or a table with one. Otherwise as a message.
    Recipient,
    /// Anything else. An empty table is an object.
    Data,
}

impl JsonRole {
    /// The fields that hold an id or a list of ids.
    const fn id_fields(self) -> &'static [&'static str] {
        match self {
            Self::Message => &["to", "users", "from", "roam_ignore_users"],
            Self::Recipient => &["group_id", "user_id", "room_id", "users"],
            Self::Data => &[],
        }
    }
}

/// The registry keys of the metatables that mark a table as a list or an object.
const LIST_MARK: &str = "mooncast.list";
const OBJECT_MARK: &str = "mooncast.object";

/// The path of a value, for errors and for the shape of an empty table.
#[derive(Clone, Copy)]
struct ValuePath<'a> {
    parent: Option<&'a ValuePath<'a>>,
    step: PathStep<'a>,
    depth: usize,
}

#[derive(Clone, Copy)]
enum PathStep<'a> {
    Root,
    Field(&'a str),
    Item(usize),
}

impl<'a> ValuePath<'a> {
    const ROOT: ValuePath<'static> = ValuePath { parent: None, step: PathStep::Root, depth: 0 };

    fn then(&'a self, step: PathStep<'a>) -> ValuePath<'a> {
        ValuePath { parent: Some(self), step, depth: self.depth + 1 }
    }

    /// Returns the path as text, such as `body.items[2]`.
    fn name(&self) -> String {
        let mut name = self.parent.map(ValuePath::name).unwrap_or_default();
        match self.step {
            PathStep::Root => {}
            PathStep::Field(field) => {
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(field);
            }
            PathStep::Item(index) => name = format!("{name}[{index}]"),
        }
        name
    }

    /// Whether an id is expected here.
    fn is_id(&self, role: JsonRole) -> bool {
        let field = if matches!(self.step, PathStep::Item(_)) { self.parent } else { Some(self) };
        field.is_some_and(|path| match path.step {
            PathStep::Root => role == JsonRole::Recipient,
            PathStep::Field(name) => path.depth == 1 && role.id_fields().contains(&name),
            PathStep::Item(_) => false,
        })
    }

    fn shape(&self) -> Option<TableShape> {
        let mut fields = Vec::with_capacity(self.depth);
        let mut path = Some(self);
        while let Some(here) = path {
            match here.step {
                PathStep::Field(field) => fields.push(field),
                PathStep::Item(_) => return None,
                PathStep::Root => {}
            }
            path = here.parent;
        }
        fields.reverse();
        shape(&fields)
    }
}

pub(super) struct LuaJsonWriter {
    list_mark: Option<Table>,
    object_mark: Option<Table>,
    role: JsonRole,
    out: Vec<u8>,
}

/// Encodes a Lua value as JSON. Integral floats are written as integers, because Lua's `/` returns 5.0 for 10 / 2; as
/// ids they stay floats.
pub(super) fn to_json(lua: &Lua, value: &Value, role: JsonRole) -> Result<Vec<u8>, NativeError> {
    let mut writer = LuaJsonWriter {
        list_mark: lua.named_registry_value(LIST_MARK)?,
        object_mark: lua.named_registry_value(OBJECT_MARK)?,
        role,
        out: Vec::with_capacity(256),
    };
    writer.value(value, &ValuePath::ROOT)?;
    Ok(writer.out)
}

impl LuaJsonWriter {
    fn value(&mut self, value: &Value, path: &ValuePath) -> Result<(), NativeError> {
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Boolean(true) => self.out.extend_from_slice(b"true"),
            Value::Boolean(false) => self.out.extend_from_slice(b"false"),
            Value::Integer(number) => self.json(number, path)?,
            #[expect(clippy::cast_possible_truncation, reason = "within 2^53, which an i64 holds")]
            Value::Number(number)
                if number.fract() == 0.0 && number.abs() <= EXACT && !path.is_id(self.role) =>
            {
                self.json(&(*number as i64), path)?;
            }
            Value::Number(number) if number.is_finite() => self.json(number, path)?,
            Value::Number(number) => return Err(refuse(path, &format!("JSON has no {number}"))),
            Value::String(text) => self.text(text, path)?,
            Value::Table(table) => self.table(table, path)?,
            other => return Err(refuse(path, &format!("JSON has no {}", other.type_name()))),
        }
        Ok(())
    }

    fn json<T: serde::Serialize + ?Sized>(&mut self, value: &T, path: &ValuePath) -> Result<(), NativeError> {
        serde_json::to_writer(&mut self.out, value).map_err(|error| refuse(path, &error.to_string()))
    }

    fn text(&mut self, text: &LuaString, path: &ValuePath) -> Result<(), NativeError> {
        match text.to_str() {
            Ok(text) => self.json(&*text, path),
            Err(_) => Err(refuse(path, "it holds bytes that are not UTF-8")),
        }
    }

    fn table(&mut self, table: &Table, path: &ValuePath) -> Result<(), NativeError> {
        if path.depth >= MAX_DEPTH {
            return Err(refuse(
                path,
                &format!("tables nested over {MAX_DEPTH} deep; does one contain itself?"),
            ));
        }
        let mark = table.metatable();
        let marked = |which: &Option<Table>| which.is_some() && mark == *which;
        let length = table.raw_len();
        if length > 0 || marked(&self.list_mark) {
            return self.list(table, length, path);
        }
        if !marked(&self.object_mark)
            && table.is_empty()
            && self.role != JsonRole::Data
            && matches!(path.shape(), Some(TableShape::List))
        {
            self.out.extend_from_slice(b"[]");
            return Ok(());
        }
        self.object(table, path)
    }

    fn list(&mut self, table: &Table, length: usize, path: &ValuePath) -> Result<(), NativeError> {
        let mut keys = 0;
        table.for_each::<Value, Value>(|_, _| {
            keys += 1;
            Ok(())
        })?;
        if keys != length {
            return Err(refuse(
                path,
                "a table with both list items and named fields (or with a nil between its items) cannot be written as JSON",
            ));
        }
        self.out.push(b'[');
        for index in 1..=length {
            if index > 1 {
                self.out.push(b',');
            }
            let item: Value = table.raw_get(index)?;
            self.value(&item, &path.then(PathStep::Item(index)))?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, table: &Table, path: &ValuePath) -> Result<(), NativeError> {
        let mut fields: Vec<(LuaString, Value)> = Vec::with_capacity(8);
        let mut stranger = None;
        table.for_each::<Value, Value>(|key, value| {
            match key {
                Value::String(key) => fields.push((key, value)),
                other => stranger = Some(other.type_name()),
            }
            Ok(())
        })?;
        if let Some(kind) = stranger {
            return Err(refuse(path, &format!("a field's name must be a string, got a {kind}")));
        }
        // The order of a table's fields differs from run to run, but the same table must give the same bytes.
        fields.sort_by_key(|(left, _)| left.as_bytes());
        self.out.push(b'{');
        for (index, (key, value)) in fields.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.text(key, path)?;
            self.out.push(b':');
            let name = key.to_str()?;
            self.value(value, &path.then(PathStep::Field(&name)))?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

fn refuse(path: &ValuePath, why: &str) -> NativeError {
    let name = path.name();
    let message = if name.is_empty() { why.to_owned() } else { format!("`{name}`: {why}") };
    NativeError::invalid(name, message)
}

/// Creates the marks that `json.array` and `json.object` put on tables.
pub(super) fn make_marks(lua: &Lua) -> mlua::Result<()> {
    for (mark, name) in [(LIST_MARK, "json.array"), (OBJECT_MARK, "json.object")] {
        let metatable = lua.create_table()?;
        metatable.raw_set("__name", name)?;
        lua.set_named_registry_value(mark, metatable)?;
    }
    Ok(())
}

pub(super) fn mark_list(lua: &Lua, table: &Table) -> mlua::Result<()> {
    table.set_metatable(lua.named_registry_value(LIST_MARK)?)
}

pub(super) fn mark_object(lua: &Lua, table: &Table) -> mlua::Result<()> {
    table.set_metatable(lua.named_registry_value(OBJECT_MARK)?)
}

/// Converts JSON to a Lua value. An integer that Lua cannot represent becomes a string. Empty tables are marked, so
/// that encoding them again gives the same JSON.
pub(super) fn to_lua(lua: &Lua, json: &Json) -> mlua::Result<Value> {
    Ok(match json {
        Json::Null => Value::NULL,
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            (None, Some(double)) if number.is_f64() => Value::Number(double),
            // Over 2^63 - 1: no Lua number keeps all its digits.
            _ => Value::String(lua.create_string(number.to_string())?),
        },
        Json::String(text) => Value::String(lua.create_string(text)?),
        Json::Array(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (index, item) in items.iter().enumerate() {
                table.raw_set(index + 1, to_lua(lua, item)?)?;
            }
            if items.is_empty() {
                mark_list(lua, &table)?;
            }
            Value::Table(table)
        }
        Json::Object(fields) => {
            let table = lua.create_table_with_capacity(0, fields.len())?;
            for (name, value) in fields {
                table.raw_set(name.as_str(), to_lua(lua, value)?)?;
            }
            if fields.is_empty() {
                mark_object(lua, &table)?;
            }
            Value::Table(table)
        }
    })
}

/// Returns the arguments of the prelude's `settle`: `true` and the content of the answer, or `false` and the error.
pub(super) fn answer_values(lua: &Lua, answer: HostResponse) -> mlua::Result<MultiValue> {
    let mut values = vec![Value::Boolean(true)];
    match answer {
        HostResponse::Noted(number, answer) => {
            let mut values = answer_values(lua, *answer)?;
            if let (Some(first), Ok(number)) = (values.get_mut(0), i64::try_from(number)) {
                *first = Value::Integer(number);
            }
            return Ok(values);
        }
        HostResponse::Nothing => {}
        HostResponse::Receipts(pairs) => values.push(Value::Table(receipts(lua, &pairs)?)),
        HostResponse::Json(bytes) => {
            let json: Json = serde_json::from_slice(&exact_numbers(&bytes)).map_err(mlua::Error::external)?;
            // Lua represents a null field as an absent one.
            values.push(if json.is_null() { Value::Nil } else { to_lua(lua, &json)? });
        }
        HostResponse::Bytes(bytes) => values.push(Value::String(lua.create_string(&bytes)?)),
        HostResponse::Number(number) => values.push(Value::Number(number)),
        HostResponse::Source(source) => {
            values.push(Value::String(lua.create_string(&source.name)?));
            values.push(Value::String(lua.create_string(&source.text)?));
        }
        HostResponse::Response { status, headers, body } => {
            let response = lua.create_table_with_capacity(0, 3)?;
            let fields = lua.create_table_with_capacity(0, headers.len())?;
            for (name, value) in headers {
                fields.raw_set(name, lua.create_string(&value)?)?;
            }
            response.raw_set("status", status)?;
            response.raw_set("headers", fields)?;
            response.raw_set("body", lua.create_string(&body)?)?;
            values.push(Value::Table(response));
        }
        HostResponse::Failed(failure) => return NativeError::Failure(failure).into_values(lua),
    }
    Ok(MultiValue::from_vec(values))
}
