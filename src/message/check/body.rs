//! Reads the `body` of each type of message.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::object::ObjectReader;
use super::readers::{degrees, object, secret, string, text, whole};
use super::{CheckRules, file, unknown};
use crate::message::draft::ExtraFields;
use crate::message::problem::Findings;
use crate::message::{
    CUSTOM_EVENT_CHARS, CUSTOM_EXTS, ImageSize, MessageBody, MessageKind, MessageProblem, ShareSecret, shown,
};

/// Reads a body that has at least one field, and those of its fields that are not checked.
pub(super) fn read(
    kind: MessageKind,
    body: Map<String, Value>,
    may_be_empty: bool,
    rules: CheckRules<'_>,
    problems: &mut Findings,
) -> (MessageBody, ExtraFields) {
    let mut fields = ObjectReader::new("body.", body, problems);
    let body = match kind {
        MessageKind::Txt => MessageBody::Txt { msg: read_text(&mut fields, may_be_empty) },
        MessageKind::Img => {
            let (url, secret, filename, file) = read_file(&mut fields, kind);
            let size = read_size(&mut fields).or(file.size);
            MessageBody::Img {
                url,
                secret,
                filename,
                size,
                file_length: fields.optional("file_length", whole),
            }
        }
        MessageKind::Audio => {
            let (url, secret, filename, file) = read_file(&mut fields, kind);
            let length = read_audio_length(&mut fields).or(file.duration);
            note_unmeasured(&mut fields, &file, length);
            MessageBody::Audio {
                url,
                secret,
                filename,
                length,
                file_length: fields.optional("file_length", whole),
            }
        }
        MessageKind::Video => {
            let (url, share_secret, filename, file) = read_file(&mut fields, kind);
            let (thumb, secret_of_thumb) = file::read_thumb(&mut fields);
            let length = fields.optional("length", whole).or(file.duration);
            note_unmeasured(&mut fields, &file, length);
            MessageBody::Video {
                url,
                secret: share_secret,
                filename,
                length,
                file_length: fields.optional("file_length", whole).or(file.bytes),
                thumb,
                thumb_secret: fields.optional("thumb_secret", secret).or(secret_of_thumb),
            }
        }
        MessageKind::File => {
            let (url, secret, filename, _) = read_file(&mut fields, kind);
            MessageBody::File { url, secret, filename, file_length: fields.optional("file_length", whole) }
        }
        MessageKind::Loc => MessageBody::Loc {
            lat: fields.required("lat", "the latitude in degrees", degrees),
            lng: fields.required("lng", "the longitude in degrees", degrees),
            addr: fields.required("addr", "the place in words", text),
        },
        MessageKind::Cmd => MessageBody::Cmd {
            action: fields.required("action", "the command", text),
            param: fields.optional("param", object),
        },
        MessageKind::Custom => {
            MessageBody::Custom { event: read_event(&mut fields), exts: read_exts(&mut fields) }
        }
    };
    let extra = fields.take_extra(|name| rules.lets_in_body(name));
    fields.end(|name| unknown::body(kind, name));
    (body, extra)
}

/// Reads the text of a message. A text without visible characters is refused unless `may_be_empty`: it is usually a
/// mistake of a template or of its data.
fn read_text(fields: &mut ObjectReader<'_>, may_be_empty: bool) -> String {
    let given = fields.has("msg");
    let mut wrong = false;
    let read = |value| string(value).inspect_err(|_| wrong = true);
    let msg = fields.required("msg", "the text", read);
    if given && !wrong && !may_be_empty && shown::shows_nothing(&msg) {
        let what = if msg.is_empty() {
            "is empty".to_owned()
        } else {
            format!("shows nothing: {}", shown::quoted(&msg))
        };
        fields.note("msg", |field| {
            let message = format!("`{field}` {what}; to send it all the same, set `allow_empty = true`");
            MessageProblem::new(field, message).limit("not empty").value(&shown::quoted(&msg))
        });
    }
    msg
}

