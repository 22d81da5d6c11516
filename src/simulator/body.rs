//! The JSON of a call's body, as clients write it.
//!
//! The media type says nothing: the vendor's Java client names none, and curl names a form unless it is told otherwise.
//! One of the vendor's examples asks for a token with a form, and one lacks a comma between two fields. A strict
//! simulator takes JSON alone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::ServiceCall;

/// Returns the body as JSON, or unchanged if it cannot be read as JSON.
pub(super) fn as_json(call: ServiceCall, body: &[u8]) -> Cow<'_, [u8]> {
    let Some(text) = std::str::from_utf8(body).ok().filter(|text| !is_json(text)) else {
        return Cow::Borrowed(body);
    };
    let form = || (call == ServiceCall::Token).then(|| form(text)).flatten();
    match with_commas(text).or_else(form) {
        Some(json) => Cow::Owned(json.into_bytes()),
        None => Cow::Borrowed(body),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Returns the fields of a form as a JSON object.
fn form(text: &str) -> Option<String> {
    let uri = Uri::try_from(format!("/?{}", text.trim())).ok()?;
    let Query(fields) = Query::<BTreeMap<String, String>>::try_from_uri(&uri).ok()?;
    if !fields.contains_key("grant_type") {
        return None;
    }
    let value = |name: &str, text: String| match text.parse::<u64>() {
        Ok(seconds) if name == "ttl" => Value::from(seconds),
        _ => Value::from(text),
    };
    let fields = fields.into_iter().map(|(name, text)| (name.clone(), value(&name, text)));
    Some(Value::from(fields.collect::<Map<_, _>>()).to_string())
}

/// Returns the text with a comma before each field of an object that lacks one. `None` if that does not make it JSON.
fn with_commas(text: &str) -> Option<String> {
    let mut mended = String::with_capacity(text.len() + 1);
    let mut brackets = Vec::new();
    let (mut in_string, mut escaped) = (false, false);
    // Whether the last character ended a string or belongs to another value.
    let mut after_value = false;
    for character in text.chars() {
        match character {
            _ if in_string => {
                in_string = escaped || character != '"';
                escaped = !escaped && character == '\\';
                after_value = !in_string;
            }
            '"' => {
                if after_value && brackets.last() == Some(&'{') {
                    mended.push(',');
                }
                in_string = true;
            }
            ' ' | '\t' | '\r' | '\n' => {}
            ',' | ':' => after_value = false,
            '{' | '[' => {
                brackets.push(character);
                after_value = false;
            }
            '}' | ']' => {
                brackets.pop();
                after_value = true;
            }
            _ => after_value = true,
        }
        mended.push(character);
    }
    is_json(&mended).then_some(mended)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(call: ServiceCall, body: &str) -> Option<Value> {
        serde_json::from_slice(&as_json(call, body.as_bytes())).ok()
    }

    #[test]
    fn a_missing_comma_is_added_between_fields_only() {
        let read = |body| read(ServiceCall::Send, body);
        let video =
            "{\"body\": {\"filename\" : \"a \\\" b\"\n \"length\" : 0 \"x\": [1, {}] \"y\": {\"z\": true}}}";
        let mended = json!({"body": {"filename": "a \" b", "length": 0, "x": [1, {}], "y": {"z": true}}});
        assert_eq!(read(video), Some(mended));
        for broken in ["{\"to\": [\"1\" \"2\"]}", "{\"a\": 1,, \"b\": 2}", "{\"a\" 1}", "{\"a\": 1", "a=b"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_form_asks_for_a_token() {
        let form = "grant_type=client_credentials&client_id=a%2Bb&client_secret=c+d&ttl=0";
        let json =
            json!({"grant_type": "client_credentials", "client_id": "a+b", "client_secret": "c d", "ttl": 0});
        assert_eq!(read(ServiceCall::Token, form), Some(json));
        assert_eq!(read(ServiceCall::Send, form), None);
        assert_eq!(read(ServiceCall::Token, "{"), None);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
            "[a-c\"\\\\{}:,\\[\\] \n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c\"\\\\]{0,4}", inner, 0..4)
                    .prop_map(|fields| Value::from(fields.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_is_unchanged(value in value()) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            let read = as_json(ServiceCall::Send, text.as_bytes());
            prop_assert!(matches!(read, Cow::Borrowed(_)));
            let mended = with_commas(&text);
            prop_assert_eq!(mended.as_deref(), Some(&*text));
        }

        #[test]
        fn any_one_comma_between_fields_may_lack(fields in proptest::collection::btree_map("[a-c]{1,4}", value(), 2..5)) {
            let value = Value::from(fields.into_iter().collect::<Map<_, _>>());
            let text = serde_json::to_string_pretty(&value).unwrap();
            // Only the commas of the outer object stand before a line of two spaces.
            for (at, _) in text.match_indices(",\n  \"") {
                let lacking = [&text[..at], &text[at + 1..]].concat();
                prop_assert_eq!(read(ServiceCall::Send, &lacking), Some(value.clone()));
            }
        }

        #[test]
        fn no_bytes_are_too_strange(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            as_json(ServiceCall::Token, &body);
        }
    }
}
