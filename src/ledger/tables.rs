//! The tables as they are copied from one store to another. Their columns are read from the stores themselves, which
//! have the same ones.
//!
//! Tables with transient state are not copied (`NOT_COPIED`): live instances, drivers, quota shares, and tokens,
//! which a process fetches again when it needs one.

use std::fmt::Write as _;

use super::LedgerError;
use super::sql::{Statement, sql};
use super::store::Transaction;
use super::table_row::{CellValue, ColumnKind, TableRow};

use ColumnKind::{Bytes, Expired, Flag, NoInstance, Number, Text};

/// A table with its columns.
#[derive(Debug)]
pub(super) struct TableSchema {
    pub(super) name: &'static str,
    /// The columns; the key columns come first, then the others by name.
    pub(super) columns: Vec<(String, ColumnKind)>,
    /// How many columns form the key.
    pub(super) key: usize,
    /// How many rows one statement reads or writes. A page is a few megabytes at most.
    page: usize,
}

/// Tables that are not copied.
#[cfg(test)]
pub(super) const NOT_COPIED: &[&str] = &[
    "_sqlx_migrations",
    "app_tokens",
    "driver_status",
    "drivers",
    "registered_jobs",
    "meanings",
    "instances",
    "write_proof",
    "schema_version",
    "quota_shares",
    "ranges",
];

/// Tables whose rows get unique numbers from the store; a number is never used twice.
pub(super) const NUMBERED: &[&str] =
    &["apps", "instances", "broadcasts", "sends", "edits", "job_commands", "alerts", "rehearsals"];

/// Tables that are copied, with the number of rows that one statement reads or writes. Each comes after the tables that
/// it refers to.
pub(super) const TABLES: &[(&str, usize)] = &[
    ("apps", 500),
    ("broadcasts", 100),
    ("messages", 200),
    ("recipients", 500),
    ("recipient_fields", 20),
    ("sends", 500),
    ("edits", 200),
    ("uploads", 500),
    ("files", 500),
    // A value can have 256 KiB.
    ("data", 20),
    ("jobs", 500),
    ("job_runs", 100),
    // A part can have 64 KiB.
    ("run_output", 50),
    ("run_broadcasts", 500),
    ("run_requesters", 500),
    ("job_commands", 100),
    ("versions", 10),
    ("alerts", 100),
    ("scripts", 100),
    // This table comes after the runs: recording the end of a run deletes its request.
    ("hook_requests", 50),
    ("hook_deliveries", 500),
    ("access_tokens", 100),
    ("audit", 200),
    ("audit_head", 10),
    ("activity", 500),
    ("service_records", 500),
    ("callbacks", 500),
    ("senders", 500),
    ("announcements", 500),
    ("history_reads", 500),
    ("read_receipts", 500),
    ("restores", 100),
    ("suppressions", 500),
    // A file can have 16 MiB.
    ("run_files", 1),
    ("rehearsals", 10),
];

/// A column, as a store describes it.
#[derive(sqlx::FromRow)]
struct ColumnRow {
    table_name: String,
    name: String,
    /// The name of its type.
    kind: String,
    /// Its place in the key, from 1; 0 if it is not in the key.
    key_place: i64,
}

impl ColumnRow {
    fn kind(&self) -> ColumnKind {
        match (self.table_name.as_str(), self.name.as_str(), self.kind.as_str()) {
            ("broadcasts", "owner", _) => NoInstance,
            ("broadcasts", "lease_until" | "lease_for", _) => Expired,
            (_, _, "TEXT" | "text") => Text,
            (_, _, "BLOB" | "bytea") => Bytes,
            (_, _, "boolean") => Flag,
            _ => Number,
        }
    }
}

/// Returns a table that has rows, if there is one.
pub(super) async fn used_table(write: &mut Transaction<'_>) -> Result<Option<&'static str>, LedgerError> {
    for (table, _) in TABLES {
        let question = sql(format!("SELECT count(*) FROM (SELECT 1 AS one FROM {table} LIMIT 1) AS first"));
        if write.row::<(i64,)>(question).await? != Some((0,)) {
            return Ok(Some(table));
        }
    }
    Ok(None)
}

impl TableSchema {
    /// Returns the tables of a store that are copied, in the order of [`TABLES`].
    pub(super) async fn all(write: &mut Transaction<'_>) -> Result<Vec<Self>, LedgerError> {
        let mut rows: Vec<ColumnRow> = write.rows(sql(write.store.driver.texts().columns)).await?;
        rows.sort_by_cached_key(|row| (row.key_place == 0, row.key_place, row.name.clone()));
        let schema = |(name, page): &(&'static str, usize)| {
            let of: Vec<&ColumnRow> = rows.iter().filter(|row| row.table_name == *name).collect();
            let columns = of.iter().map(|row| (row.name.clone(), row.kind())).collect();
            let key = of.iter().filter(|row| row.key_place > 0).count();
            Self { name, columns, key, page: *page }
        };
        Ok(TABLES.iter().map(schema).collect())
    }

    /// Returns whether both have the same columns.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let names = self.columns.iter().map(|(name, _)| name);
        names.eq(other.columns.iter().map(|(name, _)| name)) && self.key == other.key
    }

    /// Queries a page of the rows after a key, in the order of the key.
    pub(super) fn page(&self, by_bytes: &str, after: Option<&[CellValue]>) -> Statement {
        let mut text = String::from("SELECT ");
        for (at, (name, kind)) in self.columns.iter().enumerate() {
            text.push_str(if at == 0 { "" } else { ", " });
            text.push_str(match kind {
                NoInstance => "CAST(NULL AS BIGINT)",
                Expired => "CAST(0 AS BIGINT)",
                _ => name,
            });
        }
        let key: Vec<String> = self.columns[..self.key]
            .iter()
            // Both stores compare texts by their bytes.
            .map(|(name, kind)| match kind {
                Text => format!("{name}{by_bytes}"),
                _ => name.clone(),
            })
            .collect();
        let key = key.join(", ");
        // Writing to a string cannot fail.
        let _ = write!(text, " FROM {}", self.name);
        if after.is_some() {
            let _ = write!(text, " WHERE ({key}) > ({})", vec!["?"; self.key].join(", "));
        }
        let _ = write!(text, " ORDER BY {key} LIMIT {}", self.page);
        let after = after.unwrap_or_default();
        after.iter().fold(sql(text), |question, cell| question.bind(cell.value(None)))
    }

    /// Returns whether a page with this many rows is the last one.
    pub(super) const fn is_last(&self, rows: usize) -> bool {
        rows < self.page
    }

    pub(super) fn insert(&self, rows: &[TableRow]) -> Statement {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let row = format!("({})", vec!["?"; names.len()].join(", "));
        let text = format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.name,
            names.join(", "),
            vec![row.as_str(); rows.len()].join(", ")
        );
        let cells = rows.iter().flat_map(|row| row.0.iter().zip(&self.columns));
        cells.fold(sql(text), |statement, (cell, (_, kind))| statement.bind(cell.value(Some(*kind))))
    }
}
