//! Which messages and records have the same key.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{line, record};
use crate::core::Call;
use crate::message::{MessageLimits, check_draft};
use crate::records::{CallbackEvent, CallbackKind, MatchKey, MessageRecord};

const UPLOAD: &str = "https://a1.easemob.com/org/app/chatfiles/55f12940-64af-11e4-8a5b-ff2336f03252";

fn sent(kind: &str, body: Value, ext: Value) -> MatchKey {
    let mut message = json!({ "type": kind, "body": body });
    if !ext.is_null() {
        message["ext"] = ext;
    }
    let draft =
        check_draft(Call::Group, message, &MessageLimits::default()).unwrap_or_else(|why| panic!("{why}"));
    MatchKey::of_message(&draft, "g1")
}

fn recorded(body: Value, ext: Value) -> MatchKey {
    record(body, ext).key.unwrap()
}

#[test]
fn a_message_of_each_type_has_the_key_of_its_record() {
    let record_url = UPLOAD.replace("a1.easemob.com", "a61.cdn.example").replace("55f1", "55F1");
    for (kind, body, recorded_body) in [
        ("txt", json!({ "msg": "hi" }), json!({ "type": "txt", "msg": "hi", "languages": [] })),
        (
            "img",
            json!({ "url": UPLOAD, "filename": "a.png", "secret": "s", "size": { "width": 1, "height": 2 } }),
            json!({ "type": "img", "url": record_url, "file_length": 9 }),
        ),
        (
            "audio",
            json!({ "url": UPLOAD, "length": 3 }),
            json!({ "type": "audio", "url": UPLOAD, "length": 4 }),
        ),
        (
            "video",
            json!({ "url": UPLOAD, "thumb": UPLOAD, "length": 3, "file_length": 9 }),
            json!({ "type": "video", "url": format!("{UPLOAD}?em-redirect=true") }),
        ),
        ("file", json!({ "url": UPLOAD }), json!({ "type": "file", "url": UPLOAD, "filename": "x" })),
        (
            "loc",
            json!({ "lat": "39.90", "lng": "-116.0", "addr": "x" }),
            json!({ "type": "loc", "lat": 39.9, "lng": -116, "addr": "x" }),
        ),
        (
            "loc",
            json!({ "lat": "39.9", "lng": "0", "addr": "x" }),
            json!({ "type": "loc", "lat": "39.900", "lng": "-0.0", "addr": "x" }),
        ),
        ("cmd", json!({ "action": "sync" }), json!({ "type": "cmd", "action": "sync", "param": {} })),
        (
            "custom",
            json!({ "customEvent": "e", "customExts": { "a": "1", "b": "x" } }),
            json!({ "type": "custom", "customEvent": "e", "v2:customExts": { "b": "x", "a": 1 }, "customExts": [{ "z": 0 }] }),
        ),
        (
            "custom",
            json!({ "customEvent": "e", "customExts": { "a": "1", "b": "x" } }),
            json!({ "type": "custom", "customEvent": "e", "customExts": [{ "b": "x" }, { "a": "1" }] }),
        ),
    ] {
        assert_eq!(
            sent(kind, body.clone(), Value::Null),
            recorded(recorded_body.clone(), json!({})),
            "{body} {recorded_body}"
        );
    }
}

#[test]
fn each_difference_in_content_gives_another_key() {
    let text = |msg: &str, ext: Value| recorded(json!({ "type": "txt", "msg": msg }), ext);
    let other_group =
        line("m", 1, json!({ "type": "txt", "msg": "a" }), json!({})).replace("\"g1\"", "\"g2\"");
    let other_sender =
        line("m", 1, json!({ "type": "txt", "msg": "a" }), json!({})).replace("\"admin\"", "\"u1\"");
    let of_line = |line: &str| MessageRecord::of_history_line(line.as_bytes()).unwrap().unwrap().key.unwrap();
    let location = |lat: Value, addr: &str| {
        recorded(json!({ "type": "loc", "lat": lat, "lng": 1, "addr": addr }), json!({}))
    };
    let custom = |event: &str, exts: Value| {
        recorded(json!({ "type": "custom", "customEvent": event, "v2:customExts": exts }), json!({}))
    };
    let file = |kind: &str, url: &str| recorded(json!({ "type": kind, "url": url }), json!({}));
    let keys = [
        text("a", json!({})),
        text("A", json!({})),
        text("a ", json!({})),
        text("a", json!({ "k": null })),
        text("a", json!({ "k": 1 })),
        text("a", json!({ "k": "1" })),
        text("a", json!({ "k": true })),
        text("a", json!({ "k": [] })),
        text("a", json!({ "k": {} })),
        text("a", json!({ "k": [1, 2] })),
        text("a", json!({ "k": [2, 1] })),
        text("a", json!({ "k": 1, "added_by_the_service": 1 })),
        text("a", json!({ "mooncast": "" })),
        text("a", json!({ "mooncast": 7 })),
        text("a", json!({ "mooncast": "x".repeat(25) })),
        of_line(&other_group),
        of_line(&other_sender),
        recorded(json!({ "type": "cmd", "action": "a" }), json!({})),
        location(json!(1), "x"),
        location(json!(1.000_001), "x"),
        location(json!(1), "y"),
        custom("e", json!({})),
        custom("e", json!({ "a": "b" })),
        custom("ea", json!({ "b": "" })),
        file("img", UPLOAD),
        file("file", UPLOAD),
        file("img", "https://cdn.example/a/pic.png"),
        file("img", "https://cdn.example/b/pic.png"),
    ];
    let different: std::collections::BTreeSet<_> = keys.iter().map(|key| key.fingerprint).collect();
    assert_eq!(different.len(), keys.len());
    assert!(keys.iter().all(|key| key.mark.is_none()));
}

