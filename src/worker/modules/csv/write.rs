//! Writes rows as text.

use std::collections::BTreeSet;

use csv::{Writer, WriterBuilder};
use mlua::{Table, Value};

use super::super::super::fault::NativeError;
use super::super::arguments::{table, utf8, wrong};
use super::CsvEncodeOptions;

/// Reads the names of the columns, in order.
pub(super) fn columns(value: &Value) -> Result<Vec<String>, NativeError> {
    let list = table("options.columns", value)?;
    list.sequence_values::<Value>().map(|name| utf8("options.columns", &name?)).collect()
}

/// Writes rows, which are lists, or tables by the names of the columns. Without `columns`, all names that occur are
/// used, sorted.
pub(super) fn write(
    rows: &Table,
    columns: Option<Vec<String>>,
    layout: &CsvEncodeOptions,
) -> Result<Vec<u8>, NativeError> {
    let rows: Vec<Table> = (1..)
        .zip(rows.sequence_values::<Value>())
        .map(|(number, row)| table(&format!("rows[{number}]"), &row?))
        .collect::<Result<_, _>>()?;
    let columns = match columns {
        Some(columns) => columns,
        None => names(&rows)?,
    };
    let mut writer = WriterBuilder::new()
        .delimiter(layout.separator.as_ref().map_or(b',', |separator| separator.0))
        .flexible(true)
        .from_writer(Vec::new());
    if layout.header.unwrap_or(true) && !columns.is_empty() {
        record(&mut writer, columns.iter().map(|name| Ok(name.clone())))?;
    }
    for (number, row) in (1..).zip(&rows) {
        let length = row.raw_len();
        if length > 0 {
            let fields = (1..=length).map(|at| field(&format!("rows[{number}][{at}]"), &row.raw_get(at)?));
            record(&mut writer, fields)?;
        } else {
            let fields = columns
                .iter()
                .map(|name| field(&format!("rows[{number}].{name}"), &row.raw_get(name.as_str())?));
            record(&mut writer, fields)?;
        }
    }
    writer.into_inner().map_err(|error| NativeError::invalid("rows", error.to_string()))
}

fn record(
    writer: &mut Writer<Vec<u8>>,
    fields: impl Iterator<Item = Result<String, NativeError>>,
) -> Result<(), NativeError> {
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    writer.write_record(fields).map_err(|error| NativeError::invalid("rows", error.to_string()))
}

/// Returns all names that occur in some row.
fn names(rows: &[Table]) -> Result<Vec<String>, NativeError> {
    let mut names = BTreeSet::new();
    for (number, row) in (1..).zip(rows).filter(|(_, row)| row.raw_len() == 0) {
        for pair in row.pairs::<Value, Value>() {
            names.insert(utf8(&format!("rows[{number}]"), &pair?.0)?);
        }
    }
    Ok(names.into_iter().collect())
}

fn field(path: &str, value: &Value) -> Result<String, NativeError> {
    match value {
        Value::Nil => Ok(String::new()),
        Value::LightUserData(pointer) if pointer.0.is_null() => Ok(String::new()),
        Value::String(_) => utf8(path, value),
        Value::Integer(_) | Value::Number(_) | Value::Boolean(_) => Ok(value.to_string()?),
        other => Err(wrong(path, "a string, a number or true or false", other)),
    }
}
