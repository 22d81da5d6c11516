//! `POST /messages/batch_recall`.
//!
//! The vendor's errors are those of a single recall. So the first message that may not be recalled refuses the whole
//! call, which then recalls none.

use serde::Deserialize;
use serde_json::{Value, json};

use super::record::MessageLog;
use super::refusal::{INVALID_BODY, RECALL_TOO_LATE, RECALL_UNKNOWN, RECALL_WITHOUT_TO, Refusal};
use super::settings::SimulatorLimits;
use super::time::ClockReading;

/// The most messages in one call (contract).
const MESSAGES: usize = 30;

#[derive(Deserialize)]
struct RecallRequest {
    msgs: Vec<RecallTarget>,
}

#[derive(Deserialize)]
struct RecallTarget {
    msg_id: String,
    to: Option<String>,
    from: Option<String>,
    chat_type: String,
    #[serde(default)]
    force: bool,
}

/// Recalls the messages and returns the result of each. With `force` a message is recalled whatever its age, even if
/// the service no longer has it.
pub(super) fn recall(
    limits: &SimulatorLimits,
    record: &mut MessageLog,
    body: &[u8],
    now: ClockReading,
) -> Result<Vec<Value>, Refusal> {
    let request: RecallRequest = serde_json::from_slice(body).map_err(|_| INVALID_BODY)?;
    if request.msgs.is_empty() || request.msgs.len() > MESSAGES {
        return Err(Refusal::illegal_argument(format!("msgs size must be between 1 and {MESSAGES}")));
    }
    let window = u64::try_from(limits.recall_window.as_millis()).unwrap_or(u64::MAX);
    for target in &request.msgs {
        let to = target.to.as_deref().filter(|to| !to.is_empty()).ok_or(RECALL_WITHOUT_TO)?;
        if target.chat_type != "groupchat" {
            return Err(Refusal::illegal_argument("chat_type must be groupchat"));
        }
        match record.find(&target.msg_id) {
            Some(message) if message.group != to || message.recalled => return Err(RECALL_UNKNOWN),
            Some(message) if !target.force && now.unix_ms().saturating_sub(message.at) > window => {
                return Err(RECALL_TOO_LATE);
            }
            None if !target.force => return Err(RECALL_UNKNOWN),
            Some(_) | None => {}
        }
    }
    let recalled = request.msgs.into_iter().map(|target| {
        if let Some(message) = record.find(&target.msg_id) {
            message.recalled = true;
        }
        json!({
            "msg_id": target.msg_id,
            "recalled": "yes",
            "chattype": "groupchat",
            "from": target.from.as_deref().unwrap_or("admin"),
            "to": target.to,
        })
    });
    Ok(recalled.collect())
}
