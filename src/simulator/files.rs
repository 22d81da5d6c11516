//! `POST /chatfiles` and `GET /chatfiles/{uuid}`.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Request};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::FutureExt;
use rand::Rng;
use rand::rngs::StdRng;

use super::refusal::{BODY_TOO_LARGE, NO_FILE, Refusal, WRONG_MEDIA_TYPE, WRONG_SECRET};
use super::settings::SimulatorLimits;
use super::time::ClockReading;

/// The uploaded files by uuid.
#[derive(Debug, Default)]
pub(super) struct SimulatorFiles(HashMap<String, StoredFile>);

#[derive(Debug)]
struct StoredFile {
    bytes: Bytes,
    secret: String,
    /// Whether a download needs the secret.
    restricted: bool,
    until: Duration,
}

#[derive(Debug)]
pub(super) struct UploadReceipt {
    pub(super) uuid: String,
    pub(super) secret: String,
}

impl SimulatorFiles {
    /// Stores the `file` of a multipart body.
    pub(super) fn upload(
        &mut self,
        limits: &SimulatorLimits,
        rng: &mut StdRng,
        request: &Request<Bytes>,
        now: ClockReading,
    ) -> Result<UploadReceipt, Refusal> {
        let headers = request.headers();
        check_sizes(headers)?;
        let bytes = file_field(request)?;
        if bytes.len() > limits.upload_bytes {
            return Err(BODY_TOO_LARGE);
        }
        let uuid = uuid(rng);
        let secret = URL_SAFE_NO_PAD.encode(rng.random::<[u8; 24]>());
        let restricted = flag(headers, "restrict-access")?;
        let until = now.elapsed.saturating_add(limits.file_life);
        self.0.insert(uuid.clone(), StoredFile { bytes, secret: secret.clone(), restricted, until });
        Ok(UploadReceipt { uuid, secret })
    }

    /// Returns the bytes of a file, if the request may have them.
    pub(super) fn download(
        &self,
        uuid: &str,
        headers: &HeaderMap,
        now: ClockReading,
    ) -> Result<Bytes, Refusal> {
        let file = self.0.get(uuid).ok_or(NO_FILE)?;
        if now.elapsed >= file.until {
            return Err(Refusal::missing("file_expired", format!("file {uuid} is expired")));
        }
        let secret = headers.get("share-secret").map(HeaderValue::as_bytes);
        if file.restricted && secret != Some(file.secret.as_bytes()) {
            return Err(WRONG_SECRET);
        }
        Ok(file.bytes.clone())
    }

    /// Removes all files.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

fn file_field(request: &Request<Bytes>) -> Result<Bytes, Refusal> {
    let content_type = request.headers().get(CONTENT_TYPE).cloned().ok_or(WRONG_MEDIA_TYPE)?;
    let mut multipart = Request::new(Body::from(request.body().clone()));
    multipart.headers_mut().insert(CONTENT_TYPE, content_type);
    // The service's own limit was checked before.
    DefaultBodyLimit::disable().apply(&mut multipart);
    let reading = async {
        let mut multipart = Multipart::from_request(multipart, &()).await.map_err(|_| WRONG_MEDIA_TYPE)?;
        while let Some(field) = multipart.next_field().await.map_err(|_| broken())? {
            if field.name() == Some("file") {
                return field.bytes().await.map_err(|_| broken());
            }
        }
        Err(Refusal::illegal_argument("the form has no field named file"))
    };
    // The whole body is in memory, so the reader never waits.
    reading.now_or_never().unwrap_or_else(|| Err(broken()))
}

fn broken() -> Refusal {
    Refusal::illegal_argument("the multipart form cannot be read")
}

/// Checks that the thumbnail's sides, if given, are numbers of pixels.
fn check_sizes(headers: &HeaderMap) -> Result<(), Refusal> {
    for name in ["thumbnail-height", "thumbnail-width"] {
        let size = headers.get(name).map(|size| size.to_str().ok().and_then(|size| size.parse::<u32>().ok()));
        if matches!(size, Some(None | Some(0))) {
            return Err(Refusal::illegal_argument(format!("{name} must be a number of pixels")));
        }
    }
    Ok(())
}

fn flag(headers: &HeaderMap, name: &str) -> Result<bool, Refusal> {
    match headers.get(name).map(HeaderValue::as_bytes) {
        None | Some(b"false") => Ok(false),
        Some(b"true") => Ok(true),
        Some(_) => Err(Refusal::illegal_argument(format!("{name} must be true or false"))),
    }
}

/// Returns a random uuid (version 4).
pub(super) fn uuid(rng: &mut StdRng) -> String {
    let free = !((0xf_u128 << 76) | (0xc << 60));
    let bits = (rng.random::<u128>() & free) | (0x4 << 76) | (0x8 << 60);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
