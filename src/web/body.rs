//! Reads request bodies within a size limit and a time limit.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use crate::clock::Clock;

use super::answer::ApiError;

/// A body that is too long is read up to this multiple of the limit before it is refused, because a client that is
/// still writing would not read the response.
const DRAINED: usize = 16;

/// The maximum size of a body, and the time it may take to arrive.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    pub(super) bytes: usize,
    pub(super) within: Duration,
}

impl BodyLimits {
    /// Refuses a body whose `Content-Length` exceeds the limit, before any of it is read.
    pub(super) fn refuse(self, headers: &HeaderMap) -> Result<(), ApiError> {
        let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if said.is_some_and(|said: u64| said > self.bytes as u64) { Err(self.too_long()) } else { Ok(()) }
    }

    pub(super) async fn read(self, body: Body, clock: &Clock) -> Result<Bytes, ApiError> {
        let slow = |_| {
            let why = format!("the body took more than {} s to arrive", self.within.as_secs());
            ApiError::new(StatusCode::REQUEST_TIMEOUT, why)
        };
        clock.timeout(self.within, self.whole(body)).await.map_err(slow)?
    }

    async fn whole(self, body: Body) -> Result<Bytes, ApiError> {
        let mut chunks = body.into_data_stream();
        let (mut whole, mut length) = (BytesMut::new(), 0);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| {
                ApiError::new(
                    StatusCode::BAD_REQUEST,
                    "the connection ended before the whole body arrived; send the request again",
                )
            })?;
            length += chunk.len();
            if length <= self.bytes {
                whole.extend_from_slice(&chunk);
            } else if length > DRAINED * self.bytes {
                break;
            }
        }
        if length > self.bytes { Err(self.too_long()) } else { Ok(whole.freeze()) }
    }

    fn too_long(self) -> ApiError {
        let size = match self.bytes / 1024 {
            kib @ 0..1024 => format!("{kib} KiB"),
            kib => format!("{} MiB", kib / 1024),
        };
        let why = format!(
            "the body has more than {size}, which is the limit; remove what is not needed, or split a list and send its parts one by one"
        );
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, why)
    }
}