/// Reads the fields that all types with a file share, and the fields that the file may fill. A field of the body has
/// precedence over the same field of the file.
fn read_file(
    fields: &mut ObjectReader<'_>,
    kind: MessageKind,
) -> (String, Option<ShareSecret>, Option<String>, file::FileFields) {
    let mut file = file::read(fields, kind);
    let url = fields.optional("url", text).or(file.url.take()).unwrap_or_else(|| {
        let what = "the URL of an uploaded file (or give `file`, a value from im.upload)";
        fields.note("url", |field| MessageProblem::missing(field, what));
        String::new()
    });
    let secret = fields.optional("secret", secret).or(file.secret.take());
    let filename = fields.optional("filename", string).or(file.filename.take());
    (url, secret, filename, file)
}

/// Adds a problem if neither the body nor the file gives a duration.
fn note_unmeasured(fields: &mut ObjectReader<'_>, file: &file::FileFields, length: Option<u64>) {
    if file.is_unmeasured && length.is_none() {
        fields.note("length", |field| {
            let message = format!(
                "`{field}` is missing: how long the file plays cannot be read from it; give `length = SECONDS`, a whole number"
            );
            MessageProblem::new(field, message)
        });
    }
}

fn read_size(fields: &mut ObjectReader<'_>) -> Option<ImageSize> {
    let value = fields.take("size")?;
    let Value::Object(map) = value else {
        let expected = "an object of `width` and `height`";
        fields.note("size", |field| MessageProblem::wrong_type(field, expected, &value));
        return None;
    };
    let mut size = fields.nested("body.size.", map);
    let width = size.required("width", "the image's width in pixels", whole);
    let height = size.required("height", "the image's height in pixels", whole);
    size.end(|name| unknown::nested("body.size", &["width", "height"], name));
    Some(ImageSize { width, height })
}

/// Reads the duration. The vendor's table writes `Length`, its example `length`.
fn read_audio_length(fields: &mut ObjectReader<'_>) -> Option<u64> {
    let (lower, upper) = (fields.optional("length", whole), fields.optional("Length", whole));
    if lower.is_some() && upper.is_some() {
        fields.note("Length", |field| {
            let message = format!("`{field}` and `body.length` are the same field: give one of them");
            MessageProblem::new(field, message).limit("one of `length` and `Length`").value("both")
        });
    }
    lower.or(upper)
}

fn read_event(fields: &mut ObjectReader<'_>) -> Option<String> {
    let event = fields.optional("customEvent", text)?;
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_/.".contains(letter);
    // An empty name already has its problem.
    if !event.chars().all(allowed) || event.chars().count() > CUSTOM_EVENT_CHARS {
        let limit = format!("1 to {CUSTOM_EVENT_CHARS} characters of a-z, A-Z, 0-9, `-`, `_`, `/` and `.`");
        let (length, given) = (event.chars().count(), shown::text(&event));
        fields.note("customEvent", |field| {
            let message =
                format!("`{field}` must be {limit}, not {given} ({})", shown::counted(length, "character"));
            MessageProblem::new(field, message).limit(&limit).value(&given)
        });
    }
    Some(event)
}

fn read_exts(fields: &mut ObjectReader<'_>) -> Option<BTreeMap<String, String>> {
    let map = fields.optional("customExts", object)?;
    if map.len() > CUSTOM_EXTS {
        let count = map.len();
        fields.note("customExts", |field| {
            let message = format!("`{field}` has {count} entries, at most {CUSTOM_EXTS} are allowed");
            MessageProblem::new(field, message).limit(&CUSTOM_EXTS).value(&count)
        });
    }
    let mut exts = BTreeMap::new();
    for (key, value) in map {
        match string(value) {
            Ok(text) => {
                exts.insert(key, text);
            }
            Err(wrong) => {
                fields.note("customExts", |field| wrong.at(format!("{field}.{}", shown::text(&key))));
            }
        }
    }
    Some(exts)
}
