//! All recipients of a broadcast as lines of a file.

use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::instant;
use crate::ledger::Exported;

/// The columns.
const COLUMNS: [&str; 9] =
    ["seq", "group_id", "users", "state", "message_id", "attempts", "error", "updated_at", "recalled"];

/// The form of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportForm {
    /// A header and a line each.
    #[default]
    Csv,
    /// A JSON object a line.
    Jsonl,
}

impl ExportForm {
    /// What the file begins with.
    #[must_use]
    pub fn head(self) -> Option<String> {
        (self == Self::Csv).then(|| COLUMNS.join(",") + "\n")
    }

    /// A line for each of these.
    #[must_use]
    pub fn lines(self, recipients: &[Exported]) -> String {
        match self {
            Self::Csv => {
                let mut csv = csv::Writer::from_writer(Vec::new());
                for one in recipients {
                    // Writing to memory, always as many fields, cannot fail.
                    let _ = csv.write_record(fields(one));
                }
                let written = csv.into_inner().unwrap_or_default();
                String::from_utf8_lossy(&written).into_owned()
            }
            Self::Jsonl => recipients.iter().map(|one| object(one).to_string() + "\n").collect(),
        }
    }

    /// What it is called where its type is asked for.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/jsonl; charset=utf-8",
        }
    }

    /// How its file's name ends.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

fn fields(row: &Exported) -> [String; 9] {
    [
        row.seq.to_string(),
        row.group_id.clone(),
        row.users.join(";"),
        row.state.name().to_owned(),
        row.message_id.clone().unwrap_or_default(),
        row.attempts.to_string(),
        row.error.clone().unwrap_or_default(),
        instant(row.updated_at),
        recalled(row).unwrap_or_default().to_owned(),
    ]
}

fn object(row: &Exported) -> serde_json::Value {
    json!({
        "seq": row.seq, "group_id": row.group_id, "users": row.users, "state": row.state.name(),
        "message_id": row.message_id, "attempts": row.attempts, "error": row.error,
        "updated_at": instant(row.updated_at), "recalled": recalled(row),
    })
}

/// What became of its recall, where one was asked for.
fn recalled(row: &Exported) -> Option<&'static str> {
    row.recalled.map(|done| if done { "yes" } else { "refused" })
}
