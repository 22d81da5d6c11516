//! Parses recipients from the values that scripts and audience files supply.

use serde::Deserialize;
use serde_json::Value;

use crate::core::Call;
use crate::input::{group_id, split_users, user};
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
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl RawRecipient {
    pub(super) const fn of_line(recipient: Value, line: u64) -> Self {
        Self { recipient, number: line, line: Some(line), message: None }
    }

    /// Returns the position of the recipient, from 1.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the location for error messages: a line of the file, or the recipient's number.
    pub(super) fn place(&self) -> String {
        match self.line {
            Some(line) => format!("line {line}"),
            None => format!("recipient {}", self.number),
        }
    }
}

/// A group, and the members that a targeted message names; empty for a message to the whole group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GroupMembers {
    pub(super) group_id: String,
    pub(super) users: Vec<String>,
}

/// A problem with a recipient: the field, and a sentence about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RecipientError(pub(super) &'static str, pub(super) String);

/// Parses a recipient.
pub(super) fn named(recipient: &Value) -> Result<GroupMembers, RecipientError> {
    let Value::Object(fields) = recipient else {
        return Ok(GroupMembers { group_id: group_of(recipient)?, users: Vec::new() });
    };
    let group = match fields.get("group_id") {
        None | Some(Value::Null) => {
            return Err(RecipientError("group_id", "`group_id` is missing: the id of the group".to_owned()));
        }
        Some(group) => group_of(group)?,
    };
    let users = match fields.get("users") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(list)) => {
            split_users(list).map_err(|what| RecipientError("users", format!("`users`: {what}")))?
        }
        Some(Value::Array(list)) if list.is_empty() => {
            let what = "`users` is an empty list; leave `users` out to send to the whole group";
            return Err(RecipientError("users", what.to_owned()));
        }
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(index, user)| user_of(&format!("users[{index}]"), user))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(RecipientError("users", "`users` must be a list of user ids".to_owned())),
    };
    Ok(GroupMembers { group_id: group, users: without_repeats(users) })
}

fn group_of(value: &Value) -> Result<String, RecipientError> {
    match value {
        Value::String(text) => match group_id(text) {
            Ok(id) => Ok(id.to_owned()),
            Err(what) => Err(RecipientError("group_id", format!("`group_id`: {what}"))),
        },
        other => id("group_id", other.clone(), IdKind::Group)
            .map_err(|problem| RecipientError("group_id", problem.message)),
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

fn without_repeats(users: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    users.into_iter().filter(|user| seen.insert(user.clone())).collect()
}

impl GroupMembers {
    /// Returns the call that this recipient needs.
    pub(super) const fn call(&self) -> Call {
        if self.users.is_empty() { Call::Group } else { Call::Targeted }
    }

    /// Splits the users into recipients that are each within the limit of a call.
    pub(super) fn split(self) -> Vec<(String, Vec<String>)> {
        if self.users.len() <= USERS_PER_CALL {
            return vec![(self.group_id, self.users)];
        }
        self.users.chunks(USERS_PER_CALL).map(|users| (self.group_id.clone(), users.to_vec())).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn recipients_are_ids_or_tables() {
        let plain = |id: &str| GroupMembers { group_id: id.to_owned(), users: Vec::new() };
        assert_eq!(named(&json!("g1")), Ok(plain("g1")));
        assert_eq!(named(&json!(184_524_748_161_025_i64)), Ok(plain("184524748161025")));
        assert_eq!(named(&json!({ "group_id": "g1", "users": "" })), Ok(plain("g1")));
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
    fn many_users_take_several_calls() {
        let users: Vec<String> = (0..45).map(|user| format!("u{user}")).collect();
        let parts = GroupMembers { group_id: "g".to_owned(), users: users.clone() }.split();
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
