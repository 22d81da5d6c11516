//! Checks the `body` of a message, which has another shape for each of the eight types of message.
//!
//! The vendor's page names one error for every wrong body, `invalid_request_body`. These checks follow its tables of
//! required fields and types. Unknown fields pass, as they do at the service. Unless the simulator is strict, a whole
//! number may be written `480.0`, and coordinates may be numbers: the vendor's own Java client writes both.

use serde_json::{Map, Value};

/// `customEvent`: `[a-zA-Z0-9-_/\.]{1,32}` (vendor's page).
const EVENT_LENGTH: std::ops::RangeInclusive<usize> = 1..=32;
/// `customExts`: at most 16 elements (vendor's page).
const CUSTOM_EXTS: usize = 16;

/// Whether `body` is a valid body of type `kind`. No body is valid for an unknown type.
pub(super) fn fits(kind: &str, body: &Map<String, Value>, strict: bool) -> bool {
    let whole = if strict { Value::is_u64 } else { is_whole };
    let is_text = |name: &&str| {
        let coordinate = matches!(*name, "lat" | "lng");
        body.get(*name).is_some_and(|value| value.is_string() || (!strict && coordinate && value.is_number()))
    };
    let (required, strings, integers): (&[&str], &[&str], &[&str]) = match kind {
        "txt" => (&["msg"], &[], &[]),
        "cmd" => (&["action"], &[], &[]),
        "loc" => (&["lat", "lng", "addr"], &[], &[]),
        "img" | "file" => (&["url"], &["filename", "secret"], &["file_length"]),
        "audio" => (&["url"], &["filename", "secret"], &["length", "Length", "file_length"]),
        "video" => (&["url"], &["filename", "secret", "thumb", "thumb_secret"], &["length", "file_length"]),
        "custom" => (&[], &["customEvent"], &[]),
        _ => return false,
    };
    required.iter().all(is_text)
        && absent_or(body, strings, Value::is_string)
        && absent_or(body, integers, whole)
        && (kind != "img" || absent_or(body, &["size"], |size| is_size(size, whole)))
        && (kind != "custom" || is_custom(body))
}

fn absent_or(body: &Map<String, Value>, names: &[&str], fits: impl Fn(&Value) -> bool) -> bool {
    names.iter().filter_map(|name| body.get(*name)).all(fits)
}

fn is_size(size: &Value, whole: fn(&Value) -> bool) -> bool {
    size.as_object().is_some_and(|size| absent_or(size, &["width", "height"], whole))
}

/// Whether a value is a whole number from 0, also if it is written as a fraction.
fn is_whole(value: &Value) -> bool {
    value.is_u64() || value.as_f64().is_some_and(|number| number >= 0.0 && number.fract() == 0.0)
}

fn is_custom(body: &Map<String, Value>) -> bool {
    let event = |event: &Value| {
        let event = event.as_str().unwrap_or_default();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/.".contains(&byte);
        EVENT_LENGTH.contains(&event.len()) && event.bytes().all(allowed)
    };
    let exts = |exts: &Value| {
        let exts = exts.as_object();
        exts.is_some_and(|exts| exts.len() <= CUSTOM_EXTS && exts.values().all(Value::is_string))
    };
    absent_or(body, &["customEvent"], event) && absent_or(body, &["customExts"], exts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: &str, body: &Value) -> bool {
        fits(kind, body.as_object().unwrap(), false)
    }

    fn strict(kind: &str, body: &Value) -> bool {
        fits(kind, body.as_object().unwrap(), true)
    }

    #[test]
    fn the_pages_own_examples_fit() {
        let cases = [
            ("txt", json!({"msg": "testmessages"})),
            (
                "img",
                json!({"filename": "a.jpg", "secret": "s", "url": "u", "size": {"width": 480, "height": 720}}),
            ),
            ("audio", json!({"url": "u", "filename": "a.amr", "length": 10, "secret": "s"})),
            ("audio", json!({"url": "u", "Length": 10})),
            (
                "video",
                json!({"filename": "t.avi", "thumb": "u", "length": 0, "secret": "s", "file_length": 58103,
                "thumb_secret": "z", "url": "u"}),
            ),
            ("file", json!({"filename": "test.txt", "secret": "s", "url": "u"})),
            ("loc", json!({"lat": "39.966", "lng": "116.322", "addr": "中国"})),
            ("cmd", json!({"action": "action1"})),
            ("custom", json!({"customEvent": "custom_event", "customExts": {"ext_key1": "ext_value1"}})),
            ("custom", json!({"customEvent": "A-z_0/9.x"})),
        ];
        for (kind, body) in cases {
            assert!(check(kind, &body) && strict(kind, &body), "{kind} {body}");
        }
    }

    #[test]
    fn what_lacks_or_misnames_or_mistypes_does_not() {
        let many: Map<_, _> = (0..17).map(|n| (n.to_string(), json!("v"))).collect();
        let cases = [
            ("text", json!({"msg": "x"})),
            ("txt", json!({"message": "x"})),
            ("txt", json!({"msg": 1})),
            ("img", json!({"filename": "a.jpg"})),
            ("img", json!({"url": "u", "size": 10})),
            ("img", json!({"url": "u", "size": {"width": "480"}})),
            ("audio", json!({"url": "u", "length": "10"})),
            ("audio", json!({"url": "u", "length": 1.5})),
            ("video", json!({"url": "u", "file_length": -1})),
            ("video", json!({"url": "u", "thumb": null})),
            ("loc", json!({"lat": "39.966", "lng": "116.322"})),
            ("loc", json!({"lat": 39.966, "lng": 116.322, "addr": 1})),
            ("loc", json!({"lat": true, "lng": 116.322, "addr": "x"})),
            ("cmd", json!({"cmd": "x"})),
            ("custom", json!({"customEvent": ""})),
            ("custom", json!({"customEvent": "has space"})),
            ("custom", json!({"customEvent": "x".repeat(33)})),
            ("custom", json!({"customEvent": "x", "customExts": {"n": 1}})),
            ("custom", json!({"customEvent": "x", "customExts": []})),
            ("custom", json!({"customEvent": "x", "customExts": many})),
        ];
        for (kind, body) in cases {
            assert!(!check(kind, &body) && !strict(kind, &body), "{kind} {body}");
        }
    }

    #[test]
    fn numbers_of_the_vendors_client_fit_unless_strict() {
        let cases = [
            ("img", json!({"url": "u", "size": {"width": 480.0, "height": 720.0}})),
            ("audio", json!({"url": "u", "length": 10.0})),
            ("video", json!({"url": "u", "length": 0.0, "file_length": 58103.0})),
            ("loc", json!({"lat": 39.966, "lng": "116.322", "addr": "x"})),
            ("loc", json!({"lat": 39, "lng": -116.322, "addr": "x"})),
        ];
        for (kind, body) in cases {
            assert!(check(kind, &body) && !strict(kind, &body), "{kind} {body}");
        }
    }
}
