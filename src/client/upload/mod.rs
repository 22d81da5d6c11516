//! Uploads a file: checks its size first, then streams it from disk.

pub(super) mod stream;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method};
use secrecy::SecretString;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Client;
use super::call::{CallSpec, PreparedCall};
use super::class::Idempotency;
use super::failure::CallError;
use super::media::{self, MediaInfo, MediaKind};
use crate::clock::Clock;
use stream::{SharedFileReader, UploadProgress, stream};

/// The filename extensions of formats whose files are always recognized.
const READ: [&str; 25] = [
    "jpg", "jpeg", "jpe", "png", "gif", "webp", "bmp", "tif", "tiff", "heic", "heif", "avif", "mp3", "wav",
    "amr", "m4a", "aac", "ogg", "oga", "opus", "flac", "mp4", "m4v", "mov", "3gp",
];
/// The bytes of a file that are hashed at once.
const HASHED: usize = 64 * 1024;

const CALL: CallSpec = CallSpec::post("/chatfiles", Idempotency::Repeatable);

/// A file to upload. It stays open and can be uploaded again.
#[derive(Debug, Clone)]
pub struct Upload {
    file: Arc<File>,
    len: u64,
    filename: String,
    content_type: String,
    restrict_access: bool,
    thumbnail: Option<Thumbnail>,
}

/// The size in pixels of the preview that the service makes of an image or a video; 170 by 170 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thumbnail {
    /// The height in pixels.
    pub height: u32,
    /// The width in pixels.
    pub width: u32,
}

/// Why a file cannot be uploaded. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("the file has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The limit `limits.upload_bytes`.
        limit: u64,
        /// The file's size in bytes.
        size: u64,
    },
    #[error("the file is empty (0 bytes); to upload it all the same, give `force = true`")]
    Empty,
    #[error(
        "by its name the file is {named}, but it holds {found}; look at the file, or give it a name that fits; to upload it \
         as it is, give `force = true`"
    )]
    Unlike {
        /// The kind of content that the name suggests.
        named: &'static str,
        /// The kind of content that was found.
        found: &'static str,
    },
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Checks that a file of `size` bytes may be uploaded under `limit`.
///
/// # Errors
///
/// [`UploadError::TooLarge`] with both values.
pub fn check_size(size: u64, limit: u64) -> Result<(), UploadError> {
    if size > limit { Err(UploadError::TooLarge { limit, size }) } else { Ok(()) }
}

impl Upload {
    /// An upload of `file` under the name `filename`, of which only the part after the last slash counts. The content
    /// type is guessed from that name. `limit` is the app's `upload_bytes`.
    pub fn new(file: File, filename: &str, limit: u64) -> Result<Self, UploadError> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(UploadError::NotAFile);
        }
        check_size(metadata.len(), limit)?;
        let filename = clean(filename);
        let content_type = mime_guess::from_path(&filename).first_or_octet_stream().essence_str().to_owned();
        Ok(Self {
            file: Arc::new(file),
            len: metadata.len(),
            filename,
            content_type,
            restrict_access: false,
            thumbnail: None,
        })
    }

    /// Sets whether a download needs the share-secret. The default is no.
    pub fn restrict_access(mut self, restrict_access: bool) -> Self {
        self.restrict_access = restrict_access;
        self
    }

    /// Sets the size of the preview; `None` for the service's default.
    pub fn thumbnail(mut self, thumbnail: Option<Thumbnail>) -> Self {
        self.thumbnail = thumbnail;
        self
    }

    /// The file's size in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.len
    }

    /// The name under which it is uploaded.
    pub fn filename(&self) -> &str {
        &self.filename
    }

    /// The content type, guessed from the name.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Reads the properties of the file's content, on a thread where blocking is allowed. A property that cannot be
    /// read is unknown, never an error. A simulated clock stands still meanwhile.
    pub async fn media(&self, clock: &Clock) -> MediaInfo {
        let _hold = clock.hold();
        let reader = SharedFileReader::new(Arc::clone(&self.file), self.len);
        // If a file makes a reading library panic, its properties are unknown too.
        tokio::task::spawn_blocking(move || media::probe(reader)).await.unwrap_or_default()
    }

    /// Checks that the file can be what its name says.
    ///
    /// # Errors
    ///
    /// [`UploadError::Empty`], or [`UploadError::Unlike`] for a file with the name of an image, a sound or a video and
    /// other content.
    pub fn check_content(&self, media: &MediaInfo) -> Result<(), UploadError> {
        let unlike = |named| Err(UploadError::Unlike { named, found: media.content.in_words() });
        let extension = Path::new(&self.filename).extension().unwrap_or_default();
        let extension = extension.to_string_lossy().to_ascii_lowercase();
        let is_known = READ.contains(&extension.as_str());
        let kind = match self.content_type.split('/').next() {
            // The list of content types lacks AMR.
            _ if extension == "amr" => "audio",
            kind => kind.unwrap_or_default(),
        };
        match (media.content, kind) {
            (MediaKind::Empty, _) => Err(UploadError::Empty),
            (MediaKind::Sound | MediaKind::Video | MediaKind::SoundOrVideo, "image") => unlike("an image"),
            (MediaKind::Image, "audio") => unlike("a sound"),
            (MediaKind::Image, "video") => unlike("a video"),
            // A format that is not always recognized may hold any kind of content.
            (MediaKind::Other, "image") if is_known => unlike("an image"),
            (MediaKind::Other, "audio") if is_known => unlike("a sound"),
            (MediaKind::Other, "video") if is_known => unlike("a video"),
            _ => Ok(()),
        }
    }

    /// The SHA-256 of its content in hexadecimal, read on a thread where blocking is allowed. A simulated clock stands
    /// still meanwhile.
    pub async fn sha256(&self, clock: &Clock) -> io::Result<String> {
        let _hold = clock.hold();
        let mut reader = SharedFileReader::new(Arc::clone(&self.file), self.len);
        let digest = tokio::task::spawn_blocking(move || {
            let (mut hasher, mut buffer) = (Sha256::new(), vec![0; HASHED]);
            loop {
                match reader.read(&mut buffer)? {
                    0 => return Ok::<_, io::Error>(hasher.finalize()),
                    count => hasher.update(buffer.get(..count).unwrap_or_default()),
                }
            }
        });
        let digest = digest.await.map_err(io::Error::other)??;
        Ok(HEXLOWER.encode(&digest))
    }

    fn form(&self, progress: UploadProgress) -> Result<Form, reqwest::Error> {
        let body = Body::wrap_stream(stream(Arc::clone(&self.file), self.len, progress));
        let part = Part::stream_with_length(body, self.len)
            .file_name(self.filename.clone())
            .mime_str(&self.content_type)?;
        Ok(Form::new().part("file", part))
    }

    fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let restrict = HeaderValue::from_static(if self.restrict_access { "true" } else { "false" });
        let size = self.thumbnail.map(|Thumbnail { height, width }| {
            [
                (HeaderName::from_static("thumbnail-height"), HeaderValue::from(height)),
                (HeaderName::from_static("thumbnail-width"), HeaderValue::from(width)),
            ]
        });
        std::iter::once((HeaderName::from_static("restrict-access"), restrict))
            .chain(size.into_iter().flatten())
    }
}

