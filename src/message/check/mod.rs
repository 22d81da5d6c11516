//! Turns the JSON of a script's message into a message that can be sent, or into the list of all its problems.
//!
//! A wrong field adds a problem and reads as a harmless default, so that the check reaches every field.

mod body;
mod file;
mod object;
mod readers;
mod recipients;
mod unknown;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::core::{Call, abbreviates, nearest};

use super::draft::DraftContent;
use super::limits::ROUTE_ONLINE;
use super::problem::Findings;
use super::{
    Draft, Message, MessageKind, MessageLimits, MessageProblem, MessageProblems, ROAM_IGNORE_USERS, shown,
    types,
};
use object::ObjectReader;

/// Checks a message with its recipients, as `im.group_send` and `im.targeted_send` take it.
pub fn check(call: Call, value: Value, limits: &MessageLimits) -> Result<Message, MessageProblems> {
    let mut problems = Findings::default();
    let mut fields = ObjectReader::new("", top_level(value)?, &mut problems);
    let to = recipients::read_to(&mut fields, call);
    let users = match call {
        Call::Group => Vec::new(),
        Call::Targeted => recipients::read_users(&mut fields),
    };
    let draft = read_draft(call, fields, limits.message_bytes, EmptyTextRule::AsMessageSays);
    recipients::join(problems.verdict(draft)?, to, users)
}

/// Checks a message without recipients, as a broadcast takes it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as `check`")]
pub fn check_draft(call: Call, value: Value, limits: &MessageLimits) -> Result<Draft, MessageProblems> {
    read_without_recipients(call, value, limits.message_bytes, EmptyTextRule::AsMessageSays)
}

/// Checks a draft that was stored ([`Draft::to_json`]). This is [`check_draft`] without the check for an empty text,
/// which happened before the draft was stored.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as `check`")]
pub fn check_stored(call: Call, value: Value, limits: &MessageLimits) -> Result<Draft, MessageProblems> {
    read_without_recipients(call, value, limits.message_bytes, EmptyTextRule::Allowed)
}

/// Whether to refuse a text without visible characters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EmptyTextRule {
    /// Refused unless the message's `allow_empty` is true.
    AsMessageSays,
    /// Never refused.
    Allowed,
}

fn read_without_recipients(
    call: Call,
    value: Value,
    message_bytes: usize,
    empty: EmptyTextRule,
) -> Result<Draft, MessageProblems> {
    let mut problems = Findings::default();
    let mut fields = ObjectReader::new("", top_level(value)?, &mut problems);
    recipients::refuse(&mut fields, call);
    let draft = read_draft(call, fields, message_bytes, empty);
    problems.verdict(draft)
}

fn top_level(value: Value) -> Result<Map<String, Value>, MessageProblem> {
    match value {
        Value::Object(map) => Ok(map),
        other => {
            let given = shown::value(&other);
            let message = format!("a message must be an object of fields, not {given}");
            Err(MessageProblem::new("", message).limit("an object").value(&given))
        }
    }
}

/// Reads everything but the recipients. Returns None if the body could not be read.
fn read_draft(
    call: Call,
    mut fields: ObjectReader<'_>,
    max_bytes: usize,
    empty: EmptyTextRule,
) -> Option<Draft> {
    let asked = fields.optional("allow_empty", readers::boolean);
    let may_be_empty = empty == EmptyTextRule::Allowed || asked == Some(true);
    let from = fields.optional("from", readers::user);
    let kind = read_kind(&mut fields);
    let (need_group_ack, roam_ignore_users, online_only) = match call {
        Call::Group => (
            fields.optional("need_group_ack", readers::boolean),
            read_roam_ignore_users(&mut fields),
            read_routetype(&mut fields),
        ),
        // Unread fields are reported as fields of the other call.
        Call::Targeted => (None, None, false),
    };
    let body = read_body(&mut fields);
    let ext = read_ext(&mut fields);
    let problems = fields.end(|name| unknown::top_level(call, name));

    let body = match (kind, body) {
        (Some(kind), Some(body)) => body::read(kind, body, may_be_empty, problems),
        (_, body) => {
            // This message is not sent. Its size is checked all the same, so that all problems are reported at once.
            check_size(json_bytes(body.as_ref()), json_bytes(ext.as_ref()), max_bytes, problems);
            return None;
        }
    };
    let content = DraftContent { call, from, body, ext, need_group_ack, roam_ignore_users, online_only };
    match Draft::new(content) {
        Ok(draft) => {
            let body_bytes = draft.body_json().len();
            check_size(body_bytes, draft.size() - body_bytes, max_bytes, problems);
            Some(draft)
        }
        Err(error) => {
            problems.add(unwritable(&error));
            None
        }
    }
}

