//! Checks `to` and `users`, read from a message or given to a draft later.

use std::collections::HashMap;

use serde_json::Value;

use super::object::ObjectReader;
use super::{readers, unwritable};
use crate::core::{Call, UserScope, user_key};
use crate::message::limits::MESSAGE_ID_BYTES;
use crate::message::problem::Findings;
use crate::message::{Draft, IdKind, Message, MessageProblem, MessageProblems, USERS_PER_CALL, ids, shown};

/// Reads `to`: one id, or a list of ids.
pub(super) fn read_to(fields: &mut ObjectReader<'_>, call: Call) -> Vec<String> {
    match fields.take("to") {
        None => {
            let expected = format!("the id of a {}, or a list of ids", call.recipient());
            fields.note("to", |field| MessageProblem::missing(field, &expected));
            Vec::new()
        }
        Some(value @ (Value::String(_) | Value::Number(_))) => match readers::id(value, call.id_kind()) {
            Ok(id) => vec![id],
            Err(wrong) => {
                fields.note("to", |field| wrong.at(field));
                Vec::new()
            }
        },
        Some(value) => {
            let is_list = value.is_array();
            let expected = match call {
                Call::Group | Call::Targeted | Call::Edit => "the id of a group or a list of ids",
                Call::User => "the id of a user or a list of ids",
                Call::Room => "the id of a room or a list of ids",
                Call::Announce => "the users",
            };
            let ids = list("to", value, expected, call.id_kind(), fields);
            if is_list {
                check_to(&ids, call, fields.problems());
            }
            ids
        }
    }
}

/// Reads the users that an announcement goes to.
pub(super) fn read_scope(fields: &mut ObjectReader<'_>) -> Option<UserScope> {
    const EXPECTED: &str =
        "\"all\" for all users of the app, or \"online\" for the users who are online at that moment";
    match fields.take("to") {
        None => fields.note("to", |field| MessageProblem::missing(field, EXPECTED)),
        Some(Value::String(word)) if UserScope::from_name(&word).is_some() => {
            return UserScope::from_name(&word);
        }
        Some(other) => fields.note("to", |field| MessageProblem::wrong_type(field, EXPECTED, &other)),
    }
    None
}

/// Reads `users`, a list of ids.
pub(super) fn read_users(fields: &mut ObjectReader<'_>) -> Vec<String> {
    let Some(value) = fields.take("users") else {
        fields.note("users", |field| {
            MessageProblem::missing(field, "a list of the members who get the message")
        });
        return Vec::new();
    };
    let is_list = value.is_array();
    let ids = list("users", value, "a list of user ids", IdKind::User, fields);
    if is_list {
        check_users(&ids, fields.problems());
    }
    ids
}

/// Adds a problem for each recipient field in a message that must have none.
pub(super) fn refuse(fields: &mut ObjectReader<'_>, call: Call) {
    // For another call `users` is reported as a field of a targeted message.
    let names: &[&str] = if call == Call::Targeted { &["to", "users"] } else { &["to"] };
    for &name in names {
        if let Some(value) = fields.take(name) {
            let message =
                format!("`{name}` is not allowed in a broadcast's message: each recipient has its own");
            fields.note(name, |field| {
                MessageProblem::new(field, message).limit("absent").value(&shown::value(&value))
            });
        }
    }
}

/// Reads a list of ids. Problems count the ids from 1, as Lua does. A wrong id adds a problem and reads as an empty
/// one, so that the other ids keep their positions.
pub(super) fn list(
    name: &'static str,
    value: Value,
    expected: &'static str,
    of: IdKind,
    fields: &mut ObjectReader<'_>,
) -> Vec<String> {
    let Value::Array(values) = value else {
        fields.note(name, |field| MessageProblem::wrong_type(field, expected, &value));
        return Vec::new();
    };
    let mut read = |(index, value)| {
        readers::id(value, of).unwrap_or_else(|wrong| {
            fields.note(name, |field| wrong.at(format!("{field}[{}]", index + 1)));
            String::new()
        })
    };
    values.into_iter().enumerate().map(&mut read).collect()
}

fn check_to(to: &[String], call: Call, problems: &mut Findings) {
    let (max, recipient, id_kind, call) =
        (call.max_recipients(), call.recipient(), call.id_kind(), call.noun());
    if to.is_empty() {
        problems.add(MessageProblem::empty("to", &format!("at least one {recipient} is needed")));
    }
    if to.len() > max {
        let most = shown::counted(max, recipient);
        let message =
            format!("`to` has {} {recipient}s; {call} goes to at most {most} in one call", to.len());
        problems.add(MessageProblem::new("to", message).limit(&max).value(&to.len()));
    }
    check_repeats("to", to, id_kind, problems);
}

