//! Reports fields that a message does not have, with the name that was probably meant.

use crate::core::{Call, nearest};
use crate::message::{MessageKind, MessageProblem, body_fields, fields, shown};

/// Reports a field of the message itself that `call` does not have.
pub(super) fn top_level(call: Call, name: &str) -> MessageProblem {
    let (known, shown) = (fields(call), shown::text(name));
    let owner = [Call::Group, Call::Targeted, Call::User, Call::Room]
        .into_iter()
        .find(|&other| other != call && fields(other).contains(&name));
    let mut meant = None;
    let message = if let Some(other) = owner {
        let way = other.function();
        format!("`{shown}` is not a field of {}: it belongs to {} ({way})", call.noun(), other.noun())
    } else if MessageKind::ALL.iter().any(|&kind| body_fields(kind).contains(&name)) {
        format!("`{shown}` is not a field of {}: it belongs inside `body`", call.noun())
    } else {
        meant = nearest(name, known.iter().copied());
        let unknown = format!("`{shown}` is not a field of {}{}", call.noun(), did_you_mean(meant));
        or_newer(unknown, "extra_fields")
    };
    MessageProblem { meant: meant.map(str::to_owned), ..report(shown, message, known) }
}

/// Reports a field of `body` that a `kind` message does not have.
pub(super) fn body(kind: MessageKind, name: &str) -> MessageProblem {
    let (known, shown) = (body_fields(kind), shown::text(name));
    let owners: Vec<_> = MessageKind::ALL
        .iter()
        .filter(|&&other| body_fields(other).contains(&name))
        .map(|other| other.name())
        .collect();
    let mut meant = None;
    let unknown = format!("`body.{shown}` is not a field of a message of type {kind}");
    let message = if !owners.is_empty() {
        format!("{unknown}: it belongs to {}", owners.join(", "))
    } else if Call::ALL.iter().any(|&call| fields(call).contains(&name)) {
        format!("{unknown}: it belongs beside `body`, not inside")
    } else {
        meant = nearest(name, known.iter().copied());
        or_newer(unknown + &did_you_mean(meant), "body_fields")
    };
    let meant = meant.map(|meant| format!("body.{meant}"));
    MessageProblem { meant, ..report(format!("body.{shown}"), message, known) }
}

/// Adds to the message about an unknown field how one is sent that the service has, and that is newer than this program.
pub fn or_newer(mut unknown: String, setting: &str) -> String {
    unknown.push_str(if unknown.ends_with('?') { " If" } else { "; if" });
    unknown.push_str(" the service has it by now, name it in `");
    unknown.push_str(setting);
    unknown.push_str("` of [app]");
    unknown
}

/// Reports a field that the object at `path` does not have.
pub(super) fn nested(path: &str, known: &[&'static str], name: &str) -> MessageProblem {
    let (shown, meant) = (shown::text(name), nearest(name, known.iter().copied()));
    let message = format!("`{path}.{shown}` is not a field of `{path}`{}", did_you_mean(meant));
    let meant = meant.map(|meant| format!("{path}.{meant}"));
    MessageProblem { meant, ..report(format!("{path}.{shown}"), message, known) }
}

/// Returns the end of a sentence: `, did you mean …?`, or an empty text.
pub(super) fn did_you_mean(meant: Option<&str>) -> String {
    meant.map(|meant| format!(", did you mean `{meant}`?")).unwrap_or_default()
}

/// Makes the problem without the value: under a misspelt name it may be a share-secret.
fn report(field: String, message: String, known: &[&str]) -> MessageProblem {
    let given = field.clone();
    MessageProblem::new(field, message).limit(&known.join(", ")).value(&given)
}
