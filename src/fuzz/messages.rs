//! JSON of scripts and of operators: the strict reader, and the check of messages.

use crate::core::Call;
use crate::input::decode_json;
use crate::message::{
    Draft, ExtraNames, MessageLimits, MessageProblems, check, check_draft, check_stored, exact_numbers,
};
use crate::records::MatchKey;

use super::{FuzzTarget, fuzz};

#[test]
fn no_input_breaks_it() {
    fuzz(&FuzzTarget { name: "messages", seeds, words: WORDS, cases: 4000, read });
}

pub(super) const WORDS: &[&str] = &[
    "\"to\"",
    "\"users\"",
    "\"from\"",
    "\"type\"",
    "\"body\"",
    "\"msg\"",
    "\"ext\"",
    "\"txt\"",
    "\"img\"",
    "\"audio\"",
    "\"video\"",
    "\"file\"",
    "\"loc\"",
    "\"cmd\"",
    "\"custom\"",
    "\"url\"",
    "\"filename\"",
    "\"secret\"",
    "\"size\"",
    "\"width\"",
    "\"height\"",
    "\"length\"",
    "\"lat\"",
    "\"lng\"",
    "\"customEvent\"",
    "\"customExts\"",
    "\"routetype\"",
    "\"sync_device\"",
    "\"message_id\"",
    "\"allow_empty\"",
    "\"need_group_ack\"",
    "\"roam_ignore_users\"",
    "\"chatroom_msg_level\"",
    "\"scope\"",
    "\"file_length\"",
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\"",
    ":",
    ",",
    "\"new\": {\"x\": 1}",
    "1.0e2",
    "1e308",
];

fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"from": "user1", "to": ["184524748161025"], "type": "txt", "body": {"msg": "testmessages"}, "ext": {"k": [1, 2.5, null]}}"#,
        r#"{"to": ["g1", "g2"], "type": "img", "body": {"filename": "a.jpg", "secret": "s", "url": "https://a/b/c/chatfiles/55f12940-64af-11e4-8a5b-ff2336f03252", "size": {"width": 480, "height": 720}}}"#,
        r#"{"to": ["g1"], "type": "video", "body": {"filename": "a.mp4", "thumb": "https://a/b/c/chatfiles/67279b20-7f69-11e4-8eee-21d3334b3a97", "length": 3, "secret": "s", "file_length": 58103, "thumb_secret": "t", "url": "https://a/b/c/chatfiles/671dfe30-7f69-11e4-ba67-8fef0d502f46"}}"#,
        r#"{"to": ["g1"], "type": "audio", "body": {"url": "https://a/b/c/chatfiles/1dfc7f50-55c6-11e4-8a07-7d75b8fb3d42", "filename": "a.amr", "length": 10, "secret": "s"}, "need_group_ack": true}"#,
        r#"{"to": ["g1"], "type": "loc", "body": {"lat": "39.966", "lng": "116.322", "addr": "中国"}, "routetype": "ROUTE_ONLINE"}"#,
        r#"{"to": ["g1"], "type": "custom", "body": {"customEvent": "e", "customExts": {"k": "v"}}, "roam_ignore_users": ["u"]}"#,
        r#"{"to": ["g1"], "users": ["u1", "u2"], "type": "cmd", "body": {"action": "a"}}"#,
        r#"{"to": ["g1"], "message_id": "1234567890123456789", "body": {"type": "txt", "msg": "new"}, "ext": {"a": 12345678901234567890123}}"#,
        r#"{"to": ["r1"], "type": "txt", "body": {"msg": "m"}, "chatroom_msg_level": "high"}"#,
        r#"{"scope": "all", "type": "txt", "body": {"msg": "to all"}}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn read(input: &[u8]) -> String {
    let _ = exact_numbers(input);
    judge(input)
}

/// Checks a message for every call.
pub(super) fn judge(json: &[u8]) -> String {
    let value = match decode_json(json) {
        Ok(value) => value,
        Err(fault) => return fault.to_string(),
    };
    let extra = ExtraNames { message: vec!["new".to_owned()], body: vec!["new".to_owned()] };
    let all = [MessageLimits::default(), MessageLimits { message_bytes: 100_000, extra }];
    let mut outcome = "ok".to_owned();
    for call in Call::ALL {
        for limits in &all {
            let told = match check(call, value.clone(), limits) {
                Ok(message) => {
                    let _ =
                        (message.to_json(), message.size(), message.recipient_count(), message.user_count());
                    of_draft(call, message.draft())
                }
                Err(problems) => words(&problems),
            };
            outcome.push_str(&told);
        }
        if let Ok(draft) = check_draft(call, value.clone(), &all[1]) {
            outcome.push_str(&of_draft(call, &draft));
        }
        let _ = check_stored(call, value.clone(), 5000).map(|draft| draft.size());
    }
    outcome
}

/// What a draft writes can be read again.
fn of_draft(call: Call, draft: &Draft) -> String {
    let stored = decode_json(&draft.to_json()).unwrap();
    if call != Call::Edit && call != Call::Announce {
        check_stored(call, stored, 100_000).unwrap();
    }
    let key = MatchKey::of_message(draft, "g1");
    format!("{:?} {}", draft.kind(), key.mark.is_some())
}

fn words(problems: &MessageProblems) -> String {
    let words: Vec<String> = problems.iter().take(3).map(ToString::to_string).collect();
    words.join("; ")
}
