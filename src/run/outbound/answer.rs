//! Reads a response within limits, or explains why there is none.

use std::collections::BTreeMap;
use std::error::Error;

use bytes::{BufMut, Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::HeaderMap;

use crate::client::{ContentEncodings, DecodeError};
use crate::protocol::{FailureKind, HostResponse, RequestFailure};

use super::ResponseMemory;

/// The most bytes of a body: the content of one protocol frame.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The most bytes to which one byte of a compressed body can expand.
const MOST_OF_A_BYTE: usize = 1032;

const MAX_HEADER_BYTES: usize = 64 * 1024;

/// The request failed without a usable response.
#[derive(Debug)]
pub(super) struct ResponseError {
    what: String,
    /// Whether the request may have arrived.
    maybe_sent: bool,
}

impl ResponseError {
    pub(super) const fn after_sending(what: String) -> Self {
        Self { what, maybe_sent: true }
    }

    /// Converts the error into the failure that the script sees.
    pub(super) fn failure(self, endpoint: &str, repeatable: bool) -> RequestFailure {
        if !self.maybe_sent || repeatable {
            return RequestFailure::new(
                FailureKind::Unreachable,
                format!("no answer from {endpoint}: {}", self.what),
            );
        }
        RequestFailure::new(
            FailureKind::InDoubt,
            format!(
                "no answer from {endpoint}: {}; the request may have arrived, so check before you repeat it",
                self.what
            ),
        )
    }
}

impl From<reqwest::Error> for ResponseError {
    fn from(error: reqwest::Error) -> Self {
        let maybe_sent = !(error.is_connect() || error.is_builder());
        // The script knows its own address, which may be long; the end of the chain holds the actual problem.
        let error = error.without_url();
        let mut cause: &dyn Error = &error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        Self { what: cause.to_string(), maybe_sent }
    }
}

/// Reads the whole response.
pub(super) async fn read(
    mut response: Response,
    memory: &mut ResponseMemory<'_>,
) -> Result<HostResponse, ResponseError> {
    let status = response.status().as_u16();
    let codings = ContentEncodings::of(response.headers());
    let mut headers = headers(response.headers())?;
    let too_large = || ResponseError::after_sending(format!("its answer is larger than {MAX_BODY} bytes"));
    if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        let length = body.len() + chunk.len();
        if length > MAX_BODY {
            return Err(too_large());
        }
        if length > body.capacity() {
            // The reservation doubles together with the buffer.
            let larger = length.next_power_of_two().min(MAX_BODY);
            memory.to(larger as u64).await;
            body.reserve(larger - body.len());
        }
        body.put(chunk);
    }
    let body = body.freeze();
    if !codings.is_empty() {
        // The decoded size is known only after decoding.
        memory.to(body.len().saturating_mul(MOST_OF_A_BYTE).min(MAX_BODY) as u64).await;
    }
    let body = match codings.undo(body.clone(), MAX_BODY) {
        Ok(plain) => {
            if !codings.is_empty() {
                // These headers describe the encoded body.
                headers.retain(|(name, _)| !matches!(name.as_str(), "content-encoding" | "content-length"));
            }
            plain
        }
        // The script may know this coding.
        Err(DecodeError::UnknownCoding(_)) => body,
        Err(error) => return Err(ResponseError::after_sending(error.to_string())),
    };
    Ok(HostResponse::Response { status, headers, body })
}

/// Returns each header once: the values of a repeated header are joined by `, `.
fn headers(headers: &HeaderMap) -> Result<Vec<(String, Bytes)>, ResponseError> {
    let mut joined: BTreeMap<String, BytesMut> = BTreeMap::new();
    let mut bytes = 0;
    for (name, value) in headers {
        bytes += name.as_str().len() + value.len();
        let whole = joined.entry(name.as_str().to_owned()).or_default();
        if !whole.is_empty() {
            whole.put_slice(b", ");
        }
        whole.put_slice(value.as_bytes());
    }
    if bytes > MAX_HEADER_BYTES {
        return Err(ResponseError::after_sending(format!(
            "its headers are larger than {MAX_HEADER_BYTES} bytes"
        )));
    }
    Ok(joined.into_iter().map(|(name, value)| (name, value.freeze())).collect())
}
