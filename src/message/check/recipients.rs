//! Checks `to` and `users`, read from a message or given to a draft later.

use std::collections::HashMap;

use serde_json::Value;

use super::object::ObjectReader;
use super::{readers, unwritable};
use crate::core::Call;
use crate::message::problem::Findings;
use crate::message::{Draft, IdKind, Message, MessageProblem, MessageProblems, USERS_PER_CALL, ids, shown};

/// Reads `to`: one id, or a list of ids.
pub(super) fn read_to(fields: &mut ObjectReader<'_>, call: Call) -> Vec<String> {
    match fields.take("to") {
        None => {
            fields.note("to", |field| MessageProblem::missing(field, "the id of a group, or a list of ids"));
            Vec::new()
        }
        Some(value @ (Value::String(_) | Value::Number(_))) => match readers::group(value) {
            Ok(id) => vec![id],
            Err(wrong) => {
                fields.note("to", |field| wrong.at(field));
                Vec::new()
            }
        },
        Some(value) => {
            let is_list = value.is_array();
            let ids = list("to", value, "the id of a group or a list of ids", IdKind::Group, fields);
            if is_list {
                check_to(&ids, call, fields.problems());
            }
            ids
        }
    }
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
    // For another call `users` is reported as a field of that call.
    let names: &[&str] = if call == Call::Targeted { &["to", "users"] } else { &["to"] };
    for &name in names {
        if let Some(value) = fields.take(name) {
            let message =
                format!("`{name}` has no place in a broadcast's message: it comes from each recipient");
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
    let id_of = if of == IdKind::Group { readers::group } else { readers::user };
    let mut read = |(index, value)| {
        id_of(value).unwrap_or_else(|wrong| {
            fields.note(name, |field| wrong.at(format!("{field}[{}]", index + 1)));
            String::new()
        })
    };
    values.into_iter().enumerate().map(&mut read).collect()
}

fn check_to(to: &[String], call: Call, problems: &mut Findings) {
    let (max, call) = (call.max_groups(), call.noun());
    if to.is_empty() {
        problems.add(MessageProblem::empty("to", "at least one group is needed"));
    }
    if to.len() > max {
        let groups = shown::counted(max, "group");
        let message = format!("`to` names {} groups, {call} goes to at most {groups} in one call", to.len());
        problems.add(MessageProblem::new("to", message).limit(&max).value(&to.len()));
    }
    check_repeats("to", to, problems);
}

fn check_users(users: &[String], problems: &mut Findings) {
    if users.is_empty() {
        problems.add(MessageProblem::empty("users", "at least one member is needed"));
    }
    if users.len() > USERS_PER_CALL {
        let message = format!(
            "`users` names {} members, a targeted message goes to at most {USERS_PER_CALL} in one call",
            users.len()
        );
        problems.add(MessageProblem::new("users", message).limit(&USERS_PER_CALL).value(&users.len()));
    }
    check_repeats("users", users, problems);
}

fn check_repeats(name: &str, ids: &[String], problems: &mut Findings) {
    if ids.len() < 2 {
        return;
    }
    let mut first = HashMap::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate().filter(|(_, id)| !id.is_empty()) {
        let before = *first.entry(id).or_insert(index);
        if before != index {
            let id = shown::text(id);
            let (field, before) = (format!("{name}[{}]", index + 1), before + 1);
            let message = format!("`{field}` repeats the id {id} of `{name}[{before}]`");
            problems.add(MessageProblem::new(field, message).limit("each id once").value(&id));
        }
    }
}

/// Joins a draft and the recipients that were read with it. Neither has problems.
pub(super) fn join(draft: Draft, to: Vec<String>, users: Vec<String>) -> Result<Message, MessageProblems> {
    Message::new(draft, to, users).map_err(|error| unwritable(&error).into())
}

impl Draft {
    /// Returns the message to these recipients: groups, and for a targeted message the members of its one group.
    ///
    /// # Errors
    ///
    /// - repeated ids
    /// - ids that [`id_text`](crate::message::id_text) refuses or changes
    /// - more ids than the call may name, or none
    /// - members for a group message
    pub fn address(&self, to: Vec<String>, users: Vec<String>) -> Result<Message, MessageProblems> {
        let mut problems = Findings::default();
        check_ids("to", &to, IdKind::Group, &mut problems);
        check_to(&to, self.call(), &mut problems);
        match self.call() {
            Call::Targeted => {
                check_ids("users", &users, IdKind::User, &mut problems);
                check_users(&users, &mut problems);
            }
            Call::Group if users.is_empty() => {}
            Call::Group => problems.add(super::unknown::top_level(Call::Group, "users")),
        }
        problems.verdict(Some(()))?;
        join(self.clone(), to, users)
    }
}

impl Message {
    /// Returns the same message to other groups. A targeted message keeps its members.
    pub fn with_to(&self, to: Vec<String>) -> Result<Self, MessageProblems> {
        self.draft().address(to, self.users().to_vec())
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
