//! Callbacks of the service: their signature and their event.

use secrecy::SecretString;

use crate::records::{CallbackEvent, CallbackKind, SignedFields};

use super::{FuzzTarget, fuzz};

#[test]
fn no_input_breaks_it() {
    fuzz(&FuzzTarget { name: "callbacks", seeds, words: WORDS, cases: 8000, read });
}

const WORDS: &[&str] = &[
    "\"callId\"",
    "\"timestamp\"",
    "\"security\"",
    "\"appkey\"",
    "\"chat_type\"",
    "\"groupchat\"",
    "\"chatroom\"",
    "\"chat\"",
    "\"muc\"",
    "\"read_ack\"",
    "\"recall\"",
    "\"edit\"",
    "\"payload\"",
    "\"bodies\"",
    "\"ext\"",
    "\"meta\"",
    "\"edit_msg\"",
    "\"operator\"",
    "\"sender\"",
    "\"group_id\"",
    "\"from\"",
    "\"to\"",
    "\"msg_id\"",
    "\"recall_id\"",
    "\"ack_message_id\"",
    "\"edit_message_id\"",
    "\"event\"",
    "\"group_op_event\"",
    "\"operation\"",
    "\"JOIN\"",
    "\"LEAVE\"",
    "\"presence\"",
    "\"absence\"",
    "\"member\"",
    "\"type\"",
    "\"txt\"",
    "\"img\"",
    "\"custom\"",
    "{}",
    "[]",
    "null",
    "true",
    "org#app_u1@host/phone",
];

/// Returns callbacks of each kind.
fn seeds() -> Vec<Vec<u8>> {
    [
        r#""chat_type":"groupchat","group_id":"g1","from":"u1","to":"g1","msg_id":"m1","payload":{"bodies":[{"type":"txt","msg":"hi"}],"ext":{"k":1}}"#,
        r#""chat_type":"chat","from":"u1","to":"u2","msg_id":"m1","payload":{"bodies":[{"type":"img","url":"https://a/b/c/chatfiles/55f12940-64af-11e4-8a5b-ff2336f03252","filename":"a.jpg","secret":"s","size":{"width":1,"height":2}}],"ext":{}}"#,
        r#""chat_type":"groupchat","group_id":184524748161025,"from":"u1","to":"x","msg_id":"m1","payload":{"bodies":[{"type":"custom","customEvent":"e","customExts":[{"a":"b"}]}],"ext":{"mc":"0123456789abcdef"}}"#,
        r#""chat_type":"read_ack","from":"u2","to":"g1","msg_id":"r1","payload":{"ext":{},"ack_message_id":"m1","type":"read_ack"}"#,
        r#""chat_type":"recall","from":"u1","to":"g1","msg_id":"r1","recall_id":"m1","payload":{"ext":{},"ack_message_id":"m1","bodies":[]}"#,
        r#""chat_type":"edit","from":"internal","to":"internal","msg_id":"e1","payload":{"edit_message_id":"m1","bodies":[{"type":"txt","msg":"new"}],"to":"g1","meta":{"edit_msg":{"operator":"boss","sender":"u1"}},"type":"edit"}"#,
        r#""chat_type":"muc","from":"org#app_u1@easemob.com/phone","to":"g1","group_id":"g1","msg_id":"x","payload":{"muc_id":"g1","operation":"presence"}"#,
        r#""event":"group_op_event","operation":"JOIN","id":"g1","payload":{"member":["u1","u2"]}"#,
    ]
    .map(|more| {
        let head = r#"{"callId":"org#app_1","timestamp":1796000000000,"security":"9e107d9d372bb6826bd81d3542a419d6","appkey":"org#app","host":"h","#;
        format!("{head}{more}}}").into_bytes()
    })
    .to_vec()
}

fn read(input: &[u8]) -> String {
    let signed = match SignedFields::parse(input) {
        Ok(signed) => {
            let secrets = ["", "secret", "other"].map(SecretString::from);
            let far = [i64::MIN, 0, 1_796_000_000_000, i64::MAX].map(|now| signed.check(&secrets, now));
            format!("{far:?}")
        }
        Err(error) => return error.to_string(),
    };
    match CallbackEvent::parse(input) {
        Err(error) => format!("{error} {signed}"),
        Ok(event) => {
            let kind = match event.kind {
                CallbackKind::Message(message) => {
                    format!("message {:?} {}", message.kind, message.key.is_some())
                }
                CallbackKind::Recalled(changed) | CallbackKind::Edited(changed) => {
                    format!("changed {} {}", changed.body.is_some(), changed.ext.is_some())
                }
                CallbackKind::Read { .. } => "read".to_owned(),
                CallbackKind::Joined { .. } => "joined".to_owned(),
                CallbackKind::Left { .. } => "left".to_owned(),
                CallbackKind::Other => "other".to_owned(),
            };
            format!("ok {kind} {signed}")
        }
    }
}
