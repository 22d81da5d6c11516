//! Reads the body of a callback. Its signature is checked before, with [`SignedFields`].

use serde_json::Value;

use super::fields::{Fields, object, optional, required};
use super::record::{is_group, is_user};
use super::{MessageRecord, RecordError, SignedFields};

/// An event of the app that the service posted.
#[derive(Debug, Clone, PartialEq)]
pub struct CallbackEvent {
    /// The callback's id, unique in the app. A repeated id must change nothing.
    pub call_id: String,
    /// The app's key, `ORG#APP`. It is not signed: compare it with the app whose secret fits.
    pub app_key: String,
    /// When the event happened, in milliseconds since 1970-01-01T00:00:00Z, by the service's clock.
    pub at_ms: i64,
    pub kind: CallbackKind,
}

/// The kinds of events. Groups and rooms come the same way, so `group` may be the id of a room. For an event of a
/// message between two users `group` is a user: look the message up by its id first.
#[derive(Debug, Clone, PartialEq)]
pub enum CallbackKind {
    /// The service accepted a message. Messages of other senders come too.
    Message(Box<MessageRecord>),
    /// A member has read a message that was sent with `need_group_ack`. It can come more than once for a member.
    Read { message_id: String, group: String, member: String },
    /// A message was recalled. It has no body.
    Recalled(Box<ChangedMessage>),
    /// A message has another text or `ext`.
    Edited(Box<ChangedMessage>),
    /// Users have become members.
    Joined { group: String, members: Vec<String> },
    /// Users are no longer members.
    Left { group: String, members: Vec<String> },
    /// Any other event.
    Other,
}

/// A message that was recalled or edited.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedMessage {
    pub message_id: String,
    pub group: String,
    /// Whether the service names `group` as a group. Otherwise it may be a user.
    pub is_group: bool,
    /// The user who changed it, if the service names one.
    pub user: Option<String>,
    /// All users that the event names as the sender or as the one who changed the message.
    pub named: Vec<String>,
    /// The only entry of `bodies`, with its `type`.
    pub body: Option<Fields>,
    pub ext: Option<Fields>,
}

impl ChangedMessage {
    fn read(fields: &Fields, payload: &Fields, message_id: String) -> Result<Box<Self>, RecordError> {
        let none = Fields::new();
        let edit = object(payload, "meta").and_then(|meta| object(meta, "edit_msg")).unwrap_or(&none);
        let operator = optional(edit, "operator");
        let (of_payload, of_event) = (optional(payload, "from"), optional(fields, "from"));
        let user = operator.clone().or_else(|| of_payload.clone()).or_else(|| of_event.clone());
        let body = match payload.get("bodies").and_then(Value::as_array).map(Vec::as_slice) {
            Some([Value::Object(body)]) => Some(body.clone()),
            _ => None,
        };
        Ok(Box::new(Self {
            message_id,
            group: group_of(fields, payload)?,
            is_group: optional(fields, "group_id").is_some(),
            user,
            named: [operator, optional(edit, "sender"), of_payload, of_event].into_iter().flatten().collect(),
            body,
            ext: object(payload, "ext").cloned(),
        }))
    }
}

impl CallbackEvent {
    /// Reads a callback. Unknown fields are ignored.
    ///
    /// # Errors
    ///
    /// The body is not a JSON object, or a field that its kind of event needs is missing or contradicts another one.
    pub fn parse(body: &[u8]) -> Result<Self, RecordError> {
        let signed = SignedFields::parse(body)?;
        let fields: Fields = serde_json::from_slice(body)?;
        let app_key = required(&fields, "appkey")?;
        let kind = read_kind(&fields, &app_key)?;
        Ok(Self { at_ms: signed.at_ms(), call_id: signed.call_id, app_key, kind })
    }
}

