//! Strict JSON: a repeated key in an object and text after the end are refused.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::message::exact_numbers;

use super::fault::InputError;
use super::position::Position;

/// The byte order mark that some programs put before UTF-8 text.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads one JSON value, and skips a byte order mark before it.
pub fn decode(text: &[u8]) -> Result<Value, InputError> {
    decode_from(text.strip_prefix(MARK).unwrap_or(text), Position::default())
}

/// [`decode`] for a part of a text that begins at `start`.
pub(super) fn decode_from(text: &[u8], start: Position) -> Result<Value, InputError> {
    let failed = |error: serde_json::Error| json_error(&error, text, start);
    let mut strict = serde_json::Deserializer::from_slice(text);
    StrictVisitor.deserialize(&mut strict).map_err(failed)?;
    strict.end().map_err(failed)?;
    // A number that would lose digits becomes a text with all its digits.
    serde_json::from_slice(&exact_numbers(text)).map_err(failed)
}

fn json_error(error: &serde_json::Error, text: &[u8], start: Position) -> InputError {
    // serde_json counts lines by LF only, and columns in bytes.
    let begins =
        text.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len);
    let offset = (begins.sum::<usize>() + error.column().saturating_sub(1)).min(text.len());
    let mut position = start;
    position.pass(&text[..offset]);
    let mut what = error.to_string();
    if let Some(at) = what.rfind(" at line ") {
        what.truncate(at);
    }
    let what = match what.as_str() {
        "trailing characters" => "text after the end of the JSON value; one value is expected".to_owned(),
        other if other.starts_with("the key ") => other.to_owned(),
        other => {
            return InputError::line(
                position.line,
                format!("it is not JSON: {other} (character {})", position.column),
            );
        }
    };
    InputError::at(position.line, format!("character {}", position.column), what)
}

/// Visits a value and keeps only the keys of the objects around the current position.
struct StrictVisitor;

impl<'de> DeserializeSeed<'de> for StrictVisitor {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = fields.next_key::<String>()? {
            if keys.contains(&key) {
                let key = crate::message::quoted(&key);
                return Err(A::Error::custom(format!(
                    "the key {key} appears twice in one object; remove one"
                )));
            }
            keys.insert(key);
            fields.next_value_seed(Self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_and_each_key_once() {
        assert_eq!(decode(b"\xef\xbb\xbf {\"a\": [1, {\"a\": null}], \"b\": 1.5}\n").unwrap()["b"], 1.5);
        for (text, says) in [
            ("{\"a\":1,\n \"b\":{\"c\":1, \"c\":2}}", "line 2, character 16: the key \"c\" appears twice"),
            ("{\"a\":1,\"\\u0061\":2}", "the key \"a\" appears twice"),
            ("[1]\n[2]", "line 2, character 1: text after the end"),
            ("{} x", "line 1, character 4: text after the end"),
            ("群", "line 1: it is not JSON"),
            ("", "it is not JSON: EOF"),
            ("[1,]", "it is not JSON"),
            ("{\"a\":NaN}", "it is not JSON"),
        ] {
            let fault = decode(text.as_bytes()).unwrap_err().to_string();
            assert!(fault.contains(says), "{text}: {fault}");
        }
    }
}
