//! `POST /messages`: the old call for all recipients, which older clients make. The service still takes it.
//!
//! Its answer names `success` for each recipient, or the message's id if the query has `useMsgId=true`.

use axum::http::Uri;
use serde_json::{Map, Value};

use super::chat::ChatKind;
use super::fields::JsonFields;
use super::refusal::{INVALID_BODY, Refusal};

/// The most recipients in one call (vendor's older page).
pub(super) const RECIPIENTS: usize = 600;

/// Returns what the recipients are, and the message as today's call has it.
pub(super) fn translate(body: &[u8]) -> Result<(ChatKind, Vec<u8>), Refusal> {
    let kind: Option<String> = JsonFields::read(body)?.get("target_type")?;
    let chat = match kind.as_deref() {
        Some("chatgroups") => ChatKind::Group,
        Some("users") => ChatKind::User,
        Some("chatrooms") => ChatKind::Room,
        _ => return Err(INVALID_BODY),
    };
    let mut message: Map<String, Value> = serde_json::from_slice(body).map_err(|_| INVALID_BODY)?;
    message.remove("target_type");
    if let Some(to) = message.remove("target") {
        message.insert("to".to_owned(), to);
    }
    if let Some(Value::Object(mut content)) = message.remove("msg") {
        if let Some(kind) = content.remove("type") {
            message.insert("type".to_owned(), kind);
        }
        message.insert("body".to_owned(), content.into());
    }
    Ok((chat, Value::from(message).to_string().into_bytes()))
}

/// Whether the answer names the ids of the messages.
pub(super) fn wants_ids(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|part| part == "useMsgId=true"))
}
