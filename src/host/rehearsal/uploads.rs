//! Files in a rehearsal: looked at and hashed, not uploaded; and the same files in a run that is held to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek};

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::delivery::FileDetails;
use crate::protocol::{FailureKind, RequestFailure, UploadParams};

use super::Rehearsal;

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// A file that would be uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RehearsedUpload {
    /// Its name for readers.
    pub filename: String,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: String,
}

/// What stands for a file: made of its content, its name, and how it would be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct UploadPlaceholder {
    uuid: String,
    secret: String,
}

impl UploadPlaceholder {
    fn new(content: &str, filename: &str, options: &UploadParams) -> Self {
        let how = json!([content, filename, options.restrict_access, options.thumbnail]).to_string();
        let hash = HEXLOWER.encode(&Sha256::digest(how));
        let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
        let uuid: Vec<&str> = parts.iter().filter_map(|(from, to)| hash.get(*from..*to)).collect();
        Self { uuid: uuid.join("-"), secret: hash.get(32..).unwrap_or_default().to_owned() }
    }
}

/// A file that was looked at on its way.
pub(in super::super) struct HashedUpload {
    pub(in super::super) file: File,
    content: String,
}

/// Hashes a file's content, and leaves it at its beginning.
pub(in super::super) async fn look(mut file: File) -> Result<HashedUpload, RequestFailure> {
    let work = move || -> std::io::Result<HashedUpload> {
        let (mut hasher, mut piece) = (Sha256::new(), vec![0; PIECE]);
        loop {
            let count = file.read(&mut piece)?;
            if count == 0 {
                break;
            }
            hasher.update(piece.get(..count).unwrap_or_default());
        }
        file.rewind()?;
        Ok(HashedUpload { file, content: HEXLOWER.encode(&hasher.finalize()) })
    };
    let looked = tokio::task::spawn_blocking(work).await;
    looked
        .map_err(|_| RequestFailure::new(FailureKind::Cancelled, "the host is shutting down"))?
        .map_err(|error| RequestFailure::invalid("path", format!("the file cannot be read: {error}")))
}

impl Rehearsal {
    /// What a script gets of a file that is not uploaded; `media` is what the file says of itself.
    pub(in super::super) fn upload(
        &self,
        app: u32,
        looked: &HashedUpload,
        inspected: &FileDetails,
        options: &UploadParams,
    ) -> Value {
        let filename = &inspected.filename;
        let stand_in = UploadPlaceholder::new(&looked.content, filename, options);
        let prefix = self.prefixes.get(app as usize).map_or("", String::as_str);
        let mut value = json!({
            "uuid": stand_in.uuid,
            "url": format!("{prefix}/chatfiles/{}", stand_in.uuid),
            "filename": filename,
            "size": inspected.size,
        });
        if options.restrict_access.unwrap_or(true) {
            value["secret"] = Value::from(stand_in.secret);
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
        let (filename, sha256) = (filename.clone(), looked.content.clone());
        let seen = RehearsedUpload { filename, bytes: inspected.size, sha256 };
        self.uploads.borrow_mut().push(seen);
        value
    }
}

/// The files that a run has uploaded, by what their rehearsal knew them by.
#[derive(Debug, Default)]
pub struct FilesByContent {
    /// Of each address and share-secret, what stood for it.
    known_as: RefCell<HashMap<String, String>>,
}

impl FilesByContent {
    /// A file was uploaded, or stands for one that was; `value` is what its script gets.
    pub(in super::super) fn uploaded(
        &self,
        looked_at: &str,
        filename: &str,
        options: &UploadParams,
        value: &Value,
    ) {
        let stand_in = UploadPlaceholder::new(looked_at, filename, options);
        let mut known_as = self.known_as.borrow_mut();
        let url = format!("file {}", stand_in.uuid);
        for (field, stands) in [("url", url), ("secret", stand_in.secret), ("uuid", stand_in.uuid)] {
            if let Some(real) = value.get(field).and_then(Value::as_str) {
                known_as.insert(real.to_owned(), stands);
            }
        }
    }

    /// A message with files by content, where it holds any.
    pub(in super::super) fn known_as(&self, json: &[u8]) -> Option<Vec<u8>> {
        let known_as = self.known_as.borrow();
        if known_as.is_empty() {
            return None;
        }
        let mut value: Value = serde_json::from_slice(json).ok()?;
        replace(&mut value, &known_as).then(|| value.to_string().into_bytes())
    }
}

impl HashedUpload {
    pub(in super::super) fn content(&self) -> &str {
        &self.content
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
