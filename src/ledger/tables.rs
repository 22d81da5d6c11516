//! The schema of the tables as they are copied from one store to another: their columns, the kind of each column, and
//! the order of the tables.
//!
//! Tables with transient state are not copied (`OF_THE_MOMENT`): live instances, drivers, quota shares, and tokens,
//! which a process fetches again when it needs one.

use std::fmt::Write as _;

use super::sql::{Statement, sql};
use super::table_row::{CellValue, ColumnKind, TableRow};

#[derive(Debug)]
pub(super) struct TableSchema {
    pub(super) name: &'static str,
    /// The columns; the key columns come first.
    pub(super) columns: &'static [(&'static str, ColumnKind)],
    /// How many columns form the key.
    pub(super) key: usize,
    /// How many rows one statement reads or writes. A page is a few megabytes at most.
    page: usize,
}

use ColumnKind::{Bytes, Flag, Nobody, Number, Over, Text};

/// Tables that are not copied.
#[cfg(test)]
pub(super) const OF_THE_MOMENT: &[&str] = &[
    "_sqlx_migrations",
    "app_tokens",
    "driver_status",
    "drivers",
    "enlisted",
    "meanings",
    "owners",
    "pulse",
    "schema_version",
    "shares",
    "stretches",
];

/// Tables whose rows get unique numbers from the store; a number is never used twice.
pub(super) const NUMBERED: &[&str] = &["apps", "owners", "broadcasts", "sends", "job_wishes", "alerts"];

