//! Compares one recipient's message in two plans, for display: its text, and every other field that differs.

use serde_json::Value;

/// The most characters of a text that are shown, for each message.
const SHOWN: usize = 300;

/// Characters shown before the first difference, if the beginning is left out.
const BEFORE: usize = 40;

/// The most fields that are shown.
const FIELDS: usize = 5;

/// The JSON pointer of the text in a text message.
const TEXT: &str = "/body/msg";

/// Returns a description of each of the two messages, which are given as JSON.
pub(super) fn both(old: &str, new: &str) -> (String, String) {
    let read = |json: &str| serde_json::from_str::<Value>(json).unwrap_or_default();
    let (old_message, new_message) = (read(old), read(new));
    let text = |message: &Value| message.pointer(TEXT).and_then(Value::as_str).map(str::to_owned);
    let (Some(old_text), Some(new_text)) = (text(&old_message), text(&new_message)) else {
        return cut_both(old, new);
    };
    let mut fields = Vec::new();
    differing(&old_message, &new_message, "", &mut fields);
    fields.retain(|field| field.path != "body.msg");
    let more = if fields.len() > FIELDS { ", …" } else { "" };
    fields.truncate(FIELDS);
    let (mut old_shown, mut new_shown) = cut_both(&old_text, &new_text);
    if !fields.is_empty() {
        let list = |side: fn(&MessageDifference) -> &String| {
            let all: Vec<String> =
                fields.iter().map(|field| format!("{} = {}", field.path, side(field))).collect();
            format!(" ({}{more})", all.join(", "))
        };
        old_shown += &list(|field| &field.old);
        new_shown += &list(|field| &field.new);
    }
    (old_shown, new_shown)
}

/// A field in which the two messages differ.
struct MessageDifference {
    path: String,
    old: String,
    new: String,
}

/// Collects the fields in which two values differ, in order of their paths.
fn differing(old: &Value, new: &Value, path: &str, fields: &mut Vec<MessageDifference>) {
    if old == new {
        return;
    }
    if let (Value::Object(before), Value::Object(after)) = (old, new) {
        let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let of = |object: &serde_json::Map<String, Value>| object.get(name).cloned();
            match (of(before), of(after)) {
                (Some(before), Some(after)) => differing(&before, &after, &path, fields),
                (before, after) => {
                    fields.push(MessageDifference { path, old: shown(before), new: shown(after) });
                }
            }
        }
        return;
    }
    let (old, new) = match (old, new) {
        (Value::String(old), Value::String(new)) => cut_both(old, new),
        _ => (shown(Some(old.clone())), shown(Some(new.clone()))),
    };
    fields.push(MessageDifference { path: path.to_owned(), old, new });
}

/// Formats a value for a list.
fn shown(value: Option<Value>) -> String {
    match value {
        None => "none".to_owned(),
        Some(Value::String(text)) => cut(&text, 0),
        Some(value) => {
            let text = value.to_string();
            let escaped = text.replace(char::is_control, " ");
            if escaped.chars().count() <= SHOWN {
                return escaped;
            }
            escaped.chars().take(SHOWN).chain(['…']).collect()
        }
    }
}

/// Quotes both texts, shortened so that their first difference is visible.
fn cut_both(old: &str, new: &str) -> (String, String) {
    let same = old.chars().zip(new.chars()).take_while(|(old, new)| old == new).count();
    let from = if old != new && same >= SHOWN { same - BEFORE } else { 0 };
    (cut(old, from), cut(new, from))
}

/// Quotes a text from the character `from` on, and escapes invisible characters.
fn cut(text: &str, from: usize) -> String {
    let before = if from > 0 { "…" } else { "" };
    let mut rest = text.chars().skip(from);
    let part: String = rest.by_ref().take(SHOWN).collect();
    let after = if rest.next().is_some() { "…" } else { "" };
    format!("\"{before}{}{after}\"", part.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::both;

    #[test]
    fn a_field_beside_the_text_is_shown_on_both_sides() {
        let message = |more: &str| format!(r#"{{"type":"txt","body":{{"msg":"x"}}{more}}}"#);
        let (old, new) = both(&message(r#","from":"shop""#), &message(r#","from":"other""#));
        assert_eq!((&*old, &*new), (r#""x" (from = "shop")"#, r#""x" (from = "other")"#));
        let (old, new) = both(&message(""), &message(r#","ext":{"a":1}"#));
        assert_eq!((&*old, &*new), (r#""x" (ext = none)"#, r#""x" (ext = {"a":1})"#));
        let (old, new) = both(&message(r#","ext":{"a":1,"b":2}"#), &message(r#","ext":{"a":1,"b":3}"#));
        assert_eq!((&*old, &*new), (r#""x" (ext.b = 2)"#, r#""x" (ext.b = 3)"#));
    }

    #[test]
    fn a_difference_far_behind_is_seen() {
        let message = |end: &str| format!(r#"{{"type":"txt","body":{{"msg":"{}{end}"}}}}"#, "é".repeat(2000));
        let (old, new) = both(&message("old"), &message("new"));
        assert!(old.ends_with("old\"") && new.ends_with("new\"") && old.starts_with("\"…é"), "{old} {new}");
        let image = |end: &str| {
            format!(r#"{{"type":"img","body":{{"filename":"{}","url":"{end}"}}}}"#, "é".repeat(2000))
        };
        let (old, new) = both(&image("a"), &image("b"));
        assert_ne!(old, new);
    }
}
