//! Error responses: what happened and what to do, in JSON.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::control::ControlError;
use crate::ledger::LedgerError;

/// The `Retry-After` value in seconds for a request that cannot be accepted now.
const AGAIN: &str = "10";

#[derive(Debug, Clone)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) message: String,
    /// The seconds after which the request may be tried again.
    pub(super) retry_after: Option<u64>,
}

/// What a refusal says.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApiErrorBody {
    /// What happened, and what to do next.
    pub(super) error: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }

    /// The HTTP status.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// What happened, and what to do next.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// 401: the request has no valid token or session.
    pub(super) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "the request needs a valid token in `Authorization: Bearer TOKEN`; `mooncast tokens add NAME --role ROLE` makes one, and `mooncast tokens renew` makes the first tokens anew",
        )
    }

    /// 404: nothing has this name.
    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }

    pub(super) fn of_ledger(error: &LedgerError) -> Self {
        let status = match error {
            LedgerError::Unknown(_) => StatusCode::NOT_FOUND,
            LedgerError::NotNow { .. } => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        Self::of_ledger(&error)
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        let status = match &error {
            ControlError::NotFound(_) => StatusCode::NOT_FOUND,
            ControlError::Refused(_) => StatusCode::CONFLICT,
            ControlError::Invalid(_) | ControlError::Arguments(_) => StatusCode::BAD_REQUEST,
            ControlError::Ledger(error) => return Self::of_ledger(error),
        };
        Self::new(status, error.to_string())
    }
}

impl ApiError {
    /// Adds the headers of the refusal.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(AGAIN));
            }
            _ => {}
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

/// The response in JSON. It holds the error too, for the page.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = axum::Json(ApiErrorBody { error: self.message.clone() });
        let mut answer = (self.status, body).into_response();
        self.add_headers(answer.headers_mut());
        answer.extensions_mut().insert(self);
        answer
    }
}
