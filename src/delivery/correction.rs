//! Edits the sent messages of a broadcast: which messages can be edited, and what an edit makes of them.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::core::{FailureKind, RecipientState, RequestFailure};
use crate::ledger::{
    Broadcast, BroadcastCommand, BroadcastId, EDITS_A_MESSAGE, ExportPages, Ledger, LedgerError,
};
use crate::message::{MessageKind, body_fields};

/// Why a message that has had ten edits is not edited.
pub(super) const EDIT_LIMIT: &str =
    "edit limit reached: it was edited 10 times, the most that the service allows";

/// The messages that are shown before and after the edit.
const EXAMPLES: usize = 3;

/// The most characters of a shown message.
const LETTERS: usize = 200;

/// A sent message that can be edited.
#[derive(Debug, Clone)]
pub struct EditableMessage {
    pub group_id: String,
    /// The members of a targeted message; empty for the whole group.
    pub users: Vec<String>,
    /// The service's id of the message.
    pub message_id: String,
    /// The message as the group has it now, with the earlier edits that the ledger knows.
    pub message: Value,
    /// The audience's own columns.
    pub fields: Vec<(String, Value)>,
}

/// What an edit of a broadcast does, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct EditPreview {
    /// The messages that are edited.
    pub editable: u64,
    /// Whether these messages have different contents now.
    pub differ: bool,
    /// Some of them, before and after.
    pub examples: Vec<EditExample>,
    /// The messages that cannot be edited, counted by the reason.
    pub left_out: BTreeMap<String, u64>,
    /// The content of the first message that is edited.
    #[serde(skip)]
    first: Option<Value>,
}

/// A message before and after the edit, shortened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct EditExample {
    pub group_id: String,
    pub old: String,
    pub new: String,
}

impl EditPreview {
    /// Counts a message that is edited.
    pub fn add(&mut self, sent: &EditableMessage, edit: &Value) {
        self.editable += 1;
        let body = sent.message.get("body").unwrap_or(&Value::Null);
        self.differ |= self.first.get_or_insert_with(|| body.clone()) != body;
        if self.examples.len() < EXAMPLES {
            let mut after = sent.message.clone();
            apply(&mut after, edit);
            let (old, new) = (shown(&sent.message), shown(&after));
            self.examples.push(EditExample { group_id: sent.group_id.clone(), old, new });
        }
    }

    /// Counts a message that cannot be edited. Returns the reason with the group, as the plan records it.
    pub fn leave_out(&mut self, group_id: &str, why: &str) -> String {
        *self.left_out.entry(why.to_owned()).or_default() += 1;
        format!("{group_id}: {why}")
    }
}

/// The sent messages of a broadcast, page by page.
#[derive(Debug)]
pub struct SentMessages {
    ledger: Ledger,
    id: BroadcastId,
    pages: ExportPages,
}

impl SentMessages {
    /// Opens the sent messages of a broadcast.
    ///
    /// # Errors
    ///
    /// [`RequestFailure`] while the broadcast is being sent, and when it edits messages itself.
    pub async fn open(ledger: &Ledger, broadcast: &Broadcast) -> Result<Self, RequestFailure> {
        let name = broadcast.full_name();
        has_own_messages(broadcast, "edit")?;
        if !broadcast.is_over() && broadcast.driver.is_some() && broadcast.command == BroadcastCommand::Run {
            let why = format!(
                "{name} is being sent right now, so its rest would go out unedited; pause or cancel it first (`mooncast runs pause`)"
            );
            return Err(RequestFailure::invalid("broadcast", why));
        }
        let states = [RecipientState::Sent, RecipientState::InDoubt];
        let pages = ledger.export_pages(broadcast.id, &states).await.map_err(|error| unread(&error))?;
        Ok(Self { ledger: ledger.clone(), id: broadcast.id, pages })
    }

    /// Returns the next messages that can be edited, and the reasons of those that cannot, which it counts in
    /// `preview`. Returns None after the last.
    ///
    /// # Errors
    ///
    /// [`RequestFailure`] when the ledger cannot be read.
    pub async fn next(
        &mut self,
        preview: &mut EditPreview,
    ) -> Result<Option<(Vec<EditableMessage>, Vec<String>)>, RequestFailure> {
        let page = self.pages.next().await.map_err(|error| unread(&error))?;
        let Some((first, last)) = page.as_ref().and_then(|page| Some((page.first()?.seq, page.last()?.seq)))
        else {
            return Ok(None);
        };
        let seqs = (first, last);
        let sent = self.ledger.planned_messages(self.id, seqs).await.map_err(|error| unread(&error))?;
        let sent: HashMap<i64, String> = sent.into_iter().collect();
        let mut edits: HashMap<String, Vec<String>> = HashMap::new();
        for edit in self.ledger.edits_of(self.id, seqs).await.map_err(|error| unread(&error))? {
            edits.entry(edit.message_id).or_default().push(edit.content);
        }
        let (mut editable, mut left_out) = (Vec::new(), Vec::new());
        for row in page.unwrap_or_default() {
            let mut message: Value =
                sent.get(&row.seq).and_then(|content| serde_json::from_str(content).ok()).unwrap_or_default();
            let before = row.message_id.as_ref().and_then(|id| edits.get(id)).map_or(&[][..], Vec::as_slice);
            let why = if row.state == RecipientState::InDoubt {
                "in doubt; the id of its message is not known"
            } else if row.message_id.is_none() {
                "settled as sent; the id of its message is not known"
            } else if row.recalled == Some(true) {
                "recalled"
            } else if kind_of(&message) == Some(MessageKind::Cmd) {
                "a command; the service edits none"
            } else if before.len() >= EDITS_A_MESSAGE {
                EDIT_LIMIT
            } else {
                for edit in before {
                    apply(&mut message, &serde_json::from_str(edit).unwrap_or_default());
                }
                editable.push(EditableMessage {
                    group_id: row.group_id,
                    users: row.users,
                    message_id: row.message_id.unwrap_or_default(),
                    message,
                    fields: row.fields,
                });
                continue;
            };
            left_out.push(preview.leave_out(&row.group_id, why));
        }
        Ok(Some((editable, left_out)))
    }
}

