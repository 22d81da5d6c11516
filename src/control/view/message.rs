//! The message of one recipient, without the secrets of its files.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::group_id;
use crate::control::ControlError;
use crate::core::RecipientState;
use crate::ledger::{Broadcast, Ledger, LedgerError, RecipientMessage};

/// The fields of a body that hold the secrets of files.
const SECRETS: [&str; 2] = ["secret", "thumb_secret"];

/// What stands in place of a secret elsewhere in a message.
const HIDDEN: &str = "[hidden]";

/// The message that a recipient got or will get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessageView {
    /// The recipient's place in the plan.
    pub seq: i64,
    /// The group, user or room.
    pub recipient_id: String,
    /// The same as `recipient_id`, if it is a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// The members of a targeted message; empty for the whole group.
    pub users: Vec<String>,
    /// The recipient's state.
    pub state: RecipientState,
    /// The service's id of the message, once it was sent.
    pub message_id: Option<String>,
    /// The type, such as `txt` or `img`. Absent if the recipient gets no message.
    pub r#type: Option<String>,
    /// The sender. Absent if the message names none.
    pub from: Option<String>,
    /// The text of a text message.
    pub text: Option<String>,
    /// The file of a media message.
    pub media: Option<MediaView>,
    /// The other fields of the body.
    #[schema(value_type = Object)]
    pub body: Map<String, Value>,
    /// The extension fields, as the sender set them.
    #[schema(value_type = Option<Object>)]
    pub ext: Option<Value>,
    /// How many times the message was edited after it was sent. The other fields are those of the first form.
    pub edits: u64,
}

/// The file of a media message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MediaView {
    /// The name that readers see.
    pub name: Option<String>,
    /// Its size in bytes.
    pub bytes: Option<u64>,
    /// The width and the height in pixels.
    pub width: Option<u64>,
    pub height: Option<u64>,
    /// The duration in seconds.
    pub seconds: Option<f64>,
    /// Its address at the service, without its secret.
    pub url: String,
    /// Whether it has a picture to show: it is an image, or a video with a thumbnail.
    pub has_picture: bool,
}

/// The address of a picture at the service, with its secret. It is shown nowhere.
pub struct PictureAddress {
    pub url: String,
    pub secret: Option<String>,
}

impl std::fmt::Debug for PictureAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PictureAddress(hidden)")
    }
}

impl MessageView {
    /// The view of a recipient's message.
    pub async fn read(
        ledger: &Ledger,
        broadcast: &Broadcast,
        found: RecipientMessage,
    ) -> Result<Self, LedgerError> {
        let edits = ledger.edits_of(broadcast.id, (found.seq, found.seq)).await?.len() as u64;
        let call = broadcast.spec.recipients();
        Ok(Self {
            seq: found.seq,
            group_id: group_id(call, &found.group_id),
            state: found.state,
            message_id: found.message_id.clone(),
            edits,
            ..Self::unsent(found.group_id.clone(), found.users.clone(), message_of(&found))
        })
    }

    /// The view of a message that was not sent, such as a sample of a rehearsal.
    pub fn unsent(recipient_id: String, users: Vec<String>, mut message: Value) -> Self {
        hide_secrets(&mut message);
        let mut body = match message.get_mut("body").map(Value::take) {
            Some(Value::Object(body)) => body,
            _ => Map::new(),
        };
        let text_of = |field: &str| message.get(field).and_then(Value::as_str).map(str::to_owned);
        let (kind, from) = (text_of("type"), text_of("from"));
        let is_text = kind.as_deref() == Some("txt");
        let text = if is_text { body.remove("msg") } else { None };
        Self {
            seq: 0,
            group_id: None,
            recipient_id,
            users,
            state: RecipientState::Pending,
            message_id: None,
            text: text.and_then(|text| text.as_str().map(str::to_owned)),
            media: media(kind.as_deref(), &mut body),
            r#type: kind,
            from,
            body,
            ext: message.get("ext").filter(|ext| !ext.is_null()).cloned(),
            edits: 0,
        }
    }
}

/// Finds the message of a recipient by its place in the plan.
pub async fn find_message(
    ledger: &Ledger,
    broadcast: &Broadcast,
    seq: i64,
) -> Result<RecipientMessage, ControlError> {
    let found = ledger.message_at(broadcast.id, seq).await?;
    let missing = || {
        let name = broadcast.full_name();
        ControlError::NotFound(format!("{name} has no recipient with the number {seq}"))
    };
    found.ok_or_else(missing)
}

/// The address of the picture of a message: the image itself, or the thumbnail of a video.
pub fn picture_of(found: &RecipientMessage) -> Option<PictureAddress> {
    let message = message_of(found);
    let body = message.get("body")?;
    let (url, secret) = match message.get("type")?.as_str()? {
        "img" => ("url", "secret"),
        "video" => ("thumb", "thumb_secret"),
        _ => return None,
    };
    let text = |field: &str| body.get(field)?.as_str().map(str::to_owned);
    Some(PictureAddress { url: text(url)?, secret: text(secret) })
}

fn message_of(found: &RecipientMessage) -> Value {
    let content = found.content.as_deref();
    content.and_then(|content| serde_json::from_str(content).ok()).unwrap_or_default()
}

/// Removes the secrets of the body, and hides them wherever else they stand.
fn hide_secrets(message: &mut Value) {
    let mut secrets = Vec::new();
    if let Some(body) = message.get_mut("body").and_then(Value::as_object_mut) {
        for field in SECRETS {
            if let Some(Value::String(secret)) = body.remove(field) {
                secrets.push(secret);
            }
        }
        for field in ["url", "thumb"] {
            // A share-secret can stand in the query.
            if let Some(Value::String(url)) = body.get_mut(field)
                && let Some((plain, _)) = url.split_once(['?', '#'])
            {
                *url = plain.to_owned();
            }
        }
    }
    secrets.retain(|secret| !secret.is_empty());
    if !secrets.is_empty() {
        hide(message, &secrets);
    }
}

fn hide(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => {
            for secret in secrets {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), HIDDEN);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, secrets)),
        Value::Object(fields) => {
            let named = std::mem::take(fields);
            for (name, mut value) in named {
                let mut name = Value::String(name);
                hide(&mut name, secrets);
                hide(&mut value, secrets);
                fields.insert(name.as_str().unwrap_or_default().to_owned(), value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Takes the file of a media message out of its body.
fn media(kind: Option<&str>, body: &mut Map<String, Value>) -> Option<MediaView> {
    if !matches!(kind, Some("img" | "audio" | "video" | "file")) {
        return None;
    }
    let Some(Value::String(url)) = body.remove("url") else { return None };
    let thumb = body.remove("thumb");
    let dimensions = body.remove("size");
    let side = |name: &str| dimensions.as_ref()?.get(name).and_then(whole);
    Some(MediaView {
        name: body.remove("filename").and_then(|name| name.as_str().map(str::to_owned)),
        bytes: body.remove("file_length").as_ref().and_then(whole),
        width: side("width"),
        height: side("height"),
        seconds: body.remove("length").and_then(|length| length.as_f64()),
        has_picture: kind == Some("img") || (kind == Some("video") && thumb.is_some()),
        url,
    })
}

/// A number that may be written with a fraction of zero.
fn whole(value: &Value) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is checked before")]
    value
        .as_u64()
        .or_else(|| value.as_f64().filter(|number| (0.0..1e15).contains(number)).map(|number| number as u64))
}
