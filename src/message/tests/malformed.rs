//! Malformed messages, each with the field that the check refuses.

use serde_json::{Value, json};

/// Returns a valid message with some fields replaced. A `null` stays a `null`.
pub(super) fn message(changes: Value) -> Value {
    let mut message = json!({"to": ["g1"], "type": "txt", "body": {"msg": "m"}});
    message.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    message
}

pub(super) fn targeted(changes: Value) -> Value {
    let mut message = message(json!({"users": ["u1"]}));
    message.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    message
}

fn without(mut message: Value, field: &str) -> Value {
    message.as_object_mut().unwrap().remove(field).unwrap();
    message
}

pub(super) fn body(kind: &str, body: Value) -> Value {
    message(json!({"type": kind, "body": body}))
}

pub(super) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("id{number}")).collect()
}

/// Group messages with one wrong field each.
#[rustfmt::skip]
pub(super) fn cases() -> Vec<(Value, &'static str)> {
    vec![
        (json!("hello"), ""),
        (json!(null), ""),
        (json!([]), ""),
        (message(json!({"from": ""})), "from"),
        (message(json!({"from": null})), "from"),
        (message(json!({"from": true})), "from"),
        (message(json!({"from": 1.5})), "from"),
        (without(message(json!({})), "to"), "to"),
        (message(json!({"to": []})), "to"),
        (message(json!({"to": {}})), "to"),
        (message(json!({"to": null})), "to"),
        (message(json!({"to": ""})), "to"),
        (message(json!({"to": 0.5})), "to"),
        (message(json!({"to": true})), "to"),
        (message(json!({"to": numbered(4)})), "to"),
        (message(json!({"to": ["a", ""]})), "to[2]"),
        (message(json!({"to": ["a", "b", "a"]})), "to[3]"),
        (message(json!({"to": ["7", 7]})), "to[2]"),
        (message(json!({"to": [["a"]]})), "to[1]"),
        (message(json!({"to": ["a", null]})), "to[2]"),
        (message(json!({"to": [1e17]})), "to[1]"),
        (without(message(json!({})), "type"), "type"),
        (message(json!({"type": ""})), "type"),
        (message(json!({"type": "text"})), "type"),
        (message(json!({"type": "TXT"})), "type"),
        (message(json!({"type": 1})), "type"),
        (message(json!({"type": null})), "type"),
        (without(message(json!({})), "body"), "body"),
        (message(json!({"body": {}})), "body"),
        (message(json!({"body": []})), "body"),
        (message(json!({"body": "m"})), "body"),
        (message(json!({"body": null})), "body"),
        (body("custom", json!({})), "body"),
        (message(json!({"ext": null})), "ext"),
        (message(json!({"ext": []})), "ext"),
        (message(json!({"ext": "e"})), "ext"),
        (message(json!({"ext": {"em_ignore_notification": "true"}})), "ext.em_ignore_notification"),
        (message(json!({"ext": {"em_ignore_notification": null}})), "ext.em_ignore_notification"),
        (message(json!({"ext": {"k": "x".repeat(5200)}})), "ext"),
        (body("txt", json!({"msg": "x".repeat(5200)})), "body"),
        (message(json!({"roam_ignore_users": numbered(21)})), "roam_ignore_users"),
        (message(json!({"roam_ignore_users": "u"})), "roam_ignore_users"),
        (message(json!({"roam_ignore_users": {}})), "roam_ignore_users"),
        (message(json!({"roam_ignore_users": ["u", {}]})), "roam_ignore_users[2]"),
        (message(json!({"roam_ignore_users": null})), "roam_ignore_users"),
        (message(json!({"routetype": "ROUTE_OFFLINE"})), "routetype"),
        (message(json!({"routetype": "route_online"})), "routetype"),
        (message(json!({"routetype": ""})), "routetype"),
        (message(json!({"routetype": true})), "routetype"),
        (message(json!({"need_group_ack": "yes"})), "need_group_ack"),
        (message(json!({"need_group_ack": 1})), "need_group_ack"),
        (message(json!({"users": ["u"]})), "users"),
        (message(json!({"msg": "m"})), "msg"),
        (message(json!({"routeType": "ROUTE_ONLINE"})), "routeType"),
    ]
}

