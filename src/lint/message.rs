//! Checks literal messages for problems that make the host refuse every such message.

use std::collections::BTreeSet;

use full_moon::ast::Expression;

use super::LintFinding;
use super::chain::{CallArguments, first_token};
use super::fields::{NamedField, TableFields, ids};
use super::members::hint;
use super::names::{
    BROADCAST_FIELDS, Call, ROUTE_ONLINE, USERS_PER_CALL, body_fields, fields, nearest, types,
};
use super::value::{StaticValue, TableLiteral, ValueEvaluator};

/// Checks the messages of a script.
pub(super) struct MessageChecker<'f, 'w, 'a> {
    pub(super) values: &'f ValueEvaluator<'w, 'a>,
    pub(super) findings: &'f mut Vec<LintFinding>,
}

impl<'a> MessageChecker<'_, '_, 'a> {
    fn note(&mut self, field: &NamedField<'a>, message: impl Into<String>) {
        self.findings.push(LintFinding::on(field.token, message));
    }

    fn note_value(&mut self, value: &Expression, field: &NamedField<'a>, message: impl Into<String>) {
        self.findings.push(LintFinding::on(first_token(value).unwrap_or(field.token), message));
    }

    /// Checks a message that is sent.
    pub(super) fn message(&mut self, argument: &CallArguments<'a>, call: Call) {
        if let StaticValue::Table(literal) = self.values.of_argument(argument) {
            self.top(&literal, call, fields(call));
        }
    }

    /// Checks a message for `im.check`, which accepts both kinds. The field `users` decides which kind it is.
    pub(super) fn checked(&mut self, argument: &CallArguments<'a>) {
        if let StaticValue::Table(literal) = self.values.of_argument(argument) {
            let targeted = TableFields::of(&literal).get("users").is_some();
            let call = if targeted { Call::Targeted } else { Call::Group };
            self.top(&literal, call, fields(call));
        }
    }

    /// Checks a broadcast's message, which has no recipients of its own.
    pub(super) fn broadcast(&mut self, argument: &CallArguments<'a>) {
        let StaticValue::Table(spec) = self.values.of_argument(argument) else { return };
        let Some((written, _)) = self.values.changes(&spec) else { return };
        for field in TableFields::of(&spec).named {
            let name = &field.name;
            if !BROADCAST_FIELDS.contains(&name.as_str()) && !written.contains(name) {
                self.note(
                    &field,
                    format!("`im.broadcast` has no field `{name}`{}", hint(name, &BROADCAST_FIELDS)),
                );
            }
        }
        if let Some(message) = TableFields::of(&spec).get("message").filter(|_| !written.contains("message"))
            && let StaticValue::Table(literal) = self.values.of(message.value)
        {
            let all = fields(Call::Group).iter().chain(fields(Call::Targeted));
            let known: BTreeSet<&str> =
                all.copied().filter(|name| !matches!(*name, "to" | "users")).collect();
            self.top(&literal, Call::Group, &known.into_iter().collect::<Vec<_>>());
        }
    }

    /// Checks the options of a call.
    pub(super) fn options(&mut self, argument: Option<&CallArguments<'a>>, call: &str, known: &[&str]) {
        let Some(StaticValue::Table(literal)) = argument.map(|argument| self.values.of_argument(argument))
        else {
            return;
        };
        let Some((written, _)) = self.values.changes(&literal) else { return };
        for field in TableFields::of(&literal).named {
            let name = &field.name;
            if !known.contains(&name.as_str()) && !written.contains(name) {
                self.note(&field, format!("`{call}` has no option `{name}`{}", hint(name, known)));
            }
        }
    }

    fn top(&mut self, literal: &TableLiteral<'a>, call: Call, known: &[&str]) {
        let Some((written, touched)) = self.values.changes(literal) else { return };
        let all = TableFields::of(literal);
        for field in &all.named {
            if !known.contains(&field.name.as_str()) && !written.contains(&field.name) {
                self.unknown(field, call, known);
            }
        }
        if call == Call::Targeted && !all.open && all.get("users").is_none() && !written.contains("users") {
            let message = "`users` is missing; it names the members who get the message; to send to the whole group, call `im.group_send`";
            self.findings.push(LintFinding::on(literal.table.braces().tokens().0, message));
        }
        let get = |name: &str| all.get(name).filter(|_| !written.contains(name) && !touched.contains(name));
        let kind = get("type").map(|field| (field, self.values.of(field.value)));
        let kind = match kind {
            Some((field, StaticValue::Text(kind))) => {
                self.kind(field, &kind);
                Some(kind)
            }
            _ => None,
        };
        if let Some(field) = get("body") {
            self.body(field, kind.as_deref());
        }
        if let Some(field) = get("to") {
            self.to(field, call);
        }
        if let Some(field) = get("users") {
            self.users(field);
        }
        if let Some((field, StaticValue::Text(route))) =
            get("routetype").map(|field| (field, self.values.of(field.value)))
            && route != ROUTE_ONLINE
        {
            let message = format!("`routetype` must be \"{ROUTE_ONLINE}\" or absent, not \"{route}\"");
            self.note_value(field.value, field, message);
        }
    }

