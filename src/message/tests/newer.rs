//! Fields that are newer than the vendor's page of group messages: those that are known, and those that are let through.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::malformed::{body, body_cases, cases, message, targeted, targeted_cases};
use super::{checked, refused_fields, sent};
use crate::core::Call;
use crate::message::{ExtraNames, MessageLimits, check, check_draft, check_stored};

fn letting(fields: &[&str], in_body: &[&str]) -> MessageLimits {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let extra = ExtraNames { message: owned(fields), body: owned(in_body) };
    MessageLimits { extra, ..MessageLimits::default() }
}

#[test]
fn the_route_of_callbacks_and_the_senders_own_devices_are_checked() {
    for (call, message) in
        [(Call::Group, message as fn(Value) -> Value), (Call::Targeted, targeted as fn(Value) -> Value)]
    {
        for env in ["a", "prod", "A1b2C3d4"] {
            let sent = sent(call, message(json!({"env": env, "sync_device": true})));
            assert_eq!((&sent["env"], &sent["sync_device"]), (&json!(env), &json!(true)));
        }
        for env in [json!(""), json!("A1b2C3d4e"), json!("pro-d"), json!("生产"), json!(1), json!(null)] {
            assert_eq!(refused_fields(call, message(json!({"env": env}))), ["env"]);
        }
        for sync in [json!("true"), json!(1), json!(null)] {
            assert_eq!(refused_fields(call, message(json!({"sync_device": sync}))), ["sync_device"]);
        }
    }
    let edit = check_draft(Call::Edit, json!({"ext": {}, "env": "a"}), &MessageLimits::default());
    assert!(edit.unwrap_err().to_string().contains("`env` is not a field of an edit"));
}

#[test]
fn the_fields_of_the_vendors_own_libraries_are_taken() {
    for kind in ["img", "audio", "video", "file"] {
        let given = json!({"url": "u", "file_length": 58103});
        assert_eq!(sent(Call::Group, body(kind, given.clone()))["body"], given);
        let wrong = body(kind, json!({"url": "u", "file_length": -1}));
        assert_eq!(refused_fields(Call::Group, wrong), ["body.file_length"]);
    }
    let command = json!({"action": "a", "param": {"key": [1, "x"]}});
    assert_eq!(sent(Call::Group, body("cmd", command.clone()))["body"], command);
    let wrong = body("cmd", json!({"action": "a", "param": "x"}));
    assert_eq!(refused_fields(Call::Group, wrong), ["body.param"]);
}

#[test]
fn a_field_that_the_settings_name_is_sent_as_it_is() {
    let given = json!({
        "to": ["1"], "type": "txt", "body": {"msg": "m", "lang": ["CANARY"]}, "newest": {"a": null, "b": 0.1},
    });
    let problems = checked(Call::Group, given.clone()).unwrap_err().to_string();
    for said in ["name it in `extra_fields` of [app]", "name it in `body_fields` of [app]"] {
        assert!(problems.contains(said), "{problems}");
    }
    let limits = letting(&["newest"], &["lang"]);
    let message = check(Call::Group, given.clone(), &limits).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&message.to_json()).unwrap(), given);
    // The size counts it, and nothing shows its value.
    assert_eq!(message.size(), r#"{"msg":"m","lang":["CANARY"]}"#.len());
    assert!(!format!("{message:?}").contains("CANARY"), "{message:?}");
    // Each is let through in its own place.
    for (fields, in_body) in [(&["lang"][..], &["newest"][..]), (&["newest"], &[]), (&[], &["lang"])] {
        assert!(check(Call::Group, given.clone(), &letting(fields, in_body)).is_err());
    }
    let edit = json!({"body": {"msg": "m", "lang": "de"}});
    let edit = check_draft(Call::Edit, edit, &limits).unwrap().edit("1".into(), "2".into()).unwrap();
    let edit: Value = serde_json::from_slice(&edit.to_json()).unwrap();
    assert_eq!(edit["new_msg"], json!({"type": "txt", "msg": "m", "lang": "de"}));
}

#[test]
fn a_stored_message_keeps_its_fields_when_the_settings_no_longer_name_them() {
    let given = json!({"type": "txt", "body": {"msg": "m", "lang": "de"}, "newest": 1, "env": "a"});
    let draft = check_draft(Call::Group, given.clone(), &letting(&["newest"], &["lang"])).unwrap();
    let stored: Value = serde_json::from_slice(&draft.to_json()).unwrap();
    assert_eq!(stored, given);
    let read = check_stored(Call::Group, stored, 5120).unwrap();
    assert_eq!(read.to_json(), draft.to_json());
    // A stored message has no recipients of its own, whatever is written into it.
    for field in ["to", "users"] {
        let mut stored = given.clone();
        stored[field] = json!(["1"]);
        assert!(check_stored(Call::Group, stored, 5120).is_err(), "{field}");
    }
}

proptest! {
    /// Whatever fields the settings let through, a message that breaks a rule for other reasons is refused still.
    #[test]
    fn no_setting_lets_a_message_through_that_breaks_a_rule(
        names in proptest::collection::vec("[a-z_]{1,12}|to|users|from|type|body|ext|msg|url|routetype|roam_ignore_users", 0..12),
    ) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let limits = letting(&names, &[]);
        let group = cases().into_iter().chain(body_cases()).map(|case| (Call::Group, case));
        for (call, (message, field)) in group.chain(targeted_cases().into_iter().map(|case| (Call::Targeted, case))) {
            if !names.contains(&field) || crate::message::is_field(field) {
                prop_assert!(check(call, message.clone(), &limits).is_err(), "{message} with {names:?}");
            }
        }
    }
}
