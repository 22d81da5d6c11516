//! The columns of an export, and what stands in its cells.

use std::borrow::Cow;

use serde_json::Value;

use crate::ledger::ExportedRecipient;

/// The columns that every export has.
const COLUMNS: [&str; 9] =
    ["seq", "group_id", "users", "state", "message_id", "attempts", "error", "updated_at", "recalled"];

/// The names of all columns: those that every export has, then the audience's own. One of the audience's that is called
/// like one of the others gets `audience.` before its name.
pub(super) fn header(own: &[String]) -> Vec<String> {
    let mut names: Vec<String> = COLUMNS.map(str::to_owned).into();
    for name in own {
        let mut name = name.clone();
        while names.contains(&name) {
            name.insert_str(0, "audience.");
        }
        names.push(name);
    }
    names
}

/// The cells of a recipient, in the order of the header.
pub(super) fn cells(row: &ExportedRecipient, own: &[String], updated_at: String) -> Vec<String> {
    let mut cells = vec![
        row.seq.to_string(),
        row.group_id.clone(),
        row.users.join(";"),
        row.state.name().to_owned(),
        row.message_id.clone().unwrap_or_default(),
        row.attempts.to_string(),
        row.error.clone().unwrap_or_default(),
        updated_at,
        recalled(row).unwrap_or_default().to_owned(),
    ];
    for (at, name) in own.iter().enumerate() {
        // Mostly a recipient has all of them, in this order.
        let same = row.fields.get(at).filter(|(known, _)| known == name);
        let found = same.or_else(|| row.fields.iter().find(|(known, _)| known == name));
        cells.push(found.map(|(_, value)| text(value)).unwrap_or_default());
    }
    cells
}

/// A value as a cell shows it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What became of its recall, where one was asked for.
pub(super) fn recalled(row: &ExportedRecipient) -> Option<&'static str> {
    row.recalled.map(|done| if done { "yes" } else { "refused" })
}

/// A cell that no spreadsheet takes for a formula: one that begins like one gets an apostrophe before it.
pub(super) fn disarmed(cell: &str) -> Cow<'_, str> {
    // Excel takes the full-width signs for the plain ones where its language is an East Asian one.
    let armed = cell
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    if armed { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_a_formula_is_text() {
        for armed in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "＝1+1",
            "＋1",
            "－1",
            "＠x",
            "=HYPERLINK(\"x\")",
        ] {
            assert_eq!(disarmed(armed), format!("'{armed}"));
        }
        for text in ["", "1845247481610250001", "上海", " =1", "a=1", "'=1"] {
            assert_eq!(disarmed(text), text);
        }
    }

    #[test]
    fn no_two_columns_have_one_name() {
        let own = ["名称", "state", "audience.state", "seq"].map(str::to_owned);
        let header = header(&own);
        assert_eq!(header[9..], ["名称", "audience.state", "audience.audience.state", "audience.seq"]);
        let different: std::collections::BTreeSet<_> = header.iter().collect();
        assert_eq!(different.len(), header.len());
    }
}
