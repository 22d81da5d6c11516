//! Reads both send calls.
//!
//! The order of the checks: the JSON and the type of every field, then the rows of the vendor's tables from top to
//! bottom. Whether the sender and the groups exist is not checked, as at the service.

use serde_json::{Map, Value};

use super::compact::compact;
use super::fields::{JsonFields, WrongShape};
use super::refusal::{
    BODY_EMPTY, EXT_NOT_OBJECT, FROM_EMPTY, INVALID_BODY, Refusal, TO_EMPTY, TO_OVER_LIMIT, TOO_LARGE,
    TYPE_EMPTY, USERS_EMPTY,
};
use super::shape;

/// The most groups in one group call (vendor's page).
const GROUPS: usize = 3;
/// The most groups in one targeted call (vendor's page; its error table says 3 and has no other wording).
const TARGETED_GROUPS: usize = 1;
/// The most users in one targeted call, and in `roam_ignore_users` (vendor's page).
const USERS: usize = 20;

/// A valid message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AcceptedMessage {
    pub(super) from: String,
    pub(super) groups: Vec<String>,
    /// The users of a targeted message.
    pub(super) users: Option<Vec<String>>,
    /// The whole request as compact JSON.
    pub(super) raw: String,
}

impl From<WrongShape> for Refusal {
    fn from(_: WrongShape) -> Self {
        INVALID_BODY
    }
}

pub(super) fn read(body: &[u8], targeted: bool, message_bytes: usize) -> Result<AcceptedMessage, Refusal> {
    let fields = JsonFields::read(body)?;
    let from: Option<String> = fields.get("from")?;
    let groups: Vec<String> = fields.get("to")?.unwrap_or_default();
    let kind: String = fields.get("type")?.unwrap_or_default();
    let content: Map<String, Value> = fields.get("body")?.unwrap_or_default();
    let users: Vec<String> = if targeted { fields.get("users")?.unwrap_or_default() } else { Vec::new() };
    check_options(&fields)?;
    if !kind.is_empty() && !content.is_empty() && !shape::fits(&kind, &content) {
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
        (groups.len() > if targeted { TARGETED_GROUPS } else { GROUPS }, TO_OVER_LIMIT),
        // The page gives the limit of 20 users but no error for it.
        (users.len() > USERS, INVALID_BODY),
    ];
    if let Some((_, refusal)) = rows.into_iter().find(|(broken, _)| *broken) {
        return Err(refusal);
    }
    let length = |text: Option<&str>| text.map_or(0, |text| compact(text).len());
    if length(fields.raw("body")) + length(ext) > message_bytes {
        return Err(TOO_LARGE);
    }
    Ok(AcceptedMessage {
        from: from.unwrap_or_else(|| "admin".to_owned()),
        groups,
        users: targeted.then_some(users),
        raw: compact(&String::from_utf8_lossy(body)),
    })
}

/// Checks the fields that no row of the tables names.
fn check_options(fields: &JsonFields) -> Result<(), WrongShape> {
    fields.get::<bool>("need_group_ack")?;
    let ignored: Option<Vec<String>> = fields.get("roam_ignore_users")?;
    let route: Option<String> = fields.get("routetype")?;
    let fits =
        ignored.is_none_or(|users| users.len() <= USERS) && route.is_none_or(|route| route == "ROUTE_ONLINE");
    if fits { Ok(()) } else { Err(WrongShape) }
}
