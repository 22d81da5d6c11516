//! Reads the edit of a sent message.

use serde_json::Map;

use super::object::ObjectReader;
use super::{CheckRules, body, read_body, read_ext, read_kind, readers, unknown, write_draft};
use crate::core::Call;
use crate::message::draft::{DraftContent, ExtraFields};
use crate::message::{Draft, MessageKind, MessageProblem};

/// Reads an edit: a new `body` of a text or a custom message, a new `ext`, or both. The service edits nothing else
/// (contract). Without a `type`, the fields of `body` tell it.
pub(super) fn read_edit(mut fields: ObjectReader<'_>, rules: CheckRules<'_>) -> Option<Draft> {
    let asked = fields.optional("allow_empty", readers::boolean);
    let may_be_empty = rules.is_stored() || asked == Some(true);
    let from = fields.optional("from", readers::user);
    let (has_type, has_body) = (fields.has("type"), fields.has("body"));
    let kind = if has_type { read_kind(&mut fields) } else { None };
    let new_body = if has_body { read_body(&mut fields) } else { None };
    let has_ext = fields.has("ext");
    let ext = read_ext(&mut fields);
    let problems = fields.end(|name| unknown::top_level(Call::Edit, name));
    if !has_body && !has_ext {
        problems.add(MessageProblem::missing("body", "a new `body`, a new `ext`, or both"));
        return None;
    }
    if has_type && kind.is_none() || has_body && new_body.is_none() {
        return None;
    }
    let kind = kind.or_else(|| new_body.as_ref().and_then(kind_of));
    let body = match (kind, new_body) {
        (Some(MessageKind::Cmd), _) => {
            problems.add(MessageProblem::new("type", "a command cannot be edited"));
            return None;
        }
        (_, None) => None,
        (Some(kind @ (MessageKind::Txt | MessageKind::Custom)), Some(new)) => {
            Some(body::read(kind, new, may_be_empty, rules, problems))
        }
        (_, Some(_)) => {
            let message = "an edit changes `msg` of a text, and `customEvent` and `customExts` of a custom message; of every other type it changes `ext` alone, so leave `body` out";
            problems.add(MessageProblem::new("body", message));
            return None;
        }
    };
    let (body, body_extra) = body.unzip();
    let content = DraftContent {
        call: Call::Edit,
        from,
        kind,
        body,
        ext,
        need_group_ack: None,
        roam_ignore_users: None,
        online_only: false,
        env: None,
        sync_device: None,
        room_level: None,
        extra: ExtraFields::default(),
        body_extra: body_extra.unwrap_or_default(),
    };
    write_draft(content, rules.message_bytes, problems)
}

/// Returns the type of message whose body has these fields, if an edit can change such a body.
fn kind_of(body: &Map<String, serde_json::Value>) -> Option<MessageKind> {
    if body.contains_key("msg") {
        Some(MessageKind::Txt)
    } else if body.contains_key("customEvent") || body.contains_key("customExts") {
        Some(MessageKind::Custom)
    } else {
        None
    }
}