/// A file name that a header can hold and that contains no folder.
fn clean(filename: &str) -> String {
    let name = Path::new(filename).file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let name: String = name.chars().map(|c| if c.is_control() { '_' } else { c }).collect();
    if name.is_empty() { "file".to_owned() } else { name }
}

/// A file that the service has stored.
#[derive(Debug, Clone)]
pub struct UploadResult {
    /// The file's id.
    pub uuid: String,
    /// The download address: the answer's `uri` and the id.
    pub url: String,
    /// The secret that the download of a restricted file requires. It goes into messages and is never shown. `None` if
    /// the service gave none.
    pub secret: Option<SecretString>,
    /// The service's `type`, `chatfile`.
    pub kind: Option<String>,
}

#[derive(Deserialize)]
struct UploadResponse {
    uri: String,
    entities: (UploadEntity,),
}

#[derive(Deserialize)]
struct UploadEntity {
    uuid: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(rename = "share-secret")]
    secret: Option<SecretString>,
}

impl Client {
    /// Uploads a file once. `progress` is called with the number of the file's bytes sent so far, first with zero, and
    /// starts again from zero after a 401. There is no time limit while bytes are written.
    ///
    /// # Errors
    ///
    /// See [`CallError::class`]. [`super::FailureClass::Permanent`] when the file grew or shrank meanwhile.
    pub async fn upload<P>(&self, upload: &Upload, progress: P) -> Result<UploadResult, CallError>
    where
        P: Fn(u64) + Send + Sync + 'static,
    {
        let url = self.url(&["chatfiles"]);
        let progress = Arc::new(progress);
        let success = self
            .call(CALL, || {
                let flow = super::transport::BytesWritten::default();
                let form = upload.form(UploadProgress::new(Arc::clone(&flow), progress.clone()));
                let built = form.and_then(|form| {
                    let mut builder =
                        self.0.transport.http().request(Method::POST, url.clone()).multipart(form);
                    for (name, value) in upload.headers() {
                        builder = builder.header(name, value);
                    }
                    builder.build()
                });
                let request = built.map_err(|error| CALL.refuse(&error.without_url().to_string()))?;
                Ok(PreparedCall { request, canceller: None, flow: Some(flow) })
            })
            .await?;
        let UploadResponse { uri, entities: (entity,) } = success.read()?;
        let url = format!("{}/{}", uri.trim_end_matches('/'), entity.uuid);
        Ok(UploadResult { uuid: entity.uuid, url, secret: entity.secret, kind: entity.kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_checked_first() {
        assert!(check_size(10, 10).is_ok());
        assert!(matches!(check_size(11, 10), Err(UploadError::TooLarge { limit: 10, size: 11 })));
        let file = tempfile::tempfile().unwrap();
        file.set_len(11).unwrap();
        let text = Upload::new(file, "a", 10).unwrap_err().to_string();
        assert_eq!(text, "the file has 11 bytes, more than the limit of 10");
        let folder = tempfile::tempdir().unwrap();
        let folder = File::open(folder.path()).unwrap();
        assert!(matches!(Upload::new(folder, "a", 10), Err(UploadError::NotAFile)));
    }

    #[test]
    fn the_name_is_made_harmless_and_gives_the_type() {
        let upload = |name| Upload::new(tempfile::tempfile().unwrap(), name, 10).unwrap();
        assert_eq!(upload("a/b/假期.JPG").filename(), "假期.JPG");
        assert_eq!(upload("a/b/假期.JPG").content_type(), "image/jpeg");
        assert_eq!(upload("a\r\nb\"c").filename(), "a__b\"c");
        assert_eq!(
            (upload("..").filename(), upload("x").content_type()),
            ("file", "application/octet-stream")
        );
    }

    #[test]
    fn nothing_shows_the_share_secret() {
        let secret = Some(SecretString::from("canary"));
        let uploaded = UploadResult { uuid: "u".into(), url: "http://x/u".into(), secret, kind: None };
        assert!(!format!("{uploaded:?}").contains("canary"));
    }
}
