//! The events of callbacks, in both forms of the service.

use serde_json::{Value, json};

use crate::message::MessageKind;
use crate::records::{CallbackEvent, CallbackKind, RecordError};

/// Returns a callback with the fields that each has, and those of `more`.
fn callback(more: Value) -> Value {
    let mut body = json!({
        "callId": "org#app_1", "timestamp": 1_796_000_000_000_i64, "security": "00", "appkey": "org#app",
        "eventType": "chat", "host": "h", "securityVersion": "1.0.0", "a_new_field": { "x": [] },
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn read(more: Value) -> Result<CallbackKind, RecordError> {
    CallbackEvent::parse(callback(more).to_string().as_bytes()).map(|event| event.kind)
}

fn message() -> Value {
    json!({
        "chat_type": "groupchat", "group_id": "g1", "from": "u1", "to": "g1", "msg_id": "m1",
        "content_type": "chat:group:text",
        "payload": { "bodies": [{ "type": "txt", "msg": "hi" }], "ext": { "k": 1 } },
    })
}

#[test]
fn a_message_to_a_group_or_a_room_comes_with_all_its_fields() {
    for timestamp in [json!(1_796_000_000_001_i64), json!("1796000000001")] {
        let mut body = callback(message());
        body["timestamp"] = timestamp;
        let event = CallbackEvent::parse(body.to_string().as_bytes()).unwrap();
        assert_eq!((event.call_id.as_str(), event.app_key.as_str()), ("org#app_1", "org#app"));
        assert_eq!(event.at_ms, 1_796_000_000_001);
        let CallbackKind::Message(message) = event.kind else { panic!("{:?}", event.kind) };
        assert_eq!(
            (message.message_id.as_str(), message.group.as_str(), message.sender.as_str()),
            ("m1", "g1", "u1")
        );
        assert_eq!((message.at_ms, message.kind), (1_796_000_000_001, Some(MessageKind::Txt)));
        assert_eq!((&message.body["msg"], &message.ext["k"]), (&json!("hi"), &json!(1)));
        assert_eq!(message.key.unwrap().mark, None);
    }
    let mut without_group = message();
    without_group.as_object_mut().unwrap().remove("group_id");
    without_group["to"] = json!(184_524_748_161_025_i64);
    let CallbackKind::Message(message) = read(without_group).unwrap() else { panic!("no message") };
    assert_eq!(message.group, "184524748161025");
}

#[test]
fn a_type_that_mooncast_does_not_send_is_an_event_without_a_key() {
    let mut combined = message();
    combined["payload"]["bodies"][0] = json!({ "type": "combine", "title": "t" });
    let CallbackKind::Message(message) = read(combined).unwrap() else { panic!("no message") };
    assert_eq!((message.kind, message.key), (None, None));
}

#[test]
fn half_a_message_is_refused_with_the_field_that_is_missing() {
    for (pointer, replaced, field) in [
        ("/msg_id", Value::Null, "msg_id"),
        ("/from", json!(""), "from"),
        ("/payload", Value::Null, "payload"),
        ("/payload/bodies", json!([]), "bodies"),
        ("/payload/bodies", json!([{ "type": "txt", "msg": "a" }, { "type": "txt", "msg": "b" }]), "bodies"),
        ("/payload/bodies/0", json!({ "type": "txt" }), "msg"),
        ("/payload/bodies/0", json!({ "msg": "a" }), "type"),
        ("/payload/ext", json!("text"), "ext"),
    ] {
        let mut half = message();
        *half.pointer_mut(pointer).unwrap() = replaced;
        assert_eq!(read(half.clone()), Err(RecordError::Field(field)), "{half}");
    }
    let mut nowhere = message();
    nowhere["group_id"] = Value::Null;
    nowhere["to"] = Value::Null;
    assert_eq!(read(nowhere), Err(RecordError::Field("to")));
    let mut no_app = callback(message());
    no_app.as_object_mut().unwrap().remove("appkey");
    assert_eq!(CallbackEvent::parse(no_app.to_string().as_bytes()), Err(RecordError::Field("appkey")));
}

#[test]
fn receipts_recalls_and_edits_name_the_message_that_they_concern() {
    let of = |id: &str| (id.to_owned(), "g1".to_owned());
    let (message_id, group) = of("m1");
    let read_ack = json!({
        "chat_type": "read_ack", "from": "u2", "to": "g1", "msg_id": "r1",
        "payload": { "ext": {}, "ack_message_id": "m1", "type": "read_ack" },
    });
    assert_eq!(read(read_ack), Ok(CallbackKind::Read { message_id, group, member: "u2".to_owned() }));
    let recall = |recalled: Value, acknowledged: Value| {
        json!({
            "chat_type": "recall", "from": "u1", "to": "g1", "msg_id": "r1", "recall_id": recalled,
            "payload": { "ext": {}, "ack_message_id": acknowledged, "bodies": [] },
        })
    };
    for (recalled, acknowledged) in
        [(json!("m1"), json!("m1")), (json!("m1"), Value::Null), (Value::Null, json!("m1"))]
    {
        let Ok(CallbackKind::Recalled(recalled)) = read(recall(recalled, acknowledged)) else { panic!() };
        assert_eq!((recalled.message_id, recalled.group), of("m1"));
        assert_eq!((recalled.user.as_deref(), recalled.is_group, recalled.body), (Some("u1"), false, None));
    }
    assert_eq!(
        read(recall(json!("m1"), json!("m2"))),
        Err(RecordError::Contradiction("recall_id", "ack_message_id"))
    );
    let edit = json!({
        "chat_type": "edit", "from": "internal", "to": "internal", "msg_id": "e1",
        "payload": { "edit_message_id": "m1", "bodies": [{ "type": "txt", "msg": "new" }], "to": "g1", "type": "edit" },
    });
    let Ok(CallbackKind::Edited(edited)) = read(edit.clone()) else { panic!() };
    assert_eq!((edited.message_id, edited.group), of("m1"));
    assert_eq!(edited.body.unwrap()["msg"], "new");
    assert_eq!((edited.is_group, edited.named), (false, vec!["internal".to_owned()]));
    let mut event = edit;
    event["group_id"] = json!("g1");
    event["payload"]["meta"] = json!({ "edit_msg": { "operator": "boss", "sender": "u1" } });
    let Ok(CallbackKind::Edited(edited)) = read(event) else { panic!() };
    assert_eq!((edited.user.as_deref(), edited.is_group), (Some("boss"), true));
    assert_eq!(edited.named, ["boss", "u1", "internal"]);
    for chat_type in ["read_ack", "recall", "edit"] {
        assert!(read(json!({ "chat_type": chat_type, "from": "u", "to": "g", "msg_id": "m" })).is_err());
    }
}

#[test]
fn members_join_and_leave_in_the_new_and_the_old_form() {
    let changed = |operation: &str, member: Value| {
        json!({
            "event": "group_op_event", "operation": operation, "operator": "@ppAdmin", "id": "g1", "type": "GROUP",
            "payload": { "member": member, "type": "DIRECT" },
        })
    };
    let old = |operation: &str| {
        json!({
            "chat_type": "muc", "group_id": "g1", "to": "g1", "msg_id": "m", "from": "org#app_u_1@easemob.com/ios_7",
            "payload": { "muc_id": "org#app_g1@conference.easemob.com", "is_chatroom": false, "operation": operation },
        })
    };
    let joined = |members: &[&str]| {
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        Ok(CallbackKind::Joined { group: "g1".to_owned(), members })
    };
    let left =
        |member: &str| Ok(CallbackKind::Left { group: "g1".to_owned(), members: vec![member.to_owned()] });
    assert_eq!(read(changed("JOIN", json!(["u1", "u2"]))), joined(&["u1", "u2"]));
    assert_eq!(read(changed("JOIN", json!("u1"))), joined(&["u1"]));
    assert_eq!(read(changed("LEAVE", json!(["u1"]))), left("u1"));
    assert_eq!(read(old("presence")), joined(&["u_1"]));
    assert_eq!(read(old("absence")), left("u_1"));
    let mut plain = old("presence");
    plain["from"] = json!("u1");
    assert_eq!(read(plain), joined(&["u1"]));
    for member in [json!([]), Value::Null, json!([{}])] {
        assert_eq!(read(changed("JOIN", member)), Err(RecordError::Field("member")));
    }
    // The old form reports the same departure also as `leave`, and an arrival also as its cause.
    for other in ["leave", "kick", "direct_joined", "invite_accept", "create"] {
        assert_eq!(read(old(other)), Ok(CallbackKind::Other), "{other}");
    }
    assert_eq!(read(changed("CREATE", json!(["u1"]))), Ok(CallbackKind::Other));
}

#[test]
fn all_other_events_are_other() {
    for more in [
        json!({}),
        json!({ "chat_type": "chat", "from": "u1", "to": "u2", "msg_id": "m", "payload": {} }),
        json!({ "event": "user_op_event" }),
        json!({ "reason": "login", "status": "online" }),
        json!({ "chat_type": 7 }),
    ] {
        assert_eq!(read(more.clone()), Ok(CallbackKind::Other), "{more}");
    }
}