/// Tables that are copied. Each comes after the tables that it refers to.
pub(super) const TABLES: &[TableSchema] = &[
    TableSchema { name: "apps", columns: &[("id", Number), ("key", Text)], key: 1, page: 500 },
    TableSchema {
        name: "broadcasts",
        columns: &[
            ("id", Number),
            ("app", Number),
            ("name", Text),
            ("run", Text),
            ("spec", Text),
            ("state", Number),
            ("wish", Number),
            ("wish_note", Text),
            ("owner", Nobody),
            ("lease_number", Number),
            ("lease_until", Over),
            ("lease_for", Over),
            ("next_seq", Number),
            ("next_message", Number),
            ("n_pending", Number),
            ("n_sending", Number),
            ("n_sent", Number),
            ("n_rejected", Number),
            ("n_in_doubt", Number),
            ("n_skipped", Number),
            ("n_cancelled", Number),
            ("duplicates", Number),
            ("excluded", Number),
            ("largest", Number),
            ("plan", Text),
            ("report", Text),
            ("created_at", Number),
            ("planned_at", Number),
            ("finished_at", Number),
            ("entrusted", Flag),
            ("draft", Flag),
        ],
        key: 1,
        page: 100,
    },
    TableSchema {
        name: "messages",
        columns: &[
            ("broadcast", Number),
            ("id", Number),
            ("hash", Text),
            ("size", Number),
            ("content", Text),
        ],
        key: 2,
        page: 200,
    },
    TableSchema {
        name: "recipients",
        columns: &[
            ("broadcast", Number),
            ("seq", Number),
            ("state", Number),
            ("attempts", Number),
            ("recalled", Number),
            ("updated_at", Number),
            ("message", Number),
            ("group_id", Text),
            ("users", Text),
            ("message_id", Text),
            ("error", Text),
        ],
        key: 2,
        page: 500,
    },
    TableSchema {
        name: "recipient_fields",
        columns: &[
            ("broadcast", Number),
            ("first", Number),
            ("last", Number),
            ("names", Text),
            ("content", Bytes),
        ],
        key: 2,
        page: 20,
    },
    TableSchema {
        name: "sends",
        columns: &[
            ("id", Number),
            ("app", Number),
            ("once", Text),
            ("hash", Text),
            ("recipients", Text),
            ("origin", Text),
            ("owner", Number),
            ("state", Number),
            ("attempts", Number),
            ("receipts", Text),
            ("error", Text),
            ("created_at", Number),
            ("updated_at", Number),
        ],
        key: 1,
        page: 500,
    },
    TableSchema {
        name: "uploads",
        columns: &[
            ("app", Number),
            ("content", Text),
            ("options", Text),
            ("file", Text),
            ("uploaded_at", Number),
            ("expires_at", Number),
        ],
        key: 3,
        page: 500,
    },
    TableSchema {
        name: "files",
        columns: &[
            ("app", Number),
            ("url", Text),
            ("path", Text),
            ("content", Text),
            ("options", Text),
            ("expires_at", Number),
        ],
        key: 2,
        page: 500,
    },
    TableSchema {
        name: "data",
        columns: &[("namespace", Text), ("key", Text), ("value", Text), ("expires_at", Number)],
        key: 2,
        // A value can have 256 KiB.
        page: 20,
    },
    TableSchema {
        name: "jobs",
        columns: &[
            ("name", Text),
            ("script", Text),
            ("times", Text),
            ("decided_until", Number),
            ("next_at", Number),
            ("paused_at", Number),
            ("gone_at", Number),
            ("version", Text),
        ],
        key: 1,
        page: 500,
    },
    TableSchema {
        name: "job_runs",
        columns: &[
            ("job", Text),
            ("scheduled_at", Number),
            ("state", Number),
            ("attempt", Number),
            ("owner", Number),
            ("note", Text),
            ("started_at", Number),
            ("finished_at", Number),
            ("version", Text),
            ("loose", Flag),
            ("rerun", Flag),
            ("timeout", Number),
            ("args", Text),
            ("entries", Number),
        ],
        key: 2,
        page: 100,
    },
    TableSchema {
        name: "job_wishes",
        columns: &[
            ("id", Number),
            ("job", Text),
            ("wish", Number),
            ("scheduled_at", Number),
            ("asked_at", Number),
            ("args", Text),
        ],
        key: 1,
        page: 100,
    },
    TableSchema {
        name: "versions",
        columns: &[("hash", Text), ("module", Text), ("path", Text), ("text", Bytes)],
        key: 2,
        page: 10,
    },
    TableSchema {
        name: "alerts",
        columns: &[
            ("id", Number),
            ("key", Text),
            ("body", Text),
            ("raised_at", Number),
            ("tries", Number),
            ("due_at", Number),
            ("done_at", Number),
            ("error", Text),
        ],
        key: 1,
        page: 100,
    },
    TableSchema {
        name: "scripts",
        columns: &[
            ("name", Text),
            ("hash", Text),
            ("loaded_at", Number),
            ("error", Text),
            ("stale_since", Number),
        ],
        key: 1,
        page: 100,
    },
    // This table comes after the runs: recording the end of a run deletes its request.
    TableSchema {
        name: "hook_requests",
        columns: &[("job", Text), ("scheduled_at", Number), ("head", Text), ("body", Bytes)],
        key: 2,
        page: 50,
    },
    TableSchema {
        name: "hook_deliveries",
        columns: &[("job", Text), ("delivery", Text), ("scheduled_at", Number)],
        key: 2,
        page: 500,
    },
    TableSchema {
        name: "tokens",
        columns: &[("role", Text), ("hash", Text), ("made_at", Number)],
        key: 1,
        page: 100,
    },
    TableSchema {
        name: "activity",
        columns: &[("app", Number), ("quota", Text), ("at", Number), ("sent", Number), ("throttled", Number)],
        key: 3,
        page: 500,
    },
    TableSchema {
        name: "restores",
        columns: &[("restored_at", Number), ("taken_at", Number), ("accepted_at", Number)],
        key: 1,
        page: 100,
    },
];

impl TableSchema {
    /// Queries a page of the rows after a key, in the order of the key.
    pub(super) fn page(&self, by_bytes: &str, after: Option<&[CellValue]>) -> Statement {
        let mut text = String::from("SELECT ");
        for (at, (name, kind)) in self.columns.iter().enumerate() {
            text.push_str(if at == 0 { "" } else { ", " });
            text.push_str(match kind {
                Nobody => "CAST(NULL AS BIGINT)",
                Over => "CAST(0 AS BIGINT)",
                _ => name,
            });
        }
        let key: Vec<String> = self.columns[..self.key]
            .iter()
            // Both stores compare texts by their bytes.
            .map(|(name, kind)| match kind {
                Text => format!("{name}{by_bytes}"),
                _ => (*name).to_owned(),
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
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let row = format!("({})", vec!["?"; names.len()].join(", "));
        let text = format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.name,
            names.join(", "),
            vec![row.as_str(); rows.len()].join(", ")
        );
        let cells = rows.iter().flat_map(|row| row.0.iter().zip(self.columns));
        cells.fold(sql(text), |statement, (cell, (_, kind))| statement.bind(cell.value(Some(*kind))))
    }
}
