//! `/events`: the overview as server-sent events.
//!
//! A stream buffers nothing. A slow reader gets the newest overview when it reads again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::control::Overview;
use crate::web::AppState;
use crate::web::answer::{ApiError, ApiErrorBody};
use crate::web::guard::Caller;

/// The maximum number of concurrent streams.
const STREAMS: usize = 32;

/// After this time without an event, the stream sends a comment as a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The start of a stream: a client reconnects two seconds after a stream breaks.
const RETRY: &str = "retry: 2000\n\n";

/// Limits the number of concurrent streams.
#[derive(Clone)]
pub(super) struct StreamLimiter(Arc<Semaphore>);

/// Makes the streams of these routes share one limit.
pub(super) fn serve(router: Router<AppState>) -> Router<AppState> {
    router.layer(Extension(StreamLimiter(Arc::new(Semaphore::new(STREAMS)))))
}

/// Streams the daemon's state each second: numbered events `overview` with the JSON of `/overview`.
///
/// The stream ends when the client's token is revoked, renewed or expired.
#[utoipa::path(get, path = "/events", operation_id = "follow_events", responses(
    (status = 200, description = "An endless stream of events", body = String, content_type = "text/event-stream"),
    (status = 503, description = "The maximum number of streams is open", body = ApiErrorBody),
))]
pub(super) async fn follow(
    State(state): State<AppState>,
    Extension(StreamLimiter(permits)): Extension<StreamLimiter>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let Ok(permit) = permits.try_acquire_owned() else {
        let why =
            format!("{STREAMS} event streams are open, which is the maximum; close one, or try again later");
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why));
    };
    let shown = state.watch.subscribe();
    let stream = OverviewStream { state, parts, shown, number: 0, _permit: permit };
    let events = stream::unfold(Some(stream), |stream| async move {
        let mut stream = stream?;
        let event = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(event), Some(stream)))
    });
    let events = stream::StreamExt::chain(stream::iter([Ok(RETRY.to_owned())]), events);
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response())
}

/// One client's stream.
struct OverviewStream {
    state: AppState,
    parts: Parts,
    shown: watch::Receiver<Option<Arc<Overview>>>,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

impl OverviewStream {
    /// The next event. `None` once the client's token or session is no longer valid.
    async fn next(&mut self) -> Option<String> {
        let changed = self.state.clock.timeout(HEARTBEAT, self.shown.changed()).await;
        // A ledger that cannot be read does not end the stream.
        match Caller::identify(&self.state, &self.parts).await {
            Err(problem) if !problem.status().is_server_error() => return None,
            _ => {}
        }
        match changed {
            Ok(Ok(())) => {
                let overview = self.shown.borrow_and_update().clone()?;
                let json = serde_json::to_string(&*overview).ok()?;
                self.number += 1;
                Some(format!("id: {}\nevent: overview\ndata: {json}\n\n", self.number))
            }
            Ok(Err(_)) => None,
            Err(_) => Some(":\n\n".to_owned()),
        }
    }
}
