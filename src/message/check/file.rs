//! Reads `body.file` and `body.thumb`: values from `im.upload` that stand for several fields of a body.

use serde_json::{Map, Value};

use super::object::ObjectReader;
use super::readers::{seconds, secret, string, text, whole};
use crate::message::{ImageSize, MessageKind, MessageProblem, ShareSecret, shown};

/// The fields of a body that an uploaded file can fill. All are empty if the script gave no file.
#[derive(Debug, Default)]
pub(super) struct FileFields {
    pub(super) url: Option<String>,
    pub(super) secret: Option<ShareSecret>,
    pub(super) filename: Option<String>,
    /// In pixels.
    pub(super) size: Option<ImageSize>,
    /// In whole seconds.
    pub(super) duration: Option<u64>,
    pub(super) bytes: Option<u64>,
    /// Whether the file is audio or video whose duration the upload could not measure.
    pub(super) is_unmeasured: bool,
}

/// Reads `body.file`. A `kind` message needs only some of its fields; the others are ignored.
pub(super) fn read(body: &mut ObjectReader<'_>, kind: MessageKind) -> FileFields {
    let Some(value) = body.take("file") else { return FileFields::default() };
    let Value::Object(map) = value else {
        body.note("file", |field| {
            MessageProblem::wrong_type(field, "a file that im.upload returned", &value)
        });
        // An empty URL avoids a second problem about a missing one.
        return FileFields { url: Some(String::new()), ..FileFields::default() };
    };
    let mut fields = body.nested("body.file.", without_nulls(map));
    let mut file = FileFields {
        url: Some(fields.required("url", "a file that im.upload returned has one", text)),
        secret: fields.optional("secret", secret),
        filename: fields.optional("filename", string),
        ..FileFields::default()
    };
    let media = fields.optional("media", string);
    match kind {
        MessageKind::Img => {
            let (width, height) = (fields.optional("width", whole), fields.optional("height", whole));
            file.size = width.zip(height).map(|(width, height)| ImageSize { width, height });
        }
        MessageKind::Audio => file.duration = fields.optional("duration", seconds),
        MessageKind::Video => {
            file.duration = fields.optional("duration", seconds);
            file.bytes = fields.optional("size", whole);
        }
        _ => {}
    }
    if let Some(media) = media {
        note_unlike(body, kind, &media);
        file.is_unmeasured =
            matches!(kind, MessageKind::Audio | MessageKind::Video) && file.duration.is_none();
    }
    file
}

/// Adds a problem if a file's media type does not fit the message's kind. A file message takes every file. A file
/// that was uploaded with `force` has no `media` and passes.
fn note_unlike(body: &mut ObjectReader<'_>, kind: MessageKind, media: &str) {
    let wanted = match kind {
        MessageKind::Img => "image",
        MessageKind::Audio => "audio",
        MessageKind::Video => "video",
        _ => return,
    };
    if media == wanted {
        return;
    }
    body.note("file", |field| {
        let found = match media {
            "image" => "an image; send it as a message of type img",
            "audio" => "a sound; send it as a message of type audio",
            "video" => "a video; send it as a message of type video",
            _ => "a file of another kind; send it as a message of type file",
        };
        let message = format!(
            "`{field}` is {found}; to send it as it is, upload it with `im.upload(path, {{ force = true }})`"
        );
        MessageProblem::new(field, message).limit(&wanted).value(&shown::text(media))
    });
}

/// Reads `body.thumb`: a URL, or an uploaded file, which also has a secret.
pub(super) fn read_thumb(body: &mut ObjectReader<'_>) -> (Option<String>, Option<ShareSecret>) {
    match body.take("thumb") {
        None => (None, None),
        Some(Value::Object(map)) => {
            let mut fields = body.nested("body.thumb.", without_nulls(map));
            let url = fields.required("url", "a file that im.upload returned has one", text);
            let secret = fields.optional("secret", secret);
            if let Some(media) = fields.optional("media", string).filter(|media| media != "image") {
                fields.note("media", |_| {
                    let message = "`body.thumb` is not an image; upload a picture for it, or, if it is \
                     right as it is, upload it \
                                   with `im.upload(path, { force = true })`";
                    MessageProblem::new("body.thumb", message).limit(&"image").value(&shown::text(&media))
                });
            }
            (Some(url), secret)
        }
        Some(Value::String(url)) if !url.is_empty() => (Some(url), None),
        Some(value) => {
            let expected = "a URL or a file that im.upload returned";
            body.note("thumb", |field| MessageProblem::wrong_type(field, expected, &value));
            (None, None)
        }
    }
}

/// Removes null fields. A script that stored a file as JSON may have written `null` for absent fields.
fn without_nulls(mut map: Map<String, Value>) -> Map<String, Value> {
    map.retain(|_, value| !value.is_null());
    map
}
