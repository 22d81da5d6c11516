//! The content of a message as the service's own records have it, in callbacks and in history files.
//!
//! It differs from the request: coordinates are numbers, the map of a custom message has another name beside an old
//! array, and the body of a file has the file's size.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::chat::ChatKind;
use super::files::SimulatorFiles;
use super::record::ReceivedMessage;

/// The parts of a request that records have.
#[derive(Debug, Default, Deserialize)]
pub(super) struct MessageContent {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) body: Map<String, Value>,
    pub(super) ext: Option<Map<String, Value>>,
    pub(super) need_group_ack: Option<bool>,
}

/// The parts of the request of an announcement.
#[derive(Debug, Default, Deserialize)]
struct AnnouncedContent {
    #[serde(default)]
    msg: Map<String, Value>,
    ext: Option<Map<String, Value>>,
}

impl MessageContent {
    /// Reads a message. The simulator accepted it, so it has the right shape.
    pub(super) fn of(message: &ReceivedMessage) -> Self {
        if message.chat == ChatKind::Announcement {
            let announced: AnnouncedContent = serde_json::from_str(message.raw.get()).unwrap_or_default();
            let mut body = announced.msg;
            let kind =
                body.remove("type").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
            return Self { kind, body, ext: announced.ext, need_group_ack: None };
        }
        serde_json::from_str(message.raw.get()).unwrap_or_default()
    }

    /// Returns the id of the upload that an image, voice, video or file message refers to.
    pub(super) fn attachment(&self) -> Option<&str> {
        let has_file = matches!(self.kind.as_str(), "img" | "audio" | "video" | "file");
        let url = self.body.get("url").filter(|_| has_file)?.as_str()?;
        url.split(['?', '#']).next()?.rsplit('/').next()
    }

    /// Returns `bodies` and `ext`.
    pub(super) fn payload(&self, files: &SimulatorFiles) -> Value {
        let mut body = self.body.clone();
        match self.kind.as_str() {
            "loc" => {
                for name in ["lat", "lng"] {
                    let number = body.get(name).and_then(Value::as_str).and_then(|text| text.parse().ok());
                    if let Some(number) = number.filter(|number: &f64| number.is_finite()) {
                        body.insert(name.to_owned(), json!(number));
                    }
                }
            }
            "custom" => {
                if let Some(Value::Object(exts)) = body.remove("customExts") {
                    let old: Vec<_> = exts.iter().map(|(name, value)| json!({ name: value })).collect();
                    body.insert("customExts".to_owned(), old.into());
                    body.insert("v2:customExts".to_owned(), exts.into());
                }
            }
            "audio" => {
                if let Some(length) = body.remove("Length") {
                    body.insert("length".to_owned(), length);
                }
            }
            _ => {}
        }
        if let Some(size) = self.attachment().and_then(|uuid| files.size(uuid)) {
            body.insert("file_length".to_owned(), size.into());
        }
        body.insert("type".to_owned(), self.kind.clone().into());
        json!({ "bodies": [body], "ext": self.ext.clone().unwrap_or_default() })
    }
}
