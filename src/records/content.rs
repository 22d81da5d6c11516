//! What a message's body and a record's body have in common, by type.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::message::{MessageBody, MessageKind};

use super::RecordError;
use super::fields::{Fields, object};

/// A body, reduced to what the service keeps. Two equal messages have equal contents, whatever fields a record adds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content<'body> {
    Text(&'body str),
    /// An image, voice, video or other file, by the uuid of the upload; by the whole URL if it ends in none.
    Media(String),
    Location {
        lat: String,
        lng: String,
        addr: &'body str,
    },
    Command(&'body str),
    Custom {
        event: Option<&'body str>,
        exts: BTreeMap<&'body str, Cow<'body, str>>,
    },
}

impl<'body> Content<'body> {
    pub(super) fn of_message(body: &'body MessageBody) -> Self {
        match body {
            MessageBody::Txt { msg } => Self::Text(msg),
            MessageBody::Img { url, .. }
            | MessageBody::Audio { url, .. }
            | MessageBody::Video { url, .. }
            | MessageBody::File { url, .. } => Self::Media(upload_of(url)),
            MessageBody::Loc { lat, lng, addr } => {
                Self::Location { lat: degrees(lat), lng: degrees(lng), addr }
            }
            MessageBody::Cmd { action, .. } => Self::Command(action),
            MessageBody::Custom { event, exts } => Self::Custom {
                event: event.as_deref(),
                exts: exts.iter().flatten().map(|(name, value)| (name.as_str(), value.into())).collect(),
            },
        }
    }

    /// Reads the body of a record.
    ///
    /// # Errors
    ///
    /// A field is missing: half a record must not be compared.
    pub(super) fn of_record(kind: MessageKind, body: &'body Fields) -> Result<Self, RecordError> {
        let text =
            |name: &'static str| body.get(name).and_then(Value::as_str).ok_or(RecordError::Field(name));
        let coordinate = |name: &'static str| match body.get(name) {
            Some(Value::String(text)) => Ok(degrees(text)),
            Some(Value::Number(number)) => Ok(degrees(&number.to_string())),
            _ => Err(RecordError::Field(name)),
        };
        Ok(match kind {
            MessageKind::Txt => Self::Text(text("msg")?),
            MessageKind::Img | MessageKind::Audio | MessageKind::Video | MessageKind::File => {
                let url = text("url")?;
                if url.is_empty() {
                    return Err(RecordError::Field("url"));
                }
                Self::Media(upload_of(url))
            }
            MessageKind::Loc => {
                Self::Location { lat: coordinate("lat")?, lng: coordinate("lng")?, addr: text("addr")? }
            }
            MessageKind::Cmd => Self::Command(text("action")?),
            MessageKind::Custom => {
                let event = body.get("customEvent").and_then(Value::as_str).filter(|event| !event.is_empty());
                let exts = custom_exts(body)?;
                // A custom message has at least one of both.
                if event.is_none() && exts.is_none() {
                    return Err(RecordError::Field("customEvent"));
                }
                Self::Custom { event, exts: exts.unwrap_or_default() }
            }
        })
    }
}

/// Reads `v2:customExts`, an object; without it the older `customExts`, an object or a list of objects.
fn custom_exts(body: &Fields) -> Result<Option<BTreeMap<&str, Cow<'_, str>>>, RecordError> {
    let wrong = || RecordError::Field("customExts");
    let parts: Vec<&Fields> = if let Some(newer) = object(body, "v2:customExts") {
        vec![newer]
    } else {
        match body.get("customExts") {
            None | Some(Value::Null) if !body.contains_key("v2:customExts") => return Ok(None),
            Some(Value::Object(part)) => vec![part],
            Some(Value::Array(parts)) => {
                parts.iter().map(Value::as_object).collect::<Option<_>>().ok_or_else(wrong)?
            }
            _ => return Err(wrong()),
        }
    };
    let mut exts = BTreeMap::new();
    for (name, value) in parts.into_iter().flatten() {
        let value = match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            Value::Number(_) | Value::Bool(_) => Cow::Owned(value.to_string()),
            _ => return Err(wrong()),
        };
        if exts.insert(name.as_str(), value).is_some() {
            return Err(wrong());
        }
    }
    Ok(Some(exts))
}

/// Returns the uuid of the upload that a URL names, in lower case; the whole URL if its path ends in no uuid.
fn upload_of(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_uuid = last.len() == 36
        && last.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if is_uuid { last.to_ascii_lowercase() } else { url.to_owned() }
}

/// Returns one text for all forms of a number (`39.90`, `39.9`, `3.99e1`); another text stays.
fn degrees(text: &str) -> String {
    match text.trim().parse::<f64>() {
        // Adding zero turns -0 into 0.
        Ok(number) if number.is_finite() => (number + 0.0).to_string(),
        _ => text.to_owned(),
    }
}
