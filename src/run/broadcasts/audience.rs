//! Parses recipients from the values that scripts and audience files supply.

use serde::Deserialize;
use serde_json::Value;

use crate::core::{BroadcastSpec, Call, user_key};
use crate::input::{recipient_id, split_users, user};
use crate::message::{IdKind, USERS_PER_CALL, id};

/// A recipient as the worker or the file supplied it, with its position and message.
#[derive(Debug, Deserialize)]
pub(super) struct RawRecipient {
    /// The recipient: an id, or an object with `group_id` and optionally `users`.
    #[serde(rename = "r")]
    pub(super) recipient: Value,
    /// The position of the recipient, from 1.
    #[serde(rename = "n")]
    number: u64,
    #[serde(default)]
    line: Option<u64>,
    /// Its message. A null message skips the recipient; `None` means that it gets the shared message.
    #[serde(rename = "m", default, deserialize_with = "present")]
    pub(super) message: Option<Value>,
    /// The time zone that the script's function returned for it.
    #[serde(rename = "z", default)]
    pub(super) zone: Option<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl RawRecipient {
    pub(super) const fn of_line(recipient: Value, line: u64) -> Self {
        Self { recipient, number: line, line: Some(line), message: None, zone: None }
    }

    /// Returns the position of the recipient, from 1.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the location for error messages: a line of the file, or the recipient's number.
    pub(super) fn position(&self) -> String {
        match self.line {
            Some(line) => format!("line {line}"),
            None => format!("recipient {}", self.number),
        }
    }
}

/// A recipient: a user, a room, or a group with the members that a targeted message names, none for the whole group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ParsedRecipient {
    /// The call that this recipient needs.
    pub(super) call: Call,
    pub(super) recipient_id: String,
    pub(super) users: Vec<String>,
}

/// A problem with a recipient: the field, and a sentence about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RecipientError(pub(super) &'static str, pub(super) String);

/// Parses a recipient of a broadcast.
pub(super) fn named(recipient: &Value, request: &BroadcastSpec) -> Result<ParsedRecipient, RecipientError> {
    match request.kind {
        Some(call @ (Call::User | Call::Room)) => single(recipient, call, request.id_column.is_some()),
        None | Some(Call::Group | Call::Targeted | Call::Edit | Call::Announce) => {
            members(recipient, request.kind == Some(Call::Group))
        }
    }
}

/// Parses a user or a room. `is_chosen` says whether the script names the field of the ids.
fn single(recipient: &Value, call: Call, is_chosen: bool) -> Result<ParsedRecipient, RecipientError> {
    let (field, what) = (call.id_field(), call.recipient());
    let found = |id: &Value| Ok(ParsedRecipient { call, recipient_id: id_of(id, call)?, users: Vec::new() });
    let Value::Object(fields) = recipient else { return found(recipient) };
    let is_given = |name: &&str| fields.get(*name).is_some_and(|value| !value.is_null());
    let others = ["group_id", "user_id", "room_id", "users"].into_iter().filter(|name| *name != field);
    if let Some(other) = others.into_iter().find(is_given).filter(|_| !is_chosen) {
        return Err(RecipientError(
            "id_column",
            format!(
                "it has the field `{other}`, and the broadcast goes to {what}s, so there are two ways to read it; leave `{other}` out, or say which field holds the ids of the {what}s: `id_column = \"{field}\"`"
            ),
        ));
    }
    match fields.get(field) {
        None | Some(Value::Null) => {
            Err(RecipientError(field, format!("`{field}` is missing: the id of the {what}")))
        }
        Some(id) => found(id),
    }
}

/// Parses a group, and the members that it names. `is_whole` says whether the script asks for whole groups; otherwise
/// `users` that name nobody are refused.
fn members(recipient: &Value, is_whole: bool) -> Result<ParsedRecipient, RecipientError> {
    let Value::Object(fields) = recipient else {
        let recipient_id = id_of(recipient, Call::Group)?;
        return Ok(ParsedRecipient { call: Call::Group, recipient_id, users: Vec::new() });
    };
    let group = match fields.get("group_id") {
        None | Some(Value::Null) => {
            return Err(RecipientError("group_id", "`group_id` is missing: the id of the group".to_owned()));
        }
        Some(group) => id_of(group, Call::Group)?,
    };
    let users = match fields.get("users") {
        None => Vec::new(),
        Some(given) if is_empty(given) => {
            if !is_whole {
                return Err(RecipientError("users", format!("`users` is {}: {NOBODY}", shown_empty(given))));
            }
            Vec::new()
        }
        Some(Value::String(list)) => {
            split_users(list).map_err(|what| RecipientError("users", format!("`users`: {what}")))?
        }
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(index, user)| user_of(&format!("users[{index}]"), user))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(RecipientError("users", "`users` must be a list of user ids".to_owned())),
    };
    let call = if users.is_empty() { Call::Group } else { Call::Targeted };
    Ok(ParsedRecipient { call, recipient_id: group, users: without_repeats(users) })
}

/// What to do about `users` that name nobody.
const NOBODY: &str = "name the members who get the message; if the whole group gets it, leave `users` out, or say `kind = \"group\"`";