fn check_users(users: &[String], problems: &mut Findings) {
    if users.is_empty() {
        problems.add(MessageProblem::empty("users", "at least one member is needed"));
    }
    if users.len() > USERS_PER_CALL {
        let message = format!(
            "`users` has {} members; a targeted message goes to at most {USERS_PER_CALL} in one call",
            users.len()
        );
        problems.add(MessageProblem::new("users", message).limit(&USERS_PER_CALL).value(&users.len()));
    }
    check_repeats("users", users, IdKind::User, problems);
}

/// Refuses an id that is there twice. Ids of users are the same in any case.
fn check_repeats(name: &str, ids: &[String], of: IdKind, problems: &mut Findings) {
    if ids.len() < 2 {
        return;
    }
    let mut first = HashMap::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate().filter(|(_, id)| !id.is_empty()) {
        let key = if of == IdKind::User { user_key(id) } else { id.into() };
        let before = *first.entry(key).or_insert(index);
        if before != index {
            let in_any_case =
                if ids.get(before) == Some(id) { "" } else { ": ids of users are the same in any case" };
            let id = shown::text(id);
            let (field, before) = (format!("{name}[{}]", index + 1), before + 1);
            let message = format!("`{field}` has the same id, {id}, as `{name}[{before}]`{in_any_case}");
            problems.add(MessageProblem::new(field, message).limit("each id once").value(&id));
        }
    }
}

/// Joins a draft and the recipients that were read with it. Neither has problems.
pub(super) fn join(draft: Draft, to: Vec<String>, users: Vec<String>) -> Result<Message, MessageProblems> {
    Message::new(draft, to, users).map_err(|error| unwritable(&error).into())
}

impl Draft {
    /// Returns the message to these recipients: groups, users or rooms, and for a targeted message the members of its one
    /// group.
    ///
    /// # Errors
    ///
    /// - repeated ids
    /// - ids that [`id_text`](crate::message::id_text) refuses or changes
    /// - more ids than the call may name, or none
    /// - members for a message that is not targeted
    pub fn address(&self, to: Vec<String>, users: Vec<String>) -> Result<Message, MessageProblems> {
        let mut problems = Findings::default();
        check_ids("to", &to, self.call().id_kind(), &mut problems);
        check_to(&to, self.call(), &mut problems);
        match self.call() {
            Call::Targeted => {
                check_ids("users", &users, IdKind::User, &mut problems);
                check_users(&users, &mut problems);
            }
            Call::Group | Call::User | Call::Room if users.is_empty() => {}
            call @ (Call::Group | Call::User | Call::Room) => {
                problems.add(super::unknown::top_level(call, "users"));
            }
            Call::Announce => {
                let why = "an announcement goes to all users or to those online; use im.announce";
                problems.add(MessageProblem::new("to", why));
            }
            Call::Edit => {
                problems
                    .add(MessageProblem::new("to", "an edit goes to the message with an id; use im.edit"));
            }
        }
        problems.verdict(Some(()))?;
        join(self.clone(), to, users)
    }
}

impl Draft {
    /// Returns the edit of the message with this id, which went to this group, user or room.
    ///
    /// # Errors
    ///
    /// Problems if the draft is no edit, or if one of the ids cannot be an id.
    pub fn edit(&self, to: String, message_id: String) -> Result<Message, MessageProblems> {
        let mut problems = Findings::default();
        // The rules for users' ids also allow every id of a group or a room.
        check_ids("to", std::slice::from_ref(&to), IdKind::User, &mut problems);
        let is_id = |id: &str| {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=MESSAGE_ID_BYTES).contains(&id.len()) && id.bytes().all(letter)
        };
        if !is_id(&message_id) {
            let id = shown::text(&message_id);
            let message = format!("`message_id` {id} is not the id of a message, as a receipt has it");
            problems.add(MessageProblem::new("message_id", message).value(&id));
        }
        if self.call() != Call::Edit {
            problems.add(MessageProblem::new("body", "this is a message and no edit"));
        }
        problems.verdict(Some(()))?;
        Message::edit(self.clone(), to, message_id).map_err(|error| unwritable(&error).into())
    }
}

/// Checks ids that were trimmed when they were read. An id with blanks around it was stored by an older version.
fn check_ids(name: &str, ids: &[String], of: IdKind, problems: &mut Findings) {
    for (index, id) in ids.iter().enumerate() {
        let field = || format!("{name}[{}]", index + 1);
        match ids::trimmed(id, of) {
            Ok(trimmed) if trimmed.len() == id.len() => {}
            Ok(_) => problems.add(MessageProblem::wrong_value(
                field(),
                "an id without blanks around it",
                shown::quoted(id),
            )),
            Err(invalid) => problems.add(invalid.at(field())),
        }
    }
}