#[test]
fn a_mark_is_read_apart_and_changes_no_fingerprint() {
    let plain = sent("txt", json!({ "msg": "a" }), Value::Null);
    let longest = "x".repeat(24);
    for mark in ["1", &longest] {
        let marked = sent("txt", json!({ "msg": "a" }), json!({ "mooncast": mark }));
        assert_eq!((marked.fingerprint, marked.mark.as_deref()), (plain.fingerprint, Some(mark)));
        assert_eq!(recorded(json!({ "type": "txt", "msg": "a" }), json!({ "mooncast": mark })), marked);
    }
    assert_eq!(recorded(json!({ "type": "txt", "msg": "a" }), Value::Null), plain);
}

#[test]
fn half_a_body_has_no_key() {
    for body in [
        json!({ "type": "txt" }),
        json!({ "type": "txt", "msg": 7 }),
        json!({ "type": "img" }),
        json!({ "type": "file", "url": "" }),
        json!({ "type": "loc", "lat": 1, "lng": 1 }),
        json!({ "type": "loc", "lat": null, "lng": 1, "addr": "" }),
        json!({ "type": "cmd" }),
        json!({ "type": "custom" }),
        json!({ "type": "custom", "v2:customExts": null }),
        json!({ "type": "custom", "customEvent": "e", "v2:customExts": "x" }),
        json!({ "type": "custom", "customEvent": "e", "customExts": [{ "a": "1" }, { "a": "2" }] }),
        json!({ "type": "custom", "customEvent": "e", "customExts": [7] }),
        json!({ "type": "custom", "customEvent": "e", "customExts": { "a": {} } }),
    ] {
        let line = line("m", 1, body.clone(), json!({}));
        assert!(MessageRecord::of_history_line(line.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn a_fingerprint_stays_the_same_in_all_versions() {
    let key = sent("txt", json!({ "msg": "hi" }), json!({ "b": [1.5, null, true], "a": { "c": "d" } }));
    assert_eq!(format!("{:?}", key.fingerprint), "Fingerprint(95e38b05669316277a582c1e73b2c615)");
    let stored = crate::records::Fingerprint::from_bytes(key.fingerprint.to_bytes());
    assert_eq!(stored, key.fingerprint);
}

/// JSON in which each number has another form with the same value.
fn in_other_form(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_i64().map(|whole| (whole, whole as f64)) {
            #[expect(clippy::cast_possible_truncation, reason = "the test needs the exact ones only")]
            Some((whole, float)) if float as i64 == whole && float.abs() < 9e15 => json!(float),
            _ => value.clone(),
        },
        Value::Array(values) => values.iter().map(in_other_form).collect(),
        Value::Object(fields) => fields
            .iter()
            .rev()
            .map(|(name, value)| (name.clone(), in_other_form(value)))
            .collect::<Map<_, _>>()
            .into(),
        _ => value.clone(),
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{0,2}", inner, 0..4)
                .prop_map(|map| Value::from(Map::from_iter(map))),
        ]
    })
}

proptest! {
    #[test]
    fn ext_is_compared_by_value(first in any_json(), second in any_json()) {
        let key = |value: &Value| recorded(json!({ "type": "txt", "msg": "" }), json!({ "k": value }));
        prop_assert_eq!(key(&first), key(&in_other_form(&first)));
        prop_assert_eq!(key(&first) == key(&second), in_other_form(&first) == in_other_form(&second));
        let again: Value = serde_json::from_str(&first.to_string()).unwrap();
        prop_assert_eq!(key(&first), key(&again));
    }
}

#[test]
fn a_user_and_a_group_of_the_same_id_are_never_the_same() {
    let key = |call| {
        let json = json!({ "from": "u1", "type": "txt", "body": { "msg": "hi" }, "ext": { "k": 1 } });
        let draft = check_draft(call, json, &MessageLimits::default()).unwrap();
        MatchKey::of_message(&draft, "g1")
    };
    let record = |chat_type: &str| {
        let body = json!({
            "callId": "org#app_1", "timestamp": 1_796_000_000_000_i64, "security": "00", "appkey": "org#app",
            "chat_type": chat_type, "group_id": "g1", "from": "u1", "to": "g1", "msg_id": "m1",
            "payload": { "bodies": [{ "type": "txt", "msg": "hi" }], "ext": { "k": 1 } },
        });
        let event = CallbackEvent::parse(body.to_string().as_bytes()).unwrap();
        let CallbackKind::Message(message) = event.kind else { panic!("{event:?}") };
        let line = json!({
            "msg_id": "m1", "timestamp": 1_796_000_000_000_i64, "direction": "outgoing", "chat_type": chat_type,
            "payload": { "bodies": [{ "type": "txt", "msg": "hi" }], "ext": { "k": 1 }, "from": "u1", "to": "g1" },
            "from": "org#app_u1", "to": "org#app_g1",
        });
        let line = MessageRecord::of_history_line(line.to_string().as_bytes()).unwrap().unwrap();
        assert_eq!((line.is_user, &line.key), (message.is_user, &message.key));
        message.key.unwrap()
    };
    assert_eq!(record("chat"), key(Call::User));
    assert_eq!(record("groupchat"), key(Call::Group));
    assert_ne!(key(Call::User), key(Call::Group));
    // The service reports rooms as groups.
    assert_eq!(record("groupchat"), key(Call::Room));
    assert_eq!(record("chatroom"), key(Call::Room));
}
