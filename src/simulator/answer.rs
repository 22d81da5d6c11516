//! The answers of the simulated service.

use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use serde_json::Value;

/// What the caller of the service gets.
#[derive(Debug)]
pub enum SimulatedResponse {
    /// The complete answer.
    Whole(Response<Bytes>),
    /// The connection is closed in the middle of this answer's body.
    Truncated(Response<Bytes>),
    /// The connection is reset without an answer.
    Reset,
    /// The service never answers.
    Hang,
}

impl SimulatedResponse {
    /// Returns the answer if it is complete.
    pub fn whole(self) -> Option<Response<Bytes>> {
        match self {
            Self::Whole(response) => Some(response),
            Self::Truncated(_) | Self::Reset | Self::Hang => None,
        }
    }
}

/// Returns a response with this status and nothing else set.
pub(super) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(super) fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    response(status, "application/json", body.to_string())
}