fn read_kind(fields: &Fields, app_key: &str) -> Result<CallbackKind, RecordError> {
    let none = Fields::new();
    let payload = object(fields, "payload").unwrap_or(&none);
    let chat_type = optional(fields, "chat_type").unwrap_or_default();
    if optional(fields, "event").as_deref() == Some("group_op_event") {
        let members = || listed_members(payload);
        return membership(optional(fields, "operation").as_deref(), || required(fields, "id"), members);
    }
    match chat_type.as_str() {
        "muc" => {
            let members = || Ok(vec![user_of_jid(required(fields, "from")?, app_key)]);
            membership(optional(payload, "operation").as_deref(), || group_of(fields, payload), members)
        }
        "read_ack" => Ok(CallbackKind::Read {
            message_id: required(payload, "ack_message_id")?,
            group: group_of(fields, payload)?,
            member: required(fields, "from")?,
        }),
        "recall" => {
            let message_id = match (optional(fields, "recall_id"), optional(payload, "ack_message_id")) {
                (Some(id), Some(other)) if id != other => {
                    return Err(RecordError::Contradiction("recall_id", "ack_message_id"));
                }
                (id, other) => id.or(other).ok_or(RecordError::Field("recall_id"))?,
            };
            ChangedMessage::read(fields, payload, message_id).map(CallbackKind::Recalled)
        }
        "edit" => {
            let message_id = required(payload, "edit_message_id")?;
            ChangedMessage::read(fields, payload, message_id).map(CallbackKind::Edited)
        }
        chat_type if is_group(chat_type) => {
            MessageRecord::of_callback(fields).map(|message| CallbackKind::Message(Box::new(message)))
        }
        // The users of the app send each other messages of all kinds. Mooncast sent none of an unknown form.
        chat_type if is_user(chat_type) => Ok(MessageRecord::of_callback(fields)
            .map_or(CallbackKind::Other, |message| CallbackKind::Message(Box::new(message)))),
        _ => Ok(CallbackKind::Other),
    }
}

/// Returns the event of an operation on a group. The older form reports one departure as `leave` and as
/// `absence`, and one arrival as its cause and as `presence`: only `presence` and `absence` are read, so that
/// none counts twice.
fn membership(
    operation: Option<&str>,
    group: impl FnOnce() -> Result<String, RecordError>,
    members: impl FnOnce() -> Result<Vec<String>, RecordError>,
) -> Result<CallbackKind, RecordError> {
    match operation {
        Some("JOIN" | "presence") => Ok(CallbackKind::Joined { group: group()?, members: members()? }),
        Some("LEAVE" | "absence") => Ok(CallbackKind::Left { group: group()?, members: members()? }),
        _ => Ok(CallbackKind::Other),
    }
}

/// Returns the group of an event: `group_id`, or the receiver, which the payload of an edit names.
fn group_of(fields: &Fields, payload: &Fields) -> Result<String, RecordError> {
    let group = optional(fields, "group_id").or_else(|| optional(payload, "to"));
    group.map_or_else(|| required(fields, "to"), Ok)
}

/// Returns the users of `payload.member`: one, or a list of at least one.
fn listed_members(payload: &Fields) -> Result<Vec<String>, RecordError> {
    let members: Option<Vec<String>> = match payload.get("member") {
        Some(Value::Array(members)) => members.iter().map(super::fields::text).collect(),
        Some(member) => super::fields::text(member).map(|member| vec![member]),
        None => None,
    };
    members.filter(|members| !members.is_empty()).ok_or(RecordError::Field("member"))
}

/// Returns the user of `ORG#APP_USER@HOST/DEVICE`, the older form, or the text itself.
fn user_of_jid(text: String, app_key: &str) -> String {
    let user = text.strip_prefix(app_key).and_then(|rest| rest.strip_prefix('_'));
    let user = user.and_then(|user| user.split_once('@')).map(|(user, _)| user.to_owned());
    user.filter(|user| !user.is_empty()).unwrap_or(text)
}
