//! The text formats of an export.

use serde_json::{Map, Value, json};

use super::cells::{cells, disarmed, header, recalled, verified};
use super::{ExportFormat, ExportOptions};
use crate::core::Call;
use crate::core::utc;
use crate::ledger::{ExportPages, ExportedRecipient};

/// Marks a text as UTF-8 for spreadsheet programs.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text export, produced page by page.
#[derive(Debug)]
pub struct TextExport {
    form: ExportFormat,
    plain: bool,
    call: Call,
    own: Vec<String>,
    /// Whether a recipient was written.
    begun: bool,
}

impl TextExport {
    /// Creates the export of these pages.
    pub fn new(options: &ExportOptions, pages: &ExportPages) -> Self {
        let (call, own) = (pages.recipients(), pages.names().to_vec());
        Self { form: options.form, plain: options.plain, call, own, begun: false }
    }

    /// The beginning of the file.
    pub fn head(&self) -> String {
        match self.form {
            ExportFormat::Csv => {
                let line = self.line(&header(self.call, &self.own));
                if self.plain { line } else { format!("{BYTE_ORDER_MARK}{line}") }
            }
            ExportFormat::Json => "[".to_owned(),
            ExportFormat::Jsonl | ExportFormat::Xlsx => String::new(),
        }
    }

    /// The text of the next recipients.
    pub fn page(&mut self, recipients: &[ExportedRecipient]) -> String {
        let mut text = String::new();
        for one in recipients {
            let first = !std::mem::replace(&mut self.begun, true);
            match self.form {
                ExportFormat::Csv => text += &self.line(&cells(one, &self.own, utc(one.updated_at))),
                ExportFormat::Json => {
                    text += if first { "\n" } else { ",\n" };
                    text += &self.object(one).to_string();
                }
                ExportFormat::Jsonl | ExportFormat::Xlsx => {
                    text += &self.object(one).to_string();
                    text.push('\n');
                }
            }
        }
        text
    }

    /// The end of the file.
    pub fn tail(&self) -> &'static str {
        match self.form {
            ExportFormat::Json => "\n]\n",
            ExportFormat::Csv | ExportFormat::Jsonl | ExportFormat::Xlsx => "",
        }
    }

    fn line(&self, cells: &[String]) -> String {
        let mut csv = csv::Writer::from_writer(Vec::new());
        // Writing to memory cannot fail.
        let _ = if self.plain {
            csv.write_record(cells)
        } else {
            csv.write_record(cells.iter().map(|cell| disarmed(cell).into_owned()))
        };
        let written = csv.into_inner().unwrap_or_default();
        String::from_utf8_lossy(&written).into_owned()
    }

    fn object(&self, row: &ExportedRecipient) -> Value {
        let (verified, reason) = verified(row);
        let mut object = json!({
            "seq": row.seq, (self.call.id_field()): row.group_id, "users": row.users, "state": row.state.name(),
            "message_id": row.message_id, "attempts": row.attempts, "error": row.error,
            "updated_at": utc(row.updated_at), "recalled": recalled(row), "readers": row.readers,
            "verified": verified, "verified_reason": reason,
        });
        if !self.own.is_empty() {
            let fields: Map<String, Value> = row.fields.iter().cloned().collect();
            object["fields"] = Value::Object(fields);
        }
        object
    }
}
