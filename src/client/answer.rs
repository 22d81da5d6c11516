//! Reads the service's JSON: strictly where correctness depends on it, leniently where the service's documentation
//! contradicts itself.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The body of an unsuccessful answer. Every field can be missing, for example if a gateway answers in HTML.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ErrorBody {
    pub(super) error: Option<String>,
    pub(super) code: Option<i64>,
    pub(super) description: Option<String>,
    /// The beginning of a body that does not have the service's form.
    pub(super) detail: String,
}

impl ErrorBody {
    pub(super) fn parse(body: &[u8]) -> Self {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else {
            // Enough for the 300 characters that are shown, even after a long secret.
            let beginning = &body[..body.len().min(4096)];
            return Self { detail: String::from_utf8_lossy(beginning).into_owned(), ..Self::default() };
        };
        let mut text = |name| match fields.remove(name) {
            Some(Value::String(text)) => Some(text),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        Self {
            error: text("error"),
            code: text("error_code").and_then(|code| code.trim().parse().ok()),
            description: text("error_description"),
            detail: String::new(),
        }
    }
}

/// Reads a body as JSON of type `T`. The error says where the body differs, without quoting it.
pub(super) fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "is not of the documented form",
            serde_json::error::Category::Eof => "ends too early",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "is not JSON",
        };
        format!("the answer ({} bytes) {what} at line {} column {}", body.len(), error.line(), error.column())
    })
}

/// A text that the service writes as a string or as a number, of any length, kept without loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LosslessText(pub(super) String);

impl<'de> Deserialize<'de> for LosslessText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        text_of(raw).map(Self).ok_or_else(|| serde::de::Error::custom("neither a string nor a number"))
    }
}

/// The text of a JSON string or number; `None` for any other value.
fn text_of(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str(raw.get()).ok(),
        b'-' | b'0'..=b'9' => Some(raw.get().to_owned()),
        _ => None,
    }
}

/// The pairs of a JSON object in their order, without those whose value is neither a string nor a number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonPairs(pub(super) Vec<(String, String)>);

impl<'de> Deserialize<'de> for JsonPairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = JsonPairs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonPairs, A::Error> {
                let mut pairs = Vec::with_capacity(1);
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    if let Some(text) = text_of(value) {
                        pairs.push((key, text));
                    }
                }
                Ok(JsonPairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_body_is_read_whatever_its_form() {
        let body = ErrorBody::parse(
            br#"{"error":"message_send_error","exception":"x","error_code":14007,"error_description":"too large"}"#,
        );
        assert_eq!(body.error.as_deref(), Some("message_send_error"));
        assert_eq!(body.code, Some(14007));
        assert_eq!(body.description.as_deref(), Some("too large"));
        assert_eq!(ErrorBody::parse(br#"{"error":null,"error_code":"7"}"#).code, Some(7));
        assert_eq!(ErrorBody::parse(b"<html>bad gateway").detail, "<html>bad gateway");
        assert_eq!(ErrorBody::parse(b""), ErrorBody::default());
        assert_eq!(ErrorBody::parse(b"[1]").detail, "[1]");
    }

    #[test]
    fn pairs_keep_their_order_and_every_digit() {
        let JsonPairs(pairs) =
            decode(br#"{"9":"m9","1":123456789012345678901234567890,"5":null,"7":{"id":1},"\u0033":"a\"b"}"#)
                .unwrap();
        let expected = [("9", "m9"), ("1", "123456789012345678901234567890"), ("3", "a\"b")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        let reason = decode::<JsonPairs>(br#"["canary"]"#).unwrap_err();
        assert_eq!(reason, "the answer (10 bytes) is not of the documented form at line 1 column 0");
        assert!(decode::<JsonPairs>(br#"{"canary":"#).unwrap_err().contains("ends too early"));
    }
}