    fn unknown(&mut self, field: &NamedField<'a>, call: Call, known: &[&str]) {
        let name = &field.name;
        let (here, other, there) = match call {
            Call::Group => ("a group message", Call::Targeted, "im.targeted_send"),
            Call::Targeted => ("a targeted message", Call::Group, "im.group_send"),
        };
        let message = if fields(other).contains(&name.as_str()) {
            format!("{here} has no `{name}`; it belongs to `{there}`")
        } else if let Some((kind, _)) =
            types().find_map(|kind| Some((kind, body_fields(kind)?.iter().find(|field| *field == name)?)))
        {
            format!("`{name}` belongs in `body` (of a message of type \"{kind}\")")
        } else {
            format!("{here} has no field `{name}`{}", hint(name, known))
        };
        self.note(field, message);
    }

    fn kind(&mut self, field: &NamedField<'a>, kind: &str) {
        if body_fields(kind).is_some() {
            return;
        }
        let near = match kind.to_ascii_lowercase().as_str() {
            "image" | "picture" => Some("img"),
            "voice" => Some("audio"),
            "location" => Some("loc"),
            "command" => Some("cmd"),
            other => nearest(other, types()),
        };
        let did = near.map(|near| format!("did you mean \"{near}\"? ")).unwrap_or_default();
        let all: Vec<&str> = types().collect();
        let message = format!("there is no type \"{kind}\"; {did}The types are {}", all.join(", "));
        self.note_value(field.value, field, message);
    }

    fn body(&mut self, body: &NamedField<'a>, kind: Option<&str>) {
        let literal = match self.values.of(body.value) {
            StaticValue::Table(literal) => literal,
            StaticValue::Text(_) | StaticValue::Number(_) => {
                let example = "`body` must be a table, for example `{ msg = \"…\" }` for a text";
                self.note_value(body.value, body, example);
                return;
            }
            _ => return,
        };
        let Some((kind, known)) = kind.and_then(|kind| Some((kind, body_fields(kind)?))) else { return };
        let Some((written, _)) = self.values.changes(&literal) else { return };
        for field in TableFields::of(&literal).named {
            let name = &field.name;
            if known.contains(&name.as_str()) || written.contains(name) {
                continue;
            }
            let message = if fields(Call::Group).contains(&name.as_str()) {
                format!("`{name}` belongs beside `body`, not in it")
            } else {
                format!("the body of a message of type \"{kind}\" has no `{name}`{}", hint(name, known))
            };
            self.note(&field, message);
        }
    }

    fn to(&mut self, field: &NamedField<'a>, call: Call) {
        let most = call.max_groups();
        let hint = match call {
            Call::Group => "send to the others in another call",
            Call::Targeted => "a targeted message goes to members of one group",
        };
        self.list(field, most, "group", hint);
    }

    fn users(&mut self, field: &NamedField<'a>) {
        self.list(field, USERS_PER_CALL, "user", "send to the others in another call");
    }

    /// Checks a list of literal ids: at most `most` of them, without duplicates.
    fn list(&mut self, field: &NamedField<'a>, most: usize, what: &str, hint: &str) {
        let StaticValue::Table(literal) = self.values.of(field.value) else { return };
        match self.values.changes(&literal) {
            Some((written, touched)) if written.is_empty() && touched.is_empty() => {}
            _ => return,
        }
        let list = TableFields::of(&literal);
        let name = &field.name;
        let ids = ids(self.values, &list.items);
        if ids.len() > most {
            let message =
                format!("`{name}` names {} {what}s; a call can name at most {most}; {hint}", ids.len());
            self.note(field, message);
        }
        let mut seen = BTreeSet::new();
        for (id, item) in ids {
            if !seen.insert(id.clone()) {
                self.note_value(item, field, format!("`{name}` names {what} {id} twice"));
            }
        }
    }
}
