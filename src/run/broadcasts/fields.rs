//! The audience's own columns of a recipient, stored for exports.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::core::Call;

/// The most columns of one broadcast.
const MOST: usize = 200;

/// The most characters of one value, an own choice. It is less than the 32,767 that a cell of a spreadsheet can hold.
const LONGEST: usize = 4_000;

/// Whether a column identifies the recipient, so that every export has it.
fn is_its_own(name: &str, call: Call) -> bool {
    name == call.id_field() || name == "users" && call.recipient() == Call::Group.recipient()
}

/// Collects the columns of the recipients of one broadcast, within limits.
#[derive(Debug, Default)]
pub(super) struct AudienceColumns {
    known: BTreeSet<String>,
    /// Whether it was logged that something is left out.
    logged: bool,
}

impl AudienceColumns {
    /// Returns the columns of a recipient, in the order of the file's header if it has one.
    pub(super) fn of(
        &mut self,
        recipient: Value,
        header: Option<&[String]>,
        call: Call,
        broadcast: &str,
    ) -> Vec<(String, Value)> {
        let Value::Object(mut fields) = recipient else { return Vec::new() };
        let mut ordered = Vec::with_capacity(fields.len());
        for name in header.unwrap_or_default() {
            ordered.extend(fields.remove_entry(name));
        }
        ordered.extend(fields);
        ordered.retain(|(name, _)| !is_its_own(name, call));
        let mut left_out = false;
        ordered.retain(|(name, _)| {
            let takes = self.takes(name);
            left_out |= !takes;
            takes
        });
        for (_, value) in &mut ordered {
            left_out |= shorten(value);
        }
        if left_out && !std::mem::replace(&mut self.logged, true) {
            tracing::warn!(
                "broadcast `{broadcast}`: exports keep {MOST} columns of its audience and {LONGEST} letters of a value; the rest is left out of exports"
            );
        }
        ordered
    }

    fn takes(&mut self, name: &str) -> bool {
        if self.known.contains(name) {
            return true;
        }
        self.known.len() < MOST && self.known.insert(name.to_owned())
    }
}

/// Shortens a value that is too long. Returns whether it did.
fn shorten(value: &mut Value) -> bool {
    let text = match &*value {
        // A text never has more characters than bytes.
        Value::String(text) if text.len() <= LONGEST => return false,
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
        Value::Null | Value::Bool(_) | Value::Number(_) => return false,
    };
    let Some((end, _)) = text.char_indices().nth(LONGEST) else { return false };
    *value = Value::from(format!("{}…", text.get(..end).unwrap_or_default()));
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_come_in_the_order_of_the_header_without_what_names_the_recipient() {
        let mut columns = AudienceColumns::default();
        let header = ["z".to_owned(), "group_id".to_owned(), "名称".to_owned()];
        let row = json!({ "group_id": "g", "users": ["u"], "名称": "上海", "z": 1, "a": null });
        let taken = columns.of(row, Some(&header), Call::Group, "news");
        assert_eq!(
            taken,
            [("z", json!(1)), ("名称", json!("上海")), ("a", json!(null))].map(|(n, v)| (n.to_owned(), v))
        );
        assert!(columns.of(json!("g"), None, Call::Group, "news").is_empty());
    }

    #[test]
    fn columns_and_values_are_bounded() {
        let mut columns = AudienceColumns::default();
        let many: serde_json::Map<String, Value> = (0..300).map(|n| (format!("c{n}"), json!(n))).collect();
        assert_eq!(columns.of(Value::Object(many), None, Call::Group, "news").len(), MOST);
        assert!(columns.of(json!({ "another": 1 }), None, Call::Group, "news").is_empty());
        let long = columns.of(json!({ "c0": "长".repeat(5_000) }), None, Call::Group, "news");
        assert_eq!(long[0].1.as_str().unwrap().chars().count(), LONGEST + 1);
        let nested = columns.of(json!({ "c0": vec!["x"; 3_000] }), None, Call::Group, "news");
        assert!(nested[0].1.is_string());
    }
}
