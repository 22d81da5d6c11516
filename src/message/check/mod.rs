//! Turns the JSON of a script's message into a message that can be sent, or into the list of all its problems.
//!
//! A wrong field adds a problem and reads as a harmless default, so that the check reaches every field.

mod body;
mod edit;
mod file;
mod object;
mod readers;
mod recipients;
mod unknown;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::core::{Call, abbreviates, nearest};

use super::draft::DraftContent;
use super::limits::{ROOM_LEVELS, ROUTE_ONLINE};
use super::problem::Findings;
use super::{
    Draft, ExtraNames, Message, MessageKind, MessageLimits, MessageProblem, MessageProblems,
    ROAM_IGNORE_USERS, is_field, shown, types,
};
use object::ObjectReader;
pub use unknown::or_newer;

/// Checks a message with its recipients, as the sending functions take it ([`Call::function`]).
pub fn check(call: Call, value: Value, limits: &MessageLimits) -> Result<Message, MessageProblems> {
    let mut problems = Findings::default();
    let mut fields = ObjectReader::new("", top_level(value)?, &mut problems);
    if call == Call::Announce {
        let scope = recipients::read_scope(&mut fields);
        let draft = read_draft(call, fields, CheckRules::of_script(limits));
        let (draft, scope) = problems.verdict(draft.zip(scope))?;
        return Message::announcement(draft, scope).map_err(|error| unwritable(&error).into());
    }
    let to = recipients::read_to(&mut fields, call);
    let users = if call == Call::Targeted { recipients::read_users(&mut fields) } else { Vec::new() };
    let draft = read_draft(call, fields, CheckRules::of_script(limits));
    let draft = problems.verdict(draft)?;
    // An edit names no recipients; it is addressed by the id of its message.
    if call == Call::Edit { draft.address(to, users) } else { recipients::join(draft, to, users) }
}

/// Checks a message without recipients, as a broadcast takes it.
pub fn check_draft(call: Call, value: Value, limits: &MessageLimits) -> Result<Draft, MessageProblems> {
    read_without_recipients(call, value, CheckRules::of_script(limits))
}

/// Checks a draft that was stored ([`Draft::to_json`]), whose `body` and `ext` may have this many bytes together. This is
/// [`check_draft`] without the checks for an empty text and for unknown fields, which happened before the draft was
/// stored.
pub fn check_stored(call: Call, value: Value, message_bytes: usize) -> Result<Draft, MessageProblems> {
    read_without_recipients(call, value, CheckRules { message_bytes, extra: None })
}

/// What the check permits.
#[derive(Clone, Copy)]
struct CheckRules<'a> {
    message_bytes: usize,
    /// The unknown fields that are let through. None for a stored draft: any of them, and a text without visible
    /// characters.
    extra: Option<&'a ExtraNames>,
}

impl<'a> CheckRules<'a> {
    const fn of_script(limits: &'a MessageLimits) -> Self {
        Self { message_bytes: limits.message_bytes, extra: Some(&limits.extra) }
    }

    const fn is_stored(self) -> bool {
        self.extra.is_none()
    }

    fn lets_in_message(self, name: &str) -> bool {
        self.extra.map_or_else(|| !is_field(name), |extra| extra.in_message(name))
    }

    fn lets_in_body(self, name: &str) -> bool {
        self.extra.is_none_or(|extra| extra.in_body(name))
    }
}

fn read_without_recipients(
    call: Call,
    value: Value,
    rules: CheckRules<'_>,
) -> Result<Draft, MessageProblems> {
    let mut problems = Findings::default();
    let mut fields = ObjectReader::new("", top_level(value)?, &mut problems);
    recipients::refuse(&mut fields, call);
    let draft = read_draft(call, fields, rules);
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
fn read_draft(call: Call, mut fields: ObjectReader<'_>, rules: CheckRules<'_>) -> Option<Draft> {
    if call == Call::Edit {
        return edit::read_edit(fields, rules);
    }
    let max_bytes = rules.message_bytes;
    let asked = fields.optional("allow_empty", readers::boolean);
    let may_be_empty = rules.is_stored() || asked == Some(true);
    let from = fields.optional("from", readers::user);
    let kind = read_kind(&mut fields);
    // Fields that are not read are reported as unknown, or as those of another call.
    let (mut need_group_ack, mut roam_ignore_users, mut online_only) = (None, None, false);
    let mut room_level = None;
    if matches!(call, Call::Group | Call::User | Call::Room) {
        roam_ignore_users = read_roam_ignore_users(&mut fields);
        online_only = read_routetype(&mut fields);
    }
    if call == Call::Group {
        need_group_ack = fields.optional("need_group_ack", readers::boolean);
    }
    if call == Call::Room {
        room_level = read_room_level(&mut fields);
    }
    let (mut env, mut sync_device) = (None, None);
    if call != Call::Announce {
        env = fields.optional("env", readers::route);
        sync_device = fields.optional("sync_device", readers::boolean);
    }
    let body = read_body(&mut fields);
    let ext = read_ext(&mut fields);
    let extra = fields.take_extra(|name| rules.lets_in_message(name));
    let problems = fields.end(|name| unknown::top_level(call, name));

    let (body, body_extra) = match (kind, body) {
        (Some(kind), Some(body)) => body::read(kind, body, may_be_empty, rules, problems),
        (_, body) => {
            // This message is not sent. Its size is checked all the same, so that all problems are reported at once.
            check_size(json_bytes(body.as_ref()), json_bytes(ext.as_ref()), max_bytes, problems);
            return None;
        }
    };
    let (kind, body) = (Some(body.kind()), Some(body));
    let content = DraftContent {
        call,
        from,
        kind,
        body,
        ext,
        need_group_ack,
        roam_ignore_users,
        online_only,
        env,
        sync_device,
        room_level,
        extra,
        body_extra,
    };
    write_draft(content, max_bytes, problems)
}

/// Writes a draft, and checks its size.
fn write_draft(content: DraftContent, max_bytes: usize, problems: &mut Findings) -> Option<Draft> {
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
            format!("`roam_ignore_users` has {} users; at most {ROAM_IGNORE_USERS} are allowed", ids.len());
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

/// Reads the priority of a room message.
fn read_room_level(fields: &mut ObjectReader<'_>) -> Option<String> {
    let value = fields.take("chatroom_msg_level")?;
    match value {
        Value::String(level) if ROOM_LEVELS.contains(&level.as_str()) => Some(level),
        other => {
            let expected = "\"high\", \"normal\" or \"low\"";
            fields.note("chatroom_msg_level", |field| MessageProblem::wrong_type(field, expected, &other));
            None
        }
    }
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
