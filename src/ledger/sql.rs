//! A statement with its arguments: one text for both stores.
//!
//! Statements use the SQL that SQLite and Postgres have in common, with SQLite's placeholders `?` and `?1`. A list is
//! passed as one JSON text that `json_each` splits: SQLite has this function built in, and the schema defines it in
//! Postgres (`postgres/schema`). The statement must cast each value to its type: `CAST(value ->> 0 AS BIGINT)`.

use std::borrow::Cow;
use std::fmt::Write;

use sqlx::{Arguments, AssertSqlSafe, SqlStr};
use sqlx_postgres::PgArguments;
use sqlx_sqlite::SqliteArguments;

/// A statement with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    text: Cow<'static, str>,
    values: Vec<SqlValue>,
}

/// An argument of a statement. NULL has a type too, because Postgres requires one.
#[derive(Debug, Clone)]
pub(super) enum SqlValue {
    Flag(bool),
    Number(Option<i64>),
    Text(Option<String>),
    Bytes(Vec<u8>),
    /// Only for Postgres, as is [`SqlValue::Texts`].
    Numbers(Vec<i64>),
    Texts(Vec<Option<String>>),
}

/// Creates a statement with this text and no arguments.
pub(super) fn sql(text: impl Into<Cow<'static, str>>) -> Statement {
    Statement { text: text.into(), values: Vec::new() }
}

impl Statement {
    /// Adds one argument.
    pub(super) fn bind(mut self, value: impl Into<SqlValue>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The statement in the form that SQLite takes.
    pub(super) fn for_sqlite(self) -> Result<(SqlStr, SqliteArguments), sqlx::Error> {
        let mut arguments = SqliteArguments::default();
        for value in self.values {
            let added = match value {
                SqlValue::Flag(flag) => arguments.add(flag),
                SqlValue::Number(number) => Arguments::add(&mut arguments, number),
                SqlValue::Text(text) => Arguments::add(&mut arguments, text),
                SqlValue::Bytes(bytes) => Arguments::add(&mut arguments, bytes),
                SqlValue::Numbers(_) | SqlValue::Texts(_) => Err("SQLite has no lists".into()),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        Ok((safe(self.text), arguments))
    }

    /// The statement in the form that Postgres takes.
    pub(super) fn for_postgres(self) -> Result<(SqlStr, PgArguments), sqlx::Error> {
        let mut arguments = PgArguments::default();
        for value in self.values {
            let added = match value {
                SqlValue::Flag(flag) => arguments.add(flag),
                SqlValue::Number(number) => arguments.add(number),
                SqlValue::Text(text) => arguments.add(text),
                SqlValue::Bytes(bytes) => arguments.add(bytes),
                SqlValue::Numbers(numbers) => arguments.add(numbers),
                SqlValue::Texts(texts) => arguments.add(texts),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        Ok((safe(Cow::Owned(in_postgres(&self.text))), arguments))
    }
}

/// All texts come from this module; user input is always bound as an argument.
fn safe(text: Cow<'static, str>) -> SqlStr {
    use sqlx::SqlSafeStr as _;
    match text {
        Cow::Borrowed(text) => text.into_sql_str(),
        Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
    }
}

/// Returns the text with Postgres's placeholders. `CROSS JOIN`, which fixes SQLite's join order, becomes a plain join,
/// so that Postgres's planner chooses the order.
fn in_postgres(text: &str) -> String {
    let mut changed = String::with_capacity(text.len() + 16);
    let mut next = 0;
    let mut parts = text.split('?');
    changed.push_str(parts.next().unwrap_or_default());
    for part in parts {
        if part.starts_with(|first: char| first.is_ascii_digit()) {
            changed.push('$');
        } else {
            next += 1;
            // Writing to a string cannot fail.
            let _ = write!(changed, "${next}");
        }
        changed.push_str(part);
    }
    changed.replace("CROSS JOIN", "JOIN")
}

macro_rules! from {
    ($($of:ty => $value:ident => $to:expr;)+) => {
        $(impl From<$of> for SqlValue {
            fn from($value: $of) -> Self {
                $to
            }
        })+
    };
}

from! {
    bool => flag => Self::Flag(flag);
    i64 => number => Self::Number(Some(number));
    &i64 => number => Self::Number(Some(*number));
    i32 => number => Self::Number(Some(number.into()));
    u32 => number => Self::Number(Some(number.into()));
    Option<i64> => number => Self::Number(number);
    &str => text => Self::Text(Some(text.to_owned()));
    String => text => Self::Text(Some(text));
    &String => text => Self::Text(Some(text.clone()));
    Option<&str> => text => Self::Text(text.map(str::to_owned));
    Option<String> => text => Self::Text(text);
    &Option<String> => text => Self::Text(text.clone());
    &[u8] => bytes => Self::Bytes(bytes.to_vec());
    Vec<i64> => numbers => Self::Numbers(numbers);
    Vec<Option<String>> => texts => Self::Texts(texts);
}

#[cfg(test)]
mod tests {
    use super::in_postgres;

    #[test]
    fn placeholders_are_those_of_postgres() {
        assert_eq!(in_postgres("SELECT ? WHERE a = ? AND b IN (?)"), "SELECT $1 WHERE a = $2 AND b IN ($3)");
        assert_eq!(in_postgres("?1 ?2 ?12 ?1"), "$1 $2 $12 $1");
        assert_eq!(in_postgres("a CROSS JOIN b"), "a JOIN b");
    }
}