/// Refuses to do something (`act`, for the error) with the messages of a broadcast that edits those of another.
pub fn has_own_messages(broadcast: &Broadcast, act: &str) -> Result<(), RequestFailure> {
    let Some(corrected) = &broadcast.spec.corrects else { return Ok(()) };
    let (name, of) = (broadcast.full_name(), corrected.full_name());
    let why = format!("{name} edits the messages of {of} and has none of its own; {act} {of}");
    Err(RequestFailure::invalid("broadcast", why))
}

/// Returns the name of the broadcast that edits the messages of another.
pub fn edit_name(name: &str) -> String {
    format!("{name}.edit")
}

/// Returns the run of the edit after `latest`: the run of the edited broadcast, then `RUN.2`, `RUN.3`.
pub fn edit_run(run: &str, latest: Option<&str>) -> String {
    let Some(latest) = latest else { return run.to_owned() };
    let number = latest.strip_prefix(run).and_then(|rest| rest.strip_prefix('.'));
    let number: u64 = number.and_then(|number| number.parse().ok()).unwrap_or(1);
    format!("{run}.{}", number + 1)
}

/// Returns the whole edit of a message, as [`crate::message::check_draft`] reads it, for a change of `body`, `ext` or
/// both. The error says in a few words why the change does not fit the message.
pub fn edit_of(message: &Value, change: &Value, from: Option<&str>) -> Result<Value, String> {
    let mut edit = change.clone();
    let (Some(fields), Some(kind)) = (edit.as_object_mut(), kind_of(message)) else {
        // The check of the edit reports a change that is no object.
        return Ok(edit);
    };
    if fields.get("type").is_some_and(|given| given.as_str() != Some(kind.name())) {
        return Err(format!("of type {kind}; an edit cannot change the type"));
    }
    fields.insert("type".to_owned(), kind.name().into());
    if let Some(from) = from {
        fields.insert("from".to_owned(), from.into());
    }
    let new_body = fields.get("body").and_then(Value::as_object);
    match kind {
        MessageKind::Txt | MessageKind::Custom => {
            let known = body_fields(kind);
            if new_body.is_some_and(|body| !body.keys().any(|name| known.contains(&name.as_str()))) {
                return Err(format!("of type {kind}; the new `body` is for another type"));
            }
            if !fields.contains_key("body") && !fields.contains_key("ext") {
                return Ok(edit);
            }
            // The service wants the whole new content.
            let mut body = message.get("body").and_then(Value::as_object).cloned().unwrap_or_default();
            match fields.get("body") {
                Some(Value::Object(new)) => body.extend(new.clone()),
                None => {}
                Some(_) => return Ok(edit),
            }
            fields.insert("body".to_owned(), body.into());
        }
        _ if fields.contains_key("body") => {
            return Err(format!("of type {kind}; the service edits only `ext` of it"));
        }
        _ => {}
    }
    Ok(edit)
}

/// Applies an edit to a message: a new body replaces the old one, and a new `ext` is merged into the old one.
fn apply(message: &mut Value, edit: &Value) {
    let Some(message) = message.as_object_mut() else { return };
    if let Some(body) = edit.get("body") {
        message.insert("body".to_owned(), body.clone());
    }
    if let Some(ext) = edit.get("ext").and_then(Value::as_object) {
        let merged = message.entry("ext").or_insert_with(|| Map::new().into());
        if let Some(merged) = merged.as_object_mut() {
            merged.extend(ext.clone());
        }
    }
}

fn kind_of(message: &Value) -> Option<MessageKind> {
    MessageKind::from_name(message.get("type")?.as_str()?)
}

/// Returns the text of a message, or its body and `ext` as JSON, shortened and without the secret of a file.
fn shown(message: &Value) -> String {
    let text = message.pointer("/body/msg").and_then(Value::as_str);
    let mut shortened = match (text, message.get("ext")) {
        (Some(text), None) => text.to_owned(),
        (Some(text), Some(ext)) => format!("{text} {ext}"),
        (None, ext) => {
            let mut body = message.get("body").cloned().unwrap_or_default();
            for name in ["secret", "thumb_secret"] {
                body.as_object_mut().and_then(|body| body.remove(name));
            }
            format!("{body} {}", ext.unwrap_or(&Value::Null))
        }
    };
    if let Some((end, _)) = shortened.char_indices().nth(LETTERS) {
        shortened.truncate(end);
        shortened.push('…');
    }
    shortened
}

fn unread(error: &LedgerError) -> RequestFailure {
    RequestFailure::new(FailureKind::Unreachable, format!("{error}; nothing was edited"))
}
