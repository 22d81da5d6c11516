//! The records of the service, what they prove, and what proves them.

#![expect(clippy::needless_pass_by_value, reason = "`json!` written in place reads best")]

mod callbacks;
mod fingerprints;
mod histories;
mod hours;
mod matching;
mod random_histories;
mod signatures;

use serde_json::{Value, json};

use super::MessageRecord;

/// Returns a line of a history file about a message to the group `g1`.
fn line(id: &str, at_ms: i64, body: Value, ext: Value) -> String {
    json!({
        "msg_id": id, "timestamp": at_ms, "direction": "outgoing", "chat_type": "groupchat", "from": "internal", "to": "x",
        "payload": { "bodies": [body], "ext": ext, "from": "admin", "to": "g1" },
    })
    .to_string()
}

/// Reads the record of a message to the group `g1`.
fn record(body: Value, ext: Value) -> MessageRecord {
    MessageRecord::of_history_line(line("m1", 1_000, body, ext).as_bytes()).unwrap().unwrap()
}
