//! `PUT /messages/rewrite/{msg_id}`.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::chat::ChatKind;
use super::payload::MessageContent;
use super::record::{MessageLog, ReceivedMessage};
use super::refusal::{
    INVALID_BODY, REWRITE_BAD_ID, REWRITE_CLOSED, REWRITE_LIMIT, REWRITE_UNKNOWN, REWRITE_WRONG_TYPE,
    Refusal, TOO_LARGE,
};
use super::settings::SimulatorSettings;
use super::shape;

/// The most edits of one message (contract).
const EDITS: u32 = 10;

#[derive(Deserialize)]
struct RewriteRequest {
    user: Option<String>,
    new_msg: Option<Map<String, Value>>,
    new_ext: Option<Map<String, Value>>,
    is_combine_ext: Option<bool>,
}

/// An edit that was made.
#[derive(Debug)]
pub(super) struct AppliedEdit {
    /// The message after the edit.
    pub(super) message: ReceivedMessage,
    /// The user who edited it.
    pub(super) operator: String,
}

/// Edits a message. The checks, in order: whether the app may edit, the types of the fields, the id, whether the message is
/// stored and was not recalled, the number of its edits, what its type allows, the size.
pub(super) fn rewrite(
    settings: &SimulatorSettings,
    record: &mut MessageLog,
    id: &str,
    body: &[u8],
) -> Result<AppliedEdit, Refusal> {
    if !settings.rewrite_open {
        return Err(REWRITE_CLOSED);
    }
    let request: RewriteRequest = serde_json::from_slice(body).map_err(|_| INVALID_BODY)?;
    if !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(REWRITE_BAD_ID);
    }
    let message = record
        .find(id)
        .filter(|message| !message.recalled && !message.moderated && message.chat != ChatKind::Announcement);
    let message = message.ok_or(REWRITE_UNKNOWN)?;
    if message.edits >= EDITS {
        return Err(REWRITE_LIMIT);
    }
    let content = edited(
        MessageContent::of(message),
        request.new_msg,
        request.new_ext,
        request.is_combine_ext,
        settings,
    )?;
    let length = |part: &Option<Map<_, _>>| part.as_ref().map_or(0, json_length);
    if json_length(&content.body) + length(&content.ext) > settings.limits.message_bytes {
        return Err(TOO_LARGE);
    }
    let mut raw: Map<String, Value> = serde_json::from_str(message.raw.get()).unwrap_or_default();
    raw.insert("body".to_owned(), content.body.into());
    if let Some(ext) = content.ext {
        raw.insert("ext".to_owned(), ext.into());
    }
    let raw = RawValue::from_string(Value::from(raw).to_string()).map_err(|_| INVALID_BODY)?;
    message.raw = raw.into();
    message.edits += 1;
    Ok(AppliedEdit { message: message.clone(), operator: request.user.unwrap_or_else(|| "admin".to_owned()) })
}

/// Returns the content after the edit. A text or a custom message needs a new content, a file or a place takes a new
/// `ext` alone, and a command cannot be edited.
fn edited(
    mut content: MessageContent,
    new_msg: Option<Map<String, Value>>,
    new_ext: Option<Map<String, Value>>,
    combine: Option<bool>,
    settings: &SimulatorSettings,
) -> Result<MessageContent, Refusal> {
    let takes_content = match content.kind.as_str() {
        "txt" | "custom" => true,
        "img" | "audio" | "video" | "file" | "loc" => false,
        _ => return Err(REWRITE_WRONG_TYPE),
    };
    match new_msg {
        Some(mut new) if takes_content => {
            if new.remove("type").as_ref().and_then(Value::as_str) != Some(&*content.kind) {
                return Err(REWRITE_WRONG_TYPE);
            }
            if new.is_empty() || !shape::fits(&content.kind, &new, settings.strict) {
                return Err(INVALID_BODY);
            }
            content.body.extend(new);
        }
        Some(_) => return Err(REWRITE_WRONG_TYPE),
        None if takes_content => return Err(Refusal::illegal_argument("new_msg is required")),
        None if new_ext.is_none() => return Err(INVALID_BODY),
        None => {}
    }
    if let Some(new) = new_ext {
        match &mut content.ext {
            Some(old) if combine.unwrap_or(true) => old.extend(new),
            ext => *ext = Some(new),
        }
    }
    Ok(content)
}

/// Returns the length as compact JSON, in bytes.
fn json_length(part: &Map<String, Value>) -> usize {
    serde_json::to_string(part).map_or(usize::MAX, |json| json.len())
}
