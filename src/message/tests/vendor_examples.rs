//! Every example of the vendor's page passes the check, and its JSON is sent unchanged.

use serde_json::{Value, json};

use super::sent;
use crate::core::Call;
use crate::message::{MessageKind, types};

/// The request bodies of these examples.
fn examples() -> Vec<(Call, Value)> {
    let with_body = |kind: &str, body: Value| {
        (Call::Group, json!({"from": "user1", "to": ["184524748161025"], "type": kind, "body": body}))
    };
    vec![
        (
            Call::Group,
            json!({
                "from": "user1", "to": ["184524748161025"], "type": "txt", "need_group_ack": false,
                "body": {"msg": "testmessages"}, "roam_ignore_users": [], "ext": {"em_ignore_notification": true},
            }),
        ),
        (
            Call::Group,
            json!({
                "from": "user1", "to": ["184524748161025"], "type": "txt", "need_group_ack": false,
                "body": {"msg": "testmessages"}, "ext": {"em_ignore_notification": true},
                "routetype": "ROUTE_ONLINE",
            }),
        ),
        with_body(
            "img",
            json!({
                "filename": "testimg.jpg", "secret": "VfXXXXNb_",
                "url": "https://XXXX/XXXX/XXXX/chatfiles/55f12940-XXXX-XXXX-8a5b-ff2336f03252",
                "size": {"width": 480, "height": 720},
            }),
        ),
        with_body(
            "audio",
            json!({
                "url": "https://XXXX/XXXX/XXXX/chatfiles/1dfc7f50-XXXX-XXXX-8a07-7d75b8fb3d42",
                "filename": "testaudio.amr", "length": 10, "secret": "HfXXXXCjM",
            }),
        ),
        with_body(
            "video",
            json!({
                "filename": "test.avi",
                "thumb": "https://XXXX/XXXX/XXXX/chatfiles/67279b20-7f69-11e4-8eee-21d3334b3a97",
                "length": 0, "secret": "VfXXXXNb_", "file_length": 58103, "thumb_secret": "ZyXXXX2I",
                "url": "https://XXXX/XXXX/XXXX/chatfiles/671dfe30-XXXX-XXXX-ba67-8fef0d502f46",
            }),
        ),
        with_body(
            "file",
            json!({
                "filename": "test.txt", "secret": "1-g0XXXXua",
                "url": "https://XXXX/XXXX/XXXX/chatfiles/d7eXXXX7444",
            }),
        ),
        with_body("loc", json!({"lat": "39.966", "lng": "116.322", "addr": "中国北京市海淀区中关村"})),
        with_body("cmd", json!({"action": "action1"})),
        with_body("custom", json!({"customEvent": "custom_event", "customExts": {"ext_key1": "ext_value1"}})),
        (
            Call::Targeted,
            json!({
                "from": "user1", "to": ["184524748161025"], "type": "txt", "body": {"msg": "testmessages"},
                "ext": {"em_ignore_notification": true}, "users": ["user2", "user3"],
            }),
        ),
    ]
}

#[test]
fn every_example_is_sent_as_the_seed_has_it() {
    for (call, example) in examples() {
        assert_eq!(sent(call, example.clone()), example);
    }
}

#[test]
fn the_examples_show_every_type() {
    let shown: Vec<_> = examples().iter().map(|(_, example)| example["type"].clone()).collect();
    assert!(types().all(|kind| shown.contains(&json!(kind))));
    assert_eq!(types().filter_map(MessageKind::from_name).collect::<Vec<_>>(), MessageKind::ALL);
}

#[test]
fn every_type_can_be_targeted() {
    for (_, mut example) in examples() {
        let fields = example.as_object_mut().unwrap();
        fields
            .retain(|name, _| !["need_group_ack", "roam_ignore_users", "routetype"].contains(&name.as_str()));
        fields.insert("users".into(), json!(["user2"]));
        assert_eq!(sent(Call::Targeted, example.clone()), example);
    }
}

#[test]
fn only_the_fields_given_are_sent() {
    for (kind, body) in [
        ("txt", json!({"msg": "."})),
        ("img", json!({"url": "u"})),
        ("audio", json!({"url": "u"})),
        ("video", json!({"url": "u"})),
        ("file", json!({"url": "u"})),
        ("custom", json!({"customEvent": "a-Z_0/9."})),
        ("custom", json!({"customExts": {}})),
    ] {
        let message = json!({"to": ["g"], "type": kind, "body": body});
        assert_eq!(sent(Call::Group, message.clone()), message);
    }
}
