//! Checks literal messages for problems that make the host refuse every such message.

use std::collections::BTreeSet;

use full_moon::ast::Expression;
use serde_json::{Value, json};

use crate::core::{BroadcastSpec, RequestFailure, UserScope};
use crate::message::ExtraNames;

use super::chain::{CallArguments, first_token};
use super::fields::{NamedField, TableFields, ids};
use super::members::hint;
use super::names::{
    BROADCAST_FIELDS, Call, ROUTE_ONLINE, USERS_PER_CALL, body_fields, fields, nearest, or_newer, types,
};
use super::value::{StaticValue, TableLiteral, ValueEvaluator};
use super::{LintFinding, LiteralScope, SuppressionGrant, SuppressionUse};

/// Checks the messages of a script.
pub(super) struct MessageChecker<'f, 'w, 'a> {
    pub(super) values: &'f ValueEvaluator<'w, 'a>,
    pub(super) extra: &'f ExtraNames,
    pub(super) findings: &'f mut Vec<LintFinding>,
}

impl<'a> MessageChecker<'_, '_, 'a> {
    fn note(&mut self, field: &NamedField<'a>, message: impl Into<String>) {
        self.findings.push(LintFinding::on(field.token, message));
    }

    pub(super) fn note_value(
        &mut self,
        value: &Expression,
        field: &NamedField<'a>,
        message: impl Into<String>,
    ) {
        self.findings.push(LintFinding::on(first_token(value).unwrap_or(field.token), message));
    }

    /// Checks a message that is sent.
    pub(super) fn message(&mut self, argument: &CallArguments<'a>, call: Call) {
        if let StaticValue::Table(literal) = self.values.of_argument(argument) {
            self.top(&literal, call, fields(call));
        }
    }

    /// The users that a literal announcement goes to, and where it says so.
    pub(super) fn announced(&self, argument: &CallArguments<'a>) -> Option<LiteralScope> {
        let StaticValue::Table(literal) = self.values.of_argument(argument) else { return None };
        let fields = TableFields::of(&literal);
        let field = fields.get("to")?;
        let StaticValue::Text(to) = self.values.of(field.value) else { return None };
        let position = field.token.token().start_position();
        let scope = UserScope::from_name(&to)?;
        Some(LiteralScope { line: position.line(), column: position.character(), scope })
    }

    /// The literal `override = true` of a call's options or of a broadcast, and where it is.
    pub(super) fn overrides(&self, argument: &CallArguments<'a>) -> Option<SuppressionUse> {
        let StaticValue::Table(literal) = self.values.of_argument(argument) else { return None };
        let fields = TableFields::of(&literal);
        let field = fields.get("override")?;
        let is_true = field.value.to_string().trim() == "true";
        is_true.then(|| SuppressionUse::on(field.token, SuppressionGrant::Override))
    }

    /// Checks a message for `im.check`. Without its second argument, the field `users` decides which kind it is.
    pub(super) fn checked(&mut self, argument: &CallArguments<'a>, kind: Option<&CallArguments<'a>>) {
        if let StaticValue::Table(literal) = self.values.of_argument(argument) {
            let call = match kind.map(|kind| self.values.of_argument(kind)) {
                None if TableFields::of(&literal).get("users").is_some() => Call::Targeted,
                None => Call::Group,
                Some(StaticValue::Text(kind)) => match Call::from_name(&kind) {
                    Some(call) => call,
                    None => return,
                },
                Some(_) => return,
            };
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
            } else if !written.contains(name)
                && let Some(failure) = self.wrong_value(&field)
            {
                self.note_value(field.value, &field, failure.message);
            }
        }
        if let Some(message) = TableFields::of(&spec).get("message").filter(|_| !written.contains("message"))
            && let StaticValue::Table(literal) = self.values.of(message.value)
        {
            let kind = TableFields::of(&spec).get("kind").map(|kind| self.values.of(kind.value));
            let calls = match kind {
                None => vec![Call::Group, Call::Targeted],
                Some(StaticValue::Text(kind)) => Call::from_name(&kind).into_iter().collect(),
                Some(_) => Call::ALL.to_vec(),
            };
            let Some(call) = calls.first().copied() else { return };
            let all = calls.into_iter().flat_map(fields);
            let known: BTreeSet<&str> =
                all.copied().filter(|name| !matches!(*name, "to" | "users")).collect();
            self.top(&literal, call, &known.into_iter().collect::<Vec<_>>());
        }
    }

    /// Returns the problem of a text or a number that a field of a broadcast is set to.
    fn wrong_value(&self, field: &NamedField<'a>) -> Option<RequestFailure> {
        let value = match self.values.of(field.value) {
            StaticValue::Text(text) => Value::from(text),
            StaticValue::Number(number) => serde_json::from_str(&number).ok()?,
            _ => return None,
        };
        if ["to", "message", "on_progress", "allow_empty"].contains(&&*field.name) {
            return None;
        }
        let mut fields = json!({ "name": "name", "path": "recipients.csv" });
        fields[&*field.name] = value;
        BroadcastSpec::read(&fields).err()
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
            let is_known = known.contains(&field.name.as_str()) || self.extra.in_message(&field.name);
            if !is_known && !written.contains(&field.name) {
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
        if let Some(field) = get("to").filter(|_| call == Call::Announce) {
            if let StaticValue::Text(to) = self.values.of(field.value)
                && UserScope::from_name(&to).is_none()
            {
                let message = format!("`to` must be \"all\" or \"online\", not \"{to}\"");
                self.note_value(field.value, field, message);
            }
        } else if let Some(field) = get("to") {
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
        let here = call.noun();
        let owner = [Call::Group, Call::Targeted, Call::User, Call::Room]
            .into_iter()
            .find(|&other| other != call && fields(other).contains(&name.as_str()));
        let message = if let Some(other) = owner {
            format!("{here} has no `{name}`; it belongs to `{}`", other.function())
        } else if let Some((kind, _)) =
            types().find_map(|kind| Some((kind, body_fields(kind)?.iter().find(|field| *field == name)?)))
        {
            format!("`{name}` belongs in `body` (of a message of type \"{kind}\")")
        } else {
            or_newer(format!("{here} has no field `{name}`{}", hint(name, known)), "extra_fields")
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
            if known.contains(&name.as_str()) || self.extra.in_body(name) || written.contains(name) {
                continue;
            }
            let message = if Call::ALL.iter().any(|&call| fields(call).contains(&name.as_str())) {
                format!("`{name}` belongs beside `body`, not in it")
            } else {
                let hint = hint(name, known);
                or_newer(
                    format!("the body of a message of type \"{kind}\" has no `{name}`{hint}"),
                    "body_fields",
                )
            };
            self.note(&field, message);
        }
    }

    fn to(&mut self, field: &NamedField<'a>, call: Call) {
        let hint = match call {
            Call::Group | Call::User | Call::Room | Call::Announce => "send to the others in another call",
            Call::Targeted | Call::Edit => "a targeted message goes to members of one group",
        };
        self.list(field, call.max_recipients(), call.recipient(), hint);
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
