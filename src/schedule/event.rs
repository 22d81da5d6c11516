//! Jobs that run for the events of the chat service.

use serde_json::{Map, Value, json};

use crate::protocol;

use super::pattern::TextPattern;
use super::problem::DeclarationError;

/// How many ids of a list are shown.
const SHOWN: usize = 3;

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// A user has sent a message.
    Message,
    /// Users have become members of a group.
    Joined,
    /// Users are no longer members.
    Left,
    /// A member has read a message.
    Read,
    /// A message was recalled.
    Recalled,
    /// A message has another content.
    Edited,
}

impl EventKind {
    pub const ALL: [Self; 6] =
        [Self::Message, Self::Joined, Self::Left, Self::Read, Self::Recalled, Self::Edited];

    /// The name in `im.on`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Read => "read",
            Self::Recalled => "recalled",
            Self::Edited => "edited",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// An event of the chat service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceEvent {
    pub kind: EventKind,
    /// The id of its callback.
    pub id: String,
    /// The name of the app in the settings.
    pub app: String,
    pub group: String,
    /// Whether `group` is certainly a group. Otherwise it may be a user: the event may be one of a chat between two users.
    pub is_group: bool,
    /// The users who caused it: the sender, the reader, the members. Empty if the service does not name them.
    pub users: Vec<String>,
    /// Milliseconds since 1970-01-01T00:00:00Z, by the service's clock.
    pub at_ms: i64,
    pub message_id: Option<String>,
    /// The body of the message, with its `type`.
    pub body: Option<Map<String, Value>>,
    pub ext: Option<Map<String, Value>>,
}

impl ServiceEvent {
    /// Returns the text of a text message.
    pub fn text(&self) -> Option<&str> {
        let body = self.body.as_ref().filter(|body| body.get("type").is_some_and(|kind| kind == "txt"))?;
        body.get("msg").and_then(Value::as_str)
    }

    /// Returns the argument of the job's function. Of the users it has only those that the job takes.
    fn json(&self, users: &[&str]) -> Value {
        let mut event = json!({
            "event": self.kind.name(),
            "id": self.id,
            "app": self.app,
            "group": self.group,
            "time": self.at_ms as f64 / 1000.0,
        });
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                event[name] = value;
            }
        };
        set("from", users.first().map(|user| json!(user)));
        set("users", matches!(self.kind, EventKind::Joined | EventKind::Left).then(|| json!(users)));
        set("message_id", self.message_id.as_ref().map(|id| json!(id)));
        set("type", self.body.as_ref().and_then(|body| body.get("type").cloned()));
        set("text", self.text().map(|text| json!(text)));
        set("body", self.body.clone().map(Value::Object));
        set("ext", self.ext.clone().map(Value::Object));
        event
    }
}

/// The events that a job takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    pub app: String,
    pub kind: EventKind,
    groups: Vec<String>,
    users: Vec<String>,
    pattern: Option<TextPattern>,
}

impl EventFilter {
    /// Validates a declaration. The caller checks that the ids and the app are possible ones.
    pub(super) fn read(declared: &protocol::EventDeclaration) -> Result<Self, DeclarationError> {
        let Some(kind) = EventKind::from_name(&declared.event) else {
            let known: Vec<String> =
                EventKind::ALL.into_iter().map(|kind| format!("\"{}\"", kind.name())).collect();
            let (event, known) = (declared.event.escape_debug(), known.join(", "));
            return Err(DeclarationError::new(
                "event",
                format!("`{event}` is unknown; write one of {known}"),
            ));
        };
        if declared.pattern.is_some() && kind != EventKind::Message {
            let problem = format!(
                "only the texts of messages are matched; leave it out for \"{}\", and look at the event in the function",
                kind.name()
            );
            return Err(DeclarationError::new("match", problem));
        }
        let pattern = declared.pattern.as_deref().map(TextPattern::new).transpose();
        let pattern = pattern.map_err(|why| {
            let text = declared.pattern.as_deref().unwrap_or_default().escape_debug();
            DeclarationError::new("match", format!("`{text}` is not a pattern: {why}"))
        })?;
        let (groups, users) = (declared.groups.clone(), declared.users.clone());
        Ok(Self { app: declared.app.clone(), kind, groups, users, pattern })
    }

    /// Returns the argument of the job's function if the job takes this event.
    pub fn takes(&self, event: &ServiceEvent) -> Option<Value> {
        if event.kind != self.kind || event.app != self.app {
            return None;
        }
        let is_named = self.groups.contains(&event.group);
        if !(is_named || self.groups.is_empty() && event.is_group) {
            return None;
        }
        // The service does not distinguish upper and lower case in the ids of users.
        let is_taken = |user: &&str| {
            self.users.is_empty() || self.users.iter().any(|one| one.eq_ignore_ascii_case(user))
        };
        let users: Vec<&str> = event.users.iter().map(String::as_str).filter(is_taken).collect();
        if users.is_empty() && !self.users.is_empty() {
            return None;
        }
        let fits = |pattern: &TextPattern| event.text().is_some_and(|text| pattern.matches(text));
        self.pattern.as_ref().is_none_or(fits).then(|| event.json(&users))
    }

    /// Returns the filter as text: `on message, group 1, from ann, match "^!help"`.
    pub(super) fn words(&self) -> String {
        let app = if self.app == "default" { String::new() } else { format!(" in app {}", self.app) };
        let mut words = vec![format!("{}{}{app}", super::ON_EVENT, self.kind.name())];
        for (word, ids) in [("group", &self.groups), ("from", &self.users)] {
            let shown: Vec<&str> = ids.iter().take(SHOWN).map(String::as_str).collect();
            match ids.len() {
                0 => {}
                few if few <= SHOWN => words.push(format!("{word} {}", shown.join(" or "))),
                many => words.push(format!("{word} {} or {} more", shown.join(", "), many - SHOWN)),
            }
        }
        if let Some(pattern) = &self.pattern {
            words.push(format!("match \"{}\"", pattern.text().escape_debug()));
        }
        words.join(", ")
    }
}
