//! Uploads in a rehearsal: files are inspected and hashed instead of uploaded. A run held to the rehearsal recognizes
//! the same files by their content.

use std::cell::RefCell;
use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::core::{UploadOptions, sha256_hex};
use crate::delivery::{FileDetails, SendableFile};
use crate::message::Message;
use crate::protocol::RequestFailure;
use crate::run::inputs;
use crate::run::uploads::{UploadCall, UploadSink};

use super::Rehearsal;
use super::plan::{SendFingerprint, fingerprint};

/// A file that would be uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RehearsedUpload {
    /// The file name that recipients see.
    pub filename: String,
    /// The size in bytes.
    pub bytes: u64,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// A placeholder for an uploaded file, derived from its content, its name and its upload options.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UploadPlaceholder {
    uuid: String,
    secret: String,
}

impl UploadPlaceholder {
    fn new(content: &str, filename: &str, options: &UploadOptions) -> Self {
        // The value for the default is from when the option had none.
        let restrict_access = (!options.restrict_access).then_some(false);
        let how = json!([content, filename, restrict_access, options.thumbnail]).to_string();
        let hash = sha256_hex(how);
        let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
        let uuid: Vec<&str> = parts.iter().filter_map(|(from, to)| hash.get(*from..*to)).collect();
        Self { uuid: uuid.join("-"), secret: hash.get(32..).unwrap_or_default().to_owned() }
    }
}

/// Hashes the content of a file, and leaves the file at its beginning.
pub(super) async fn hashed(call: UploadCall<'_>) -> Result<(UploadCall<'_>, String), RequestFailure> {
    let UploadCall { file: SendableFile { file, name }, .. } = call;
    let hashing = inputs::of_file(file).await;
    let (file, content) = hashing
        .map_err(|error| RequestFailure::invalid("path", format!("the file cannot be read: {error}")))?;
    Ok((UploadCall { file: SendableFile { file, name }, ..call }, content))
}

#[async_trait(?Send)]
impl UploadSink for Rehearsal {
    async fn upload(&self, call: UploadCall<'_>) -> Result<Value, RequestFailure> {
        let (call, content) = hashed(call).await?;
        let UploadCall { number, app, file, options, stop, hold } = call;
        drop(hold);
        let name = options.filename.as_deref();
        let details = app.inspect(file, name, options.force, options.priority, stop).await?;
        let value = self.placeholder(number, &content, &details, &options);
        self.files.uploaded(&content, &details.filename, &options, &value);
        Ok(value)
    }
}

impl Rehearsal {
    /// Returns the value that a script gets for a file that is not uploaded. `inspected` holds what the file's own
    /// data says.
    fn placeholder(
        &self,
        app: u32,
        content: &str,
        inspected: &FileDetails,
        options: &UploadOptions,
    ) -> Value {
        let filename = &inspected.filename;
        let placeholder = UploadPlaceholder::new(content, filename, options);
        let prefix = self.prefixes.get(app as usize).map_or("", String::as_str);
        let mut value = json!({
            "uuid": placeholder.uuid,
            "url": format!("{prefix}/chatfiles/{}", placeholder.uuid),
            "filename": filename,
            "size": inspected.size,
        });
        if options.restrict_access {
            value["secret"] = Value::from(placeholder.secret);
        }
        if let (Some(width), Some(height)) = (inspected.width, inspected.height) {
            value["width"] = Value::from(width);
            value["height"] = Value::from(height);
        }
        if let Some(media) = inspected.media {
            value["media"] = Value::from(media);
        }
        if let Some(duration) = inspected.duration {
            value["duration"] = Value::from(duration.as_secs_f64());
        }
        let (filename, sha256) = (filename.clone(), content.to_owned());
        let seen = RehearsedUpload { filename, bytes: inspected.size, sha256 };
        self.uploads.borrow_mut().push(seen);
        value
    }
}

/// The files that a run has uploaded, with the placeholders that identify them in the rehearsal.
#[derive(Debug, Default)]
pub(super) struct FilesByContent {
    /// The placeholder of each address, share-secret and id.
    known_as: RefCell<HashMap<String, String>>,
}

impl FilesByContent {
    /// Adds a file that was uploaded, or whose upload was rehearsed. `value` is what the script gets for it.
    pub(super) fn uploaded(&self, content: &str, filename: &str, options: &UploadOptions, value: &Value) {
        let placeholder = UploadPlaceholder::new(content, filename, options);
        let mut known_as = self.known_as.borrow_mut();
        let url = format!("file {}", placeholder.uuid);
        for (field, stands) in [("url", url), ("secret", placeholder.secret), ("uuid", placeholder.uuid)] {
            if let Some(real) = value.get(field).and_then(Value::as_str) {
                known_as.insert(real.to_owned(), stands);
            }
        }
    }

    /// Returns the fingerprint of a single send, with files represented by their content.
    pub(super) fn fingerprint(&self, app: &str, message: &Message) -> SendFingerprint {
        let json = message.to_json();
        let known_as = self.known_as(&json);
        fingerprint(app, message.call(), known_as.as_deref().unwrap_or(&json))
    }

    /// Returns a message with its files replaced by their placeholders, or `None` if it contains none.
    pub(super) fn known_as(&self, json: &[u8]) -> Option<Bytes> {
        let known_as = self.known_as.borrow();
        if known_as.is_empty() {
            return None;
        }
        let mut value: Value = serde_json::from_slice(json).ok()?;
        replace(&mut value, &known_as).then(|| value.to_string().into())
    }
}

fn replace(value: &mut Value, known_as: &HashMap<String, String>) -> bool {
    match value {
        Value::String(text) => known_as.get(text).is_some_and(|known| {
            known.clone_into(text);
            true
        }),
        Value::Array(list) => list.iter_mut().fold(false, |any, item| replace(item, known_as) | any),
        Value::Object(fields) => fields.values_mut().fold(false, |any, item| replace(item, known_as) | any),
        _ => false,
    }
}
