//! The columns and the cells of an export.

use std::borrow::Cow;

use serde_json::Value;

use crate::control::verified_text;
use crate::core::Call;
use crate::ledger::ExportedRecipient;

/// The columns after the sequence number and the recipient's id.
const COLUMNS: [&str; 10] = [
    "users",
    "state",
    "message_id",
    "attempts",
    "error",
    "updated_at",
    "recalled",
    "readers",
    "verified",
    "verified_reason",
];

/// The names of all columns: the fixed ones, of which the second is `group_id`, `user_id` or `room_id`, then the audience's own. An audience column with the name of a fixed
/// one gets the prefix `audience.`.
pub(super) fn header(call: Call, own: &[String]) -> Vec<String> {
    let fixed = ["seq", call.id_field()].into_iter().chain(COLUMNS);
    let mut names: Vec<String> = fixed.map(str::to_owned).collect();
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
    let (verified, reason) = verified(row);
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
        row.readers.to_string(),
        verified.unwrap_or_default().to_owned(),
        reason.unwrap_or_default().to_owned(),
    ];
    for (at, name) in own.iter().enumerate() {
        // Usually a recipient has all columns, in this order.
        let same = row.fields.get(at).filter(|(known, _)| known == name);
        let found = same.or_else(|| row.fields.iter().find(|(known, _)| known == name));
        cells.push(found.map(|(_, value)| text(value)).unwrap_or_default());
    }
    cells
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The result of the recall, if one was requested.
pub(super) fn recalled(row: &ExportedRecipient) -> Option<&'static str> {
    row.recalled.map(|done| if done { "yes" } else { "refused" })
}

/// What the latest verification showed, and the reason if the message has no record.
pub(super) fn verified(row: &ExportedRecipient) -> (Option<&'static str>, Option<&'static str>) {
    verified_text(row.verified).map_or((None, None), |(name, reason)| (Some(name), reason))
}

/// A cell that no spreadsheet interprets as a formula: text that looks like one gets a leading apostrophe.
pub(in crate::control) fn disarmed(cell: &str) -> Cow<'_, str> {
    // Excel treats the full-width signs as the plain ones in East Asian languages.
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
        let header = header(Call::Group, &own);
        assert_eq!(header[12..], ["名称", "audience.state", "audience.audience.state", "audience.seq"]);
        let different: std::collections::BTreeSet<_> = header.iter().collect();
        assert_eq!(different.len(), header.len());
    }
}
