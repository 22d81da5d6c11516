//! `POST /chatfiles` and `GET /chatfiles/{uuid}`.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Request, Uri};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::FutureExt;
use rand::Rng;
use rand::rngs::StdRng;

use super::refusal::{BODY_TOO_LARGE, NO_FILE, Refusal, WRONG_MEDIA_TYPE, WRONG_SECRET};
use super::settings::SimulatorSettings;
use super::thumbnail::{HEIGHT, ThumbnailBounds, WIDTH};
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
    thumbnail: ThumbnailBounds,
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
        settings: &SimulatorSettings,
        rng: &mut StdRng,
        request: &Request<Bytes>,
        now: ClockReading,
    ) -> Result<UploadReceipt, Refusal> {
        let headers = request.headers();
        let mut thumbnail = ThumbnailBounds::of(headers)?;
        let bytes = file_field(request, settings.strict, &mut thumbnail)?;
        if bytes.len() > settings.limits.upload_bytes {
            return Err(BODY_TOO_LARGE);
        }
        let uuid = uuid(rng);
        let secret = URL_SAFE_NO_PAD.encode(rng.random::<[u8; 24]>());
        let restricted = flag(headers, "restrict-access", settings.strict)?;
        let until = now.elapsed.saturating_add(settings.limits.file_life);
        let file = StoredFile { bytes, secret: secret.clone(), restricted, thumbnail, until };
        self.0.insert(uuid.clone(), file);
        Ok(UploadReceipt { uuid, secret })
    }

    /// Returns the bytes of a file, or of its thumbnail, if the request may have them. The secret is in a header or in
    /// the query.
    pub(super) fn download(
        &self,
        uuid: &str,
        request: &Request<Bytes>,
        now: ClockReading,
    ) -> Result<Bytes, Refusal> {
        let headers = request.headers();
        let file = self.0.get(uuid).ok_or(NO_FILE)?;
        if now.elapsed >= file.until {
            return Err(Refusal::missing("file_expired", format!("file {uuid} is expired")));
        }
        let secret = headers.get("share-secret").map(HeaderValue::as_bytes);
        let secret = secret.or_else(|| secret_in(request.uri()).map(str::as_bytes));
        if file.restricted && secret != Some(file.secret.as_bytes()) {
            return Err(WRONG_SECRET);
        }
        let of_thumbnail =
            headers.get("thumbnail").is_some_and(|flag| flag.as_bytes().eq_ignore_ascii_case(b"true"));
        Ok(if of_thumbnail { file.thumbnail.of_file(&file.bytes) } else { file.bytes.clone() })
    }

    /// Returns the number of bytes of a file.
    pub(super) fn size(&self, uuid: &str) -> Option<usize> {
        self.0.get(uuid).map(|file| file.bytes.len())
    }

    /// Returns the bytes of a file.
    pub(super) fn bytes(&self, uuid: &str) -> Option<&Bytes> {
        self.0.get(uuid).map(|file| &file.bytes)
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&mut self, uuid: &str) {
        self.0.remove(uuid);
    }

    /// Removes all files.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Returns the share-secret in a query. It has no characters that are escaped.
fn secret_in(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|part| part.strip_prefix("share-secret="))
}

/// Returns the field `file`. Fields before and after it may give the size of the thumbnail; a header goes first.
fn file_field(
    request: &Request<Bytes>,
    strict: bool,
    thumbnail: &mut ThumbnailBounds,
) -> Result<Bytes, Refusal> {
    let content_type = request.headers().get(CONTENT_TYPE).cloned().ok_or(WRONG_MEDIA_TYPE)?;
    let content_type = match boundaries(&content_type).len() {
        0 | 1 => content_type,
        // The vendor's page names one.
        _ if strict => return Err(Refusal::illegal_argument("the media type names a boundary twice")),
        _ => with_boundary_of(request.body(), content_type),
    };
    let mut multipart = Request::new(Body::from(request.body().clone()));
    multipart.headers_mut().insert(CONTENT_TYPE, content_type);
    // The service's own limit was checked before.
    DefaultBodyLimit::disable().apply(&mut multipart);
    let reading = async {
        let mut multipart = Multipart::from_request(multipart, &()).await.map_err(|_| WRONG_MEDIA_TYPE)?;
        let mut file = None;
        while let Some(field) = multipart.next_field().await.map_err(|_| broken())? {
            match field.name().unwrap_or_default() {
                "file" if file.is_none() => file = Some(field.bytes().await.map_err(|_| broken())?),
                name @ (HEIGHT | WIDTH) if !strict => {
                    let name = name.to_owned();
                    thumbnail.set(&name, field.text().await.map_err(|_| broken())?.trim())?;
                }
                _ => {}
            }
        }
        file.ok_or_else(|| Refusal::illegal_argument("the form has no field named file"))
    };
    // The whole body is in memory, so the reader never waits.
    reading.now_or_never().unwrap_or_else(|| Err(broken()))
}

/// Returns the boundaries that the media type of a form names.
fn boundaries(content_type: &HeaderValue) -> Vec<&str> {
    content_type
        .to_str()
        .unwrap_or_default()
        .split(';')
        .skip(1)
        .filter_map(|parameter| {
            let (name, boundary) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("boundary").then_some(boundary.trim())
        })
        .collect()
}

/// Returns the media type of a form with one boundary. `curl` adds its own to the one that an example of the vendor
/// names; the body shows which one is used.
fn with_boundary_of(body: &[u8], content_type: HeaderValue) -> HeaderValue {
    let begins = |boundary: &&str| {
        let rest = body
            .strip_prefix(b"--")
            .and_then(|body| body.strip_prefix(boundary.trim_matches('"').as_bytes()));
        rest.is_some_and(|rest| rest.starts_with(b"\r\n"))
    };
    let used = boundaries(&content_type).into_iter().rfind(begins);
    let used = used.and_then(|boundary| format!("multipart/form-data; boundary={boundary}").parse().ok());
    used.unwrap_or(content_type)
}

fn broken() -> Refusal {
    Refusal::illegal_argument("the multipart form cannot be read")
}

/// Reads a header. Older clients write `True`.
fn flag(headers: &HeaderMap, name: &str, strict: bool) -> Result<bool, Refusal> {
    let value = headers.get(name).map(|value| value.as_bytes().to_vec());
    let value = value.map(|value| if strict { value } else { value.to_ascii_lowercase() });
    match value.as_deref() {
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
