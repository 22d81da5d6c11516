//! The requests of hooks: read here, within limits, and decided by the `verifier` on the daemon's thread.
//!
//! A response never waits for a run.

mod verifier;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;
use tokio::sync::Semaphore;

use super::AppState;
use super::answer::ApiError;
use super::body::BodyLimits;

pub(super) use verifier::WebhookVerifier;
use verifier::{WebhookPost, WebhookReply};

const BOUNDS: BodyLimits = BodyLimits { bytes: 1024 * 1024, within: Duration::from_secs(30) };

/// The maximum number of requests that are read and decided at once.
const AT_ONCE: usize = 64;

pub(super) fn routes() -> Router<AppState> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let take = move |state, name, uri, request| take(state, name, uri, request, Arc::clone(&permits));
    let only = async || {
        let refused = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "a hook accepts only POST");
        ([(header::ALLOW, "POST")], refused).into_response()
    };
    Router::new().route("/hooks/{name}", post(take).fallback(only))
}

async fn take(
    State(state): State<AppState>,
    Path(name): Path<String>,
    uri: Uri,
    request: Request,
    permits: Arc<Semaphore>,
) -> Result<Response, ApiError> {
    let Ok(_permit) = permits.try_acquire() else { return Err(later("too many requests at once")) };
    let (head, body) = request.into_parts();
    let body = BOUNDS.read(body, &state.clock).await?;
    let Ok(Query(query)) = Query::<Vec<(String, String)>>::try_from_uri(&uri) else {
        let why = "the query after the `?` is not a list of names and values";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, why));
    };
    let post = WebhookPost { name, method: head.method.to_string(), query, headers: head.headers, body };
    let reply =
        state.run_on_daemon(move |daemon| async move { daemon.hooks.decide(&daemon.handle, post).await });
    match reply.await? {
        WebhookReply::Taken(run) => {
            Ok((StatusCode::ACCEPTED, axum::Json(json!({ "run": run }))).into_response())
        }
        // The service counts only 200 as taken. After another status it sends the callback again, once, and stops sending
        // any after 90 such answers in 30 seconds.
        WebhookReply::CallbackTaken(run) => Ok(axum::Json(json!({ "run": run })).into_response()),
        WebhookReply::Unknown => {
            // 404 instead of 401, so that a caller does not learn whether the hook exists.
            Err(ApiError::not_found("there is no such hook, or the signature or token is wrong"))
        }
        WebhookReply::WithoutId(header) => {
            let why =
                format!("the header {header}, which must contain the delivery's id, is missing or blank");
            Err(ApiError::new(StatusCode::BAD_REQUEST, why))
        }
        WebhookReply::Full => Err(later("too many requests are waiting for their runs")),
        WebhookReply::Unwritten => Err(later("cannot store the request now; send it again")),
    }
}

fn later(why: &str) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why)
}
