//! `POST /messages/batch_recall`, and the older `POST /messages/msg_recall` of a single message.
//!
//! The vendor's errors are those of a single recall. So the first message that may not be recalled refuses the whole
//! call, which then recalls none. The attachment of a recalled message is deleted, even if other messages refer to it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::files::SimulatorFiles;
use super::payload::MessageContent;
use super::record::{MessageLog, ReceivedMessage};
use super::refusal::{INVALID_BODY, RECALL_CLOSED, RECALL_COMMAND, RECALL_TOO_LATE, RECALL_UNKNOWN, Refusal};
use super::settings::SimulatorSettings;
use super::time::ClockReading;

/// The most messages in one call (contract).
const MESSAGES: usize = 30;

#[derive(Deserialize)]
struct BatchRecallBody {
    msgs: Vec<RecallTarget>,
}

#[derive(Deserialize)]
struct RecallTarget {
    msg_id: Option<String>,
    to: Option<String>,
    from: Option<String>,
    chat_type: Option<String>,
    force: Option<bool>,
    #[serde(rename = "recallMessageExtensionInfo")]
    note: Option<String>,
}

/// The recalled messages.
#[derive(Debug)]
pub(super) struct Recalled {
    /// The results, for the answer: a list, or that of a single message.
    pub(super) data: Value,
    /// The number of results.
    pub(super) count: u64,
    /// The messages that the service still had.
    pub(super) messages: Vec<ReceivedMessage>,
}

/// Recalls the messages. With `force` a message is recalled whatever its age, even if
/// the service no longer has it.
pub(super) fn recall(
    settings: &SimulatorSettings,
    record: &mut MessageLog,
    files: &mut SimulatorFiles,
    body: &[u8],
    is_single: bool,
    now: ClockReading,
) -> Result<Recalled, Refusal> {
    if !settings.recall_open {
        return Err(RECALL_CLOSED);
    }
    let targets = if is_single {
        serde_json::from_slice(body).map(|target| vec![target])
    } else {
        serde_json::from_slice(body).map(|BatchRecallBody { msgs }| msgs)
    };
    let targets: Vec<RecallTarget> = targets.map_err(|_| INVALID_BODY)?;
    if targets.is_empty() || targets.len() > MESSAGES {
        return Err(Refusal::illegal_argument(format!("msgs size must be between 1 and {MESSAGES}")));
    }
    let window = u64::try_from(settings.limits.recall_window.as_millis()).unwrap_or(u64::MAX);
    for target in &targets {
        let id = required(target.msg_id.as_deref(), "msg_id")?;
        let to = required(target.to.as_deref(), "to")?;
        let chat = required(target.chat_type.as_deref(), "chat_type")?;
        let force = target.force.ok_or_else(|| Refusal::recall_without("force"))?;
        if !matches!(chat, "groupchat" | "chat" | "chatroom") {
            return Err(Refusal::illegal_argument("chat_type must be groupchat, chat or chatroom"));
        }
        match record.find(id) {
            Some(message) if message.group != to || message.chat.name() != chat || message.recalled => {
                return Err(RECALL_UNKNOWN);
            }
            Some(message) if MessageContent::of(message).kind == "cmd" => return Err(RECALL_COMMAND),
            Some(message) if !force && now.unix_ms().saturating_sub(message.at) > window => {
                return Err(RECALL_TOO_LATE);
            }
            None if !force => return Err(RECALL_UNKNOWN),
            Some(_) | None => {}
        }
    }
    let (mut results, mut messages) = (Vec::new(), Vec::new());
    for target in targets {
        if let Some(message) = target.msg_id.as_deref().and_then(|id| record.find(id)) {
            message.recalled = true;
            message.recall_note = target.note;
            if let Some(uuid) = MessageContent::of(message).attachment() {
                files.remove(uuid);
            }
            messages.push(message.clone());
        }
        results.push(json!({
            "msg_id": target.msg_id,
            "recalled": "yes",
            "chattype": target.chat_type,
            "from": target.from.as_deref().unwrap_or("admin"),
            "to": target.to,
        }));
    }
    let count = results.len() as u64;
    let data = if is_single { results.pop().unwrap_or_default() } else { results.into() };
    Ok(Recalled { data, count, messages })
}

/// Returns a field that must be there and not be empty.
fn required<'a>(value: Option<&'a str>, name: &str) -> Result<&'a str, Refusal> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| Refusal::recall_without(name))
}
