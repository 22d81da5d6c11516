//! Reads a file of recipients as a list of ids, for commands that take one.

use std::fs::File;
use std::path::Path;

use serde_json::Value;

use crate::core::Call;
use crate::input::{Audience, AudienceOptions};

/// Recipients read at once.
const PAGE: usize = 500;

/// The most wrong lines that are named.
const TOLD: usize = 5;

/// How a file of recipients is read. What is `None` is detected.
#[derive(Debug, Clone, Default)]
pub struct RecipientFileOptions {
    /// The column or field with the ids.
    pub id_column: Option<String>,
    pub encoding: Option<String>,
    pub sheet: Option<String>,
}

/// The ids of a file.
#[derive(Debug)]
pub struct RecipientFile {
    /// The ids, each with the text of its column `reason`, if that has one.
    pub ids: Vec<(String, Option<String>)>,
    /// The recognised format and how much was read.
    pub read_as: String,
}

/// Reads the ids of recipients of this call from a .csv, .xlsx, .json or .jsonl file.
///
/// # Errors
///
/// What is wrong with the file or its lines. A file with one wrong line gives no ids.
pub fn read_recipients(
    path: &Path,
    call: Call,
    options: RecipientFileOptions,
) -> Result<RecipientFile, String> {
    let name = path.display().to_string();
    let RecipientFileOptions { id_column, encoding, sheet } = options;
    let kind = Some(call).filter(|call| *call != Call::Group);
    let options = AudienceOptions { encoding, separator: None, sheet, id_column, kind };
    options.encoding.as_deref().map_or(Ok(()), AudienceOptions::check_encoding)?;
    Audience::check_name(&name, &options).map_err(|(_, what)| what)?;
    let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
    let mut audience = Audience::open(&name, file, &options).map_err(|fault| format!("{name}: {fault}"))?;
    let (mut ids, mut wrong, mut count) = (Vec::new(), Vec::new(), 0_usize);
    while !audience.is_over() {
        for line in audience.page(PAGE).map_err(|fault| format!("{name}: {fault}"))? {
            match line.value {
                Ok(value) => ids.extend(id_of(&value, call)),
                Err(fault) => {
                    count += 1;
                    if wrong.len() < TOLD {
                        wrong.push(format!("{name}: line {}: {fault}", line.number));
                    }
                }
            }
        }
    }
    if count > 0 {
        let more = if count > wrong.len() {
            format!("\nand {} more wrong lines", count - wrong.len())
        } else {
            String::new()
        };
        return Err(format!("{}{more}", wrong.join("\n")));
    }
    Ok(RecipientFile { ids, read_as: audience.read_as() })
}

fn id_of(value: &Value, call: Call) -> Option<(String, Option<String>)> {
    let id = match value {
        Value::Object(fields) => fields.get(call.id_field())?.as_str()?,
        other => other.as_str()?,
    };
    let reason = value.get("reason").and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    Some((id.to_owned(), reason.map(str::to_owned)))
}