/// Whether this value of `users` names nobody.
fn is_empty(users: &Value) -> bool {
    match users {
        Value::Null => true,
        Value::String(list) => list.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn shown_empty(users: &Value) -> &'static str {
    match users {
        Value::Null => "null",
        Value::Array(_) => "an empty list",
        _ => "blank",
    }
}

fn id_of(value: &Value, call: Call) -> Result<String, RecipientError> {
    let field = call.id_field();
    match value {
        Value::String(text) => match recipient_id(text, call) {
            Ok(id) => Ok(id.to_owned()),
            Err(what) => Err(RecipientError(field, format!("`{field}`: {what}"))),
        },
        other => {
            id(field, other.clone(), call.id_kind()).map_err(|problem| RecipientError(field, problem.message))
        }
    }
}

fn user_of(name: &str, value: &Value) -> Result<String, RecipientError> {
    match value {
        Value::String(text) => {
            user(text).map_err(|what| RecipientError("users", format!("`{name}`: {what}")))
        }
        other => {
            id(name, other.clone(), IdKind::User).map_err(|problem| RecipientError("users", problem.message))
        }
    }
}

/// Removes repeated users. Ids of users are the same in any case.
fn without_repeats(users: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    users.into_iter().filter(|user| seen.insert(user_key(user).into_owned())).collect()
}

impl ParsedRecipient {
    /// Splits the users into recipients that are each within the limit of a call.
    pub(super) fn split(self) -> Vec<(String, Vec<String>)> {
        if self.users.len() <= USERS_PER_CALL {
            return vec![(self.recipient_id, self.users)];
        }
        self.users.chunks(USERS_PER_CALL).map(|users| (self.recipient_id.clone(), users.to_vec())).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn recipients_are_ids_or_tables() {
        let plain =
            |id: &str| ParsedRecipient { call: Call::Group, recipient_id: id.to_owned(), users: Vec::new() };
        let named = |recipient: &Value| super::named(recipient, &BroadcastSpec::default());
        assert_eq!(named(&json!("g1")), Ok(plain("g1")));
        assert_eq!(named(&json!(184_524_748_161_025_i64)), Ok(plain("184524748161025")));
        let whole = BroadcastSpec { kind: Some(Call::Group), ..BroadcastSpec::default() };
        for nobody in [json!(""), json!(" "), json!(null), json!([])] {
            let recipient = json!({ "group_id": "g1", "users": nobody });
            let RecipientError(field, what) = named(&recipient).unwrap_err();
            assert!(field == "users" && what.contains("kind = \"group\""), "{what}");
            assert_eq!(super::named(&recipient, &whole), Ok(plain("g1")));
        }
        let targeted = named(&json!({ "group_id": "g1", "users": "a; b;a;" })).unwrap();
        assert_eq!(targeted.users, ["a", "b"]);
        assert_eq!(named(&json!({ "group_id": " g1\u{3000}", "users": ["a", "a "] })).unwrap().users, ["a"]);
        assert_eq!(named(&json!("\u{feff}g1 ")), Ok(plain("g1")));
        assert_eq!(named(&json!({ "group_id": "g1", "users": "a;b c" })).unwrap_err().0, "users");
        assert_eq!(named(&json!({ "users": [] })).unwrap_err().0, "group_id");
        assert_eq!(named(&json!({ "group_id": "" })).unwrap_err().0, "group_id");
        assert!(named(&json!({ "group_id": "g", "users": ["a", true] })).unwrap_err().1.contains("users[1]"));
    }

    #[test]
    fn a_recipient_that_names_another_kind_is_refused() {
        let users = BroadcastSpec { kind: Some(Call::User), ..BroadcastSpec::default() };
        let ann = ParsedRecipient { call: Call::User, recipient_id: "ann".to_owned(), users: Vec::new() };
        assert_eq!(named(&json!("ann"), &users), Ok(ann));
        assert_eq!(named(&json!({ "user_id": " ann", "name": "Ann" }), &users).unwrap().recipient_id, "ann");
        for other in ["group_id", "room_id", "users"] {
            let mixed = json!({ "user_id": "ann", other: "x" });
            let RecipientError(field, what) = named(&mixed, &users).unwrap_err();
            assert_eq!(field, "id_column");
            assert!(what.contains(&format!("`{other}`")) && what.contains("`id_column = "), "{what}");
            let chosen = BroadcastSpec { id_column: Some("user_id".to_owned()), ..users.clone() };
            assert_eq!(named(&mixed, &chosen).unwrap().recipient_id, "ann");
        }
        assert_eq!(named(&json!({ "id": "ann" }), &users).unwrap_err().0, "user_id");
        let rooms = BroadcastSpec { kind: Some(Call::Room), ..BroadcastSpec::default() };
        assert_eq!(named(&json!({ "room_id": 7 }), &rooms).unwrap().recipient_id, "7");
        assert_eq!(named(&json!({ "user_id": "ann" }), &rooms).unwrap_err().0, "id_column");
    }

    #[test]
    fn many_users_take_several_calls() {
        let users: Vec<String> = (0..45).map(|user| format!("u{user}")).collect();
        let members =
            ParsedRecipient { call: Call::Targeted, recipient_id: "g".to_owned(), users: users.clone() };
        let parts = members.split();
        assert_eq!(parts.iter().map(|part| part.1.len()).collect::<Vec<_>>(), [20, 20, 5]);
        assert_eq!(parts.concat_users(), users);
    }

    trait Concat {
        fn concat_users(&self) -> Vec<String>;
    }

    impl Concat for Vec<(String, Vec<String>)> {
        fn concat_users(&self) -> Vec<String> {
            self.iter().flat_map(|part| part.1.clone()).collect()
        }
    }
}
