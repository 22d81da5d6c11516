//! Reads the send calls.
//!
//! The order of the checks: the JSON and the type of every field, then the rows of the vendor's tables from top to
//! bottom. Whether the sender and the groups exist is not checked, as at the service.

use serde_json::{Map, Value};

use super::chat::ChatKind;
use super::compact::compact;
use super::fields::{JsonFields, WrongShape};
use super::refusal::{
    BODY_EMPTY, EXT_NOT_OBJECT, FROM_EMPTY, INVALID_BODY, Refusal, TO_EMPTY, TOO_LARGE, TYPE_EMPTY,
    USERS_EMPTY,
};
use super::settings::SimulatorSettings;
use super::{ServiceCall, old_send, shape};

/// The most groups in one group call (vendor's page).
const GROUPS: usize = 3;
/// The most groups in one targeted call (vendor's page; its error table says 3 and has no other wording).
const TARGETED_GROUPS: usize = 1;
/// The most users in one targeted call, and in `roam_ignore_users` (vendor's page).
const USERS: usize = 20;

/// The most users in one call to users, and the most rooms in one room call (contract).
const RECIPIENT_USERS: usize = 600;
const ROOMS: usize = 10;

/// A valid message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AcceptedMessage {
    pub(super) from: String,
    pub(super) chat: ChatKind,
    /// The recipients: groups, users or rooms.
    pub(super) groups: Vec<String>,
    /// The users of a targeted message.
    pub(super) users: Option<Vec<String>>,
    /// The whole request as compact JSON.
    pub(super) raw: String,
    /// Whether a user sent it from an app.
    pub(super) by_user: bool,
}

impl From<WrongShape> for Refusal {
    fn from(_: WrongShape) -> Self {
        INVALID_BODY
    }
}

/// Reads the message of a send call.
pub(super) fn read(
    settings: &SimulatorSettings,
    call: ServiceCall,
    body: &[u8],
) -> Result<AcceptedMessage, Refusal> {
    let (chat, most) = match call {
        ServiceCall::Messages => {
            let (chat, body) = old_send::translate(body)?;
            return read_for(settings, chat, false, old_send::RECIPIENTS, &body);
        }
        ServiceCall::Users => (ChatKind::User, RECIPIENT_USERS),
        ServiceCall::Rooms => (ChatKind::Room, ROOMS),
        ServiceCall::Targeted => (ChatKind::Group, TARGETED_GROUPS),
        _ => (ChatKind::Group, GROUPS),
    };
    read_for(settings, chat, call == ServiceCall::Targeted, most, body)
}

fn read_for(
    settings: &SimulatorSettings,
    chat: ChatKind,
    targeted: bool,
    most: usize,
    body: &[u8],
) -> Result<AcceptedMessage, Refusal> {
    let fields = JsonFields::read(body)?;
    let from: Option<String> = fields.get("from")?;
    let groups: Vec<String> = fields.get("to")?.unwrap_or_default();
    let kind: String = fields.get("type")?.unwrap_or_default();
    let content: Map<String, Value> = fields.get("body")?.unwrap_or_default();
    let users: Vec<String> = if targeted { fields.get("users")?.unwrap_or_default() } else { Vec::new() };
    check_options(&fields)?;
    if !kind.is_empty() && !content.is_empty() && !shape::fits(&kind, &content, settings.strict) {
        return Err(INVALID_BODY);
    }

    let ext = fields.raw("ext");
    let rows = [
        (from.as_deref() == Some(""), FROM_EMPTY),
        (groups.is_empty(), TO_EMPTY),
        (kind.is_empty(), TYPE_EMPTY),
        (content.is_empty(), BODY_EMPTY),
        (ext.is_some_and(|ext| !ext.starts_with('{')), EXT_NOT_OBJECT),
        (targeted && users.is_empty(), USERS_EMPTY),
        // The error of a targeted call names the limit of a group call (vendor's table).
        (groups.len() > most, Refusal::to_over_limit(if targeted { GROUPS } else { most })),
        // The page gives the limit of 20 users but no error for it.
        (users.len() > USERS, INVALID_BODY),
    ];
    if let Some((_, refusal)) = rows.into_iter().find(|(broken, _)| *broken) {
        return Err(refusal);
    }
    let length = |text: Option<&str>| text.map_or(0, |text| compact(text).len());
    if length(fields.raw("body")) + length(ext) > settings.limits.message_bytes {
        return Err(TOO_LARGE);
    }
    Ok(AcceptedMessage {
        from: from.unwrap_or_else(|| "admin".to_owned()),
        chat,
        groups,
        users: targeted.then_some(users),
        raw: compact(&String::from_utf8_lossy(body)),
        by_user: false,
    })
}

/// The most letters and digits of `env` (vendor's page).
const ENV_LETTERS: usize = 8;

/// Checks the fields that no row of the tables names.
fn check_options(fields: &JsonFields) -> Result<(), WrongShape> {
    fields.get::<bool>("need_group_ack")?;
    let ignored: Option<Vec<String>> = fields.get("roam_ignore_users")?;
    let route: Option<String> = fields.get("routetype")?;
    fields.get::<bool>("sync_device")?;
    let env: Option<String> = fields.get("env")?;
    let level: Option<String> = fields.get("chatroom_msg_level")?;
    let is_env = |env: &str| env.len() <= ENV_LETTERS && env.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let fits = env.is_none_or(|env| is_env(&env))
        && ignored.is_none_or(|users| users.len() <= USERS)
        && route.is_none_or(|route| route == "ROUTE_ONLINE")
        && level.is_none_or(|level| matches!(level.as_str(), "high" | "normal" | "low"));
    if fits { Ok(()) } else { Err(WrongShape) }
}
