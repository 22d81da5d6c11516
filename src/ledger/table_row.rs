//! A row as it is copied from one store to another.

use sqlx::{Column as _, FromRow, Row as _, TypeInfo as _, ValueRef as _};
use sqlx_postgres::PgRow;
use sqlx_sqlite::SqliteRow;

use super::sql::SqlValue;

/// The kind of value in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnKind {
    Number,
    Text,
    Flag,
    Bytes,
    /// The holder of a lease; a copy stores that there is none.
    NoInstance,
    /// The end of a lease; a copy stores an expired one.
    Expired,
}

/// The value of one column of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CellValue {
    Nothing,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// One row: its values, column by column.
#[derive(Debug)]
pub(super) struct TableRow(pub(super) Vec<CellValue>);

impl CellValue {
    /// The value as a bound argument. NULL gets the type of its column.
    pub(super) fn value(&self, kind: Option<ColumnKind>) -> SqlValue {
        match (self, kind) {
            (Self::Number(number), Some(ColumnKind::Flag)) => SqlValue::Flag(*number != 0),
            (Self::Number(number), _) => SqlValue::Number(Some(*number)),
            (Self::Text(text), _) => SqlValue::Text(Some(text.clone())),
            (Self::Bytes(bytes), _) => SqlValue::Bytes(bytes.clone()),
            (Self::Nothing, Some(ColumnKind::Text)) => SqlValue::Text(None),
            (Self::Nothing, _) => SqlValue::Number(None),
        }
    }
}

impl FromRow<'_, SqliteRow> for TableRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let cell = |at| {
            let raw = row.try_get_raw(at)?;
            if raw.is_null() {
                return Ok(CellValue::Nothing);
            }
            match raw.type_info().name() {
                "TEXT" => row.try_get(at).map(CellValue::Text),
                "BLOB" => row.try_get(at).map(CellValue::Bytes),
                _ => row.try_get(at).map(CellValue::Number),
            }
        };
        (0..row.len()).map(cell).collect::<Result<_, _>>().map(Self)
    }
}

impl FromRow<'_, PgRow> for TableRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let cell = |at: usize| {
            let cell = match row.column(at).type_info().name() {
                "TEXT" => row.try_get::<Option<String>, _>(at)?.map(CellValue::Text),
                "BYTEA" => row.try_get::<Option<Vec<u8>>, _>(at)?.map(CellValue::Bytes),
                "BOOL" => row.try_get::<Option<bool>, _>(at)?.map(|flag| CellValue::Number(flag.into())),
                _ => row.try_get::<Option<i64>, _>(at)?.map(CellValue::Number),
            };
            Ok(cell.unwrap_or(CellValue::Nothing))
        };
        (0..row.len()).map(cell).collect::<Result<_, _>>().map(Self)
    }
}