fn unwritable(error: &serde_json::Error) -> MessageProblem {
    MessageProblem::new("", format!("the message cannot be written as JSON: {error}"))
}

fn read_kind(fields: &mut ObjectReader<'_>) -> Option<MessageKind> {
    let known = || types().collect::<Vec<_>>().join(", ");
    let Some(value) = fields.take("type") else {
        fields.note("type", |field| MessageProblem::missing(field, &format!("one of {}", known())));
        return None;
    };
    let Value::String(name) = value else {
        fields.note("type", |field| MessageProblem::wrong_type(field, "a string", &value));
        return None;
    };
    let kind = MessageKind::from_name(&name);
    if name.is_empty() {
        fields.note("type", |field| MessageProblem::empty(field, &format!("one of {}", known())));
    } else if kind.is_none() {
        let meant = nearest(&name, types()).or_else(|| types().find(|short| abbreviates(short, &name)));
        let given = shown::value(&Value::String(name));
        let hint = unknown::did_you_mean(meant);
        let message = format!("`type` {given} is not a type of message{hint} (known: {})", known());
        fields.note("type", |field| MessageProblem::new(field, message).limit(&known()).value(&given));
    }
    kind
}

fn read_roam_ignore_users(fields: &mut ObjectReader<'_>) -> Option<Vec<String>> {
    let value = fields.take("roam_ignore_users")?;
    let ids = recipients::list(
        "roam_ignore_users",
        value,
        "a list of user ids",
        crate::message::IdKind::User,
        fields,
    );
    if ids.len() > ROAM_IGNORE_USERS {
        let message =
            format!("`roam_ignore_users` names {} users, at most {ROAM_IGNORE_USERS} are allowed", ids.len());
        fields.note("roam_ignore_users", |field| {
            MessageProblem::new(field, message).limit(&ROAM_IGNORE_USERS).value(&ids.len())
        });
    }
    Some(ids)
}

/// Reads whether only members who are online get the message.
fn read_routetype(fields: &mut ObjectReader<'_>) -> bool {
    let Some(value) = fields.take("routetype") else { return false };
    let online = value == ROUTE_ONLINE;
    if !online {
        let expected = "\"ROUTE_ONLINE\" or left out";
        fields.note("routetype", |field| MessageProblem::wrong_type(field, expected, &value));
    }
    online
}

fn read_body(fields: &mut ObjectReader<'_>) -> Option<Map<String, Value>> {
    let Some(value) = fields.take("body") else {
        fields.note("body", |field| MessageProblem::missing(field, "an object with the content"));
        return None;
    };
    match value {
        Value::Object(map) if map.is_empty() => {
            fields.note("body", |field| MessageProblem::empty(field, "it holds the content"));
            None
        }
        Value::Object(map) => Some(map),
        other => {
            fields.note("body", |field| MessageProblem::wrong_type(field, "an object", &other));
            None
        }
    }
}

fn read_ext(fields: &mut ObjectReader<'_>) -> Option<Map<String, Value>> {
    let ext = fields.optional("ext", readers::object)?;
    if let Some(value) = ext.get("em_ignore_notification")
        && !value.is_boolean()
    {
        fields.note("ext.em_ignore_notification", |field| {
            MessageProblem::wrong_type(field, "a boolean", value)
        });
    }
    Some(ext)
}

/// Returns the bytes of the JSON of a value that is not sent.
fn json_bytes<T: Serialize>(value: Option<&T>) -> usize {
    value.and_then(|value| serde_json::to_vec(value).ok()).map_or(0, |json| json.len())
}

fn check_size(body: usize, ext: usize, limit: usize, problems: &mut Findings) {
    let total = body + ext;
    if total > limit {
        let larger = if ext > body { "ext" } else { "body" };
        let message = format!(
            "`body` and `ext` take {total} bytes together as JSON, {} over the limit of {limit} (`body` {body}, `ext` {ext})",
            total - limit
        );
        problems.add(MessageProblem::new(larger, message).limit(&limit).value(&total));
    }
}