/// Group messages with one wrong field of `body` each.
#[rustfmt::skip]
pub(super) fn body_cases() -> Vec<(Value, &'static str)> {
    let seventeen: serde_json::Map<_, _> = numbered(17).into_iter().map(|key| (key, json!("v"))).collect();
    vec![
        (body("txt", json!({"msg": 5})), "body.msg"),
        (body("txt", json!({"msg": null})), "body.msg"),
        (body("txt", json!({"msg": ["m"]})), "body.msg"),
        (body("txt", json!({"msg": "m", "url": "u"})), "body.url"),
        (body("txt", json!({"msg": "m", "ext": {}})), "body.ext"),
        (body("img", json!({"filename": "f"})), "body.url"),
        (body("img", json!({"url": ""})), "body.url"),
        (body("img", json!({"url": 5})), "body.url"),
        (body("img", json!({"url": "u", "secret": false})), "body.secret"),
        (body("img", json!({"url": "u", "filename": 1})), "body.filename"),
        (body("img", json!({"url": "u", "size": 12})), "body.size"),
        (body("img", json!({"url": "u", "size": null})), "body.size"),
        (body("img", json!({"url": "u", "size": {"width": 1}})), "body.size.height"),
        (body("img", json!({"url": "u", "size": {"width": "1", "height": 1}})), "body.size.width"),
        (body("img", json!({"url": "u", "size": {"width": 1, "height": 1.5}})), "body.size.height"),
        (body("img", json!({"url": "u", "size": {"width": -1, "height": 1}})), "body.size.width"),
        (body("img", json!({"url": "u", "size": {"width": 1, "height": 1, "depth": 1}})), "body.size.depth"),
        (body("img", json!({"url": "u", "length": 3})), "body.length"),
        (body("audio", json!({"url": "u", "length": -3})), "body.length"),
        (body("audio", json!({"url": "u", "Length": "3"})), "body.Length"),
        (body("audio", json!({"length": 3})), "body.url"),
        (body("video", json!({"url": "u", "length": 0.5})), "body.length"),
        (body("video", json!({"url": "u", "file_length": "9"})), "body.file_length"),
        (body("video", json!({"url": "u", "file_length": 1e300})), "body.file_length"),
        (body("video", json!({"url": "u", "thumb": 1})), "body.thumb"),
        (body("video", json!({"url": "u", "thumb": ""})), "body.thumb"),
        (body("video", json!({"url": "u", "thumb_secret": 1})), "body.thumb_secret"),
        (body("file", json!({"filename": "f"})), "body.url"),
        (body("file", json!({"url": "u", "size": 1})), "body.size"),
        (body("loc", json!({"lng": "1", "addr": "a"})), "body.lat"),
        (body("loc", json!({"lat": "1", "addr": "a"})), "body.lng"),
        (body("loc", json!({"lat": "1", "lng": "2"})), "body.addr"),
        (body("loc", json!({"lat": "", "lng": "2", "addr": "a"})), "body.lat"),
        (body("loc", json!({"lat": "1", "lng": true, "addr": "a"})), "body.lng"),
        (body("loc", json!({"lat": "1", "lng": "2", "addr": ""})), "body.addr"),
        (body("cmd", json!({"Action": "a"})), "body.Action"),
        (body("cmd", json!({"action": ""})), "body.action"),
        (body("cmd", json!({"action": 1})), "body.action"),
        (body("custom", json!({"customEvent": ""})), "body.customEvent"),
        (body("custom", json!({"customEvent": "a b"})), "body.customEvent"),
        (body("custom", json!({"customEvent": "事件"})), "body.customEvent"),
        (body("custom", json!({"customEvent": "ok\n"})), "body.customEvent"),
        (body("custom", json!({"customEvent": "e".repeat(33)})), "body.customEvent"),
        (body("custom", json!({"customEvent": 1})), "body.customEvent"),
        (body("custom", json!({"customExts": seventeen})), "body.customExts"),
        (body("custom", json!({"customExts": []})), "body.customExts"),
        (body("custom", json!({"customExts": {"k": 1}})), "body.customExts.k"),
        (body("custom", json!({"customExts": {"k": null}})), "body.customExts.k"),
        (body("custom", json!({"customexts": {"k": "v"}})), "body.customexts"),
    ]
}

/// Targeted messages with one wrong field each.
pub(super) fn targeted_cases() -> Vec<(Value, &'static str)> {
    vec![
        (without(targeted(json!({})), "users"), "users"),
        (targeted(json!({"users": []})), "users"),
        (targeted(json!({"users": {}})), "users"),
        (targeted(json!({"users": "u1"})), "users"),
        (targeted(json!({"users": null})), "users"),
        (targeted(json!({"users": numbered(21)})), "users"),
        (targeted(json!({"users": ["a", "a"]})), "users[2]"),
        (targeted(json!({"users": [3, 4, "3"]})), "users[3]"),
        (targeted(json!({"users": [""]})), "users[1]"),
        (targeted(json!({"users": ["a", false]})), "users[2]"),
        (targeted(json!({"to": ["a", "b"]})), "to"),
        (targeted(json!({"to": []})), "to"),
        (targeted(json!({"from": ""})), "from"),
        (targeted(json!({"need_group_ack": false})), "need_group_ack"),
        (targeted(json!({"roam_ignore_users": []})), "roam_ignore_users"),
        (targeted(json!({"routetype": "ROUTE_ONLINE"})), "routetype"),
    ]
}
