//! Tracing spans of requests. They are created only if tracing is on.

use tracing::field::Empty;
use tracing::{Span, info_span};

use super::figures::{QuotaKind, class_of};
use crate::client::CallError;

/// The span of a request that is about to be sent.
pub(super) fn request(app: &str, kind: QuotaKind, groups: usize) -> Span {
    info_span!(
        target: "traces",
        "request",
        otel.kind = "client",
        app,
        call = kind.name(),
        groups,
        class = Empty,
        status = Empty,
        otel.status_code = Empty,
    )
}

/// Records how the request was answered.
pub(super) fn answered(span: &Span, failure: Option<&CallError>) {
    if span.is_disabled() {
        return;
    }
    span.record("class", class_of(failure));
    let Some(failure) = failure else { return };
    span.record("otel.status_code", "ERROR");
    if let Some(status) = failure.status {
        span.record("status", status);
    }
}
