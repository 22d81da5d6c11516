//! The service's callbacks, `POST /callbacks/APP`. They need no login: their signature proves the sender.
//!
//! - `verifier`: which posts are accepted;
//! - `selection`: what an accepted event would store, and which jobs it would start;
//! - `intake`: looks up whether it concerns messages of this ledger, and stores it, in batches;
//! - `dropped`: counts and logs the events that were dropped because too many wait;
//! - `results`: counts and logs what became of each callback, and limits failures.
//!
//! The service takes each answer but 200 as a failure, posts the callback once more at once, and then gives it up. After
//! 90 failures in 30 s it bans the callback rule for minutes (contract). So events that are dropped by rule are answered
//! 200, and 503 is rare: see `results`.

mod dropped;
mod intake;
mod results;
mod selection;
mod verifier;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::Semaphore;

use super::AppState;
use super::answer::ApiError;
use super::body::BodyLimits;
use crate::config::CallbackSecrets;
use crate::records::CallbackEvent;

use dropped::DroppedEvents;
pub(super) use intake::CallbackIntake;
pub(super) use results::{CallbackResult, CallbackResults};

use selection::{SelectedCallback, selected};
use verifier::{CallbackRefusal, verify};

const BOUNDS: BodyLimits = BodyLimits { bytes: 1024 * 1024, within: Duration::from_secs(5) };

/// The maximum number of bodies that are read at once.
const READING: usize = 64;

/// How long the answer waits for the ledger. The service's own limit is not documented; with the way to it, the answer
/// comes within 100 ms.
const WITHIN: Duration = Duration::from_millis(80);

pub(super) fn routes() -> Router<AppState> {
    let permits = Arc::new(Semaphore::new(READING));
    let receive = move |state, app, request| receive(state, app, request, Arc::clone(&permits));
    let only = async || {
        let refused = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "callbacks are accepted with POST only");
        ([(header::ALLOW, "POST")], refused).into_response()
    };
    Router::new().route("/callbacks/{app}", post(receive).fallback(only))
}

async fn receive(
    State(state): State<AppState>,
    Path(app): Path<String>,
    request: Request,
    permits: Arc<Semaphore>,
) -> Result<Response, ApiError> {
    let Some(key) = state.callback_ledger_key(&app) else {
        return Err(ApiError::not_found(
            "this daemon has no app of that name; the address ends with the NAME of [apps.NAME], or with `default` for [app]",
        ));
    };
    let result = match read(request, &state, &permits).await? {
        Some(body) => store(&state, &app, key, &body).await?,
        None => state.callback_results.failure(state.clock.now()),
    };
    state.callback_results.count(&app, result, state.clock.now());
    match result {
        CallbackResult::Failed => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the callback could not be stored in time; send it again",
        )),
        _ => Ok(StatusCode::OK.into_response()),
    }
}

/// Reads the body. `None` if too many bodies are being read.
async fn read(request: Request, state: &AppState, permits: &Semaphore) -> Result<Option<Bytes>, ApiError> {
    let Ok(_permit) = permits.try_acquire() else { return Ok(None) };
    let (head, body) = request.into_parts();
    BOUNDS.refuse(&head.headers)?;
    BOUNDS.read(body, &state.clock).await.map(Some)
}

/// Verifies a callback, and stores it if it is wanted.
async fn store(state: &AppState, app: &str, key: String, body: &[u8]) -> Result<CallbackResult, ApiError> {
    let (event, is_stale) = match state.verify_callback(app, body) {
        Ok(verified) => verified,
        Err(CallbackRefusal::Unreadable(error)) => {
            tracing::debug!(app, "a signed callback cannot be read: {error}");
            return Ok(CallbackResult::Unreadable);
        }
        Err(refusal) => {
            let (result, answer) = refusal.answer();
            state.callback_results.count(app, result, state.clock.now());
            return Err(answer);
        }
    };
    let Some(selected) = state.select(event, app, is_stale) else { return Ok(CallbackResult::Dropped) };
    let now = state.clock.now();
    let stored = state.clock.timeout(WITHIN, state.callbacks.store(key, selected)).await;
    Ok(match stored {
        Ok(Some(result)) => result,
        Ok(None) | Err(_) => state.callback_results.failure(now),
    })
}

impl AppState {
    /// The key of an app in the ledger. `None` if the daemon does not have the app.
    fn callback_ledger_key(&self, app: &str) -> Option<String> {
        let found = self.daemon.handle.apps.iter().find(|delivery| delivery.name() == app);
        found.map(|delivery| delivery.key().to_owned())
    }

    /// Returns the content of an event that would be stored, and the jobs that it would start. A stale event
    /// (its time is more than a day away) starts no job.
    fn select(&self, event: CallbackEvent, app: &str, is_stale: bool) -> Option<SelectedCallback> {
        let jobs = if is_stale { Vec::new() } else { (self.daemon.handle.reactions)() };
        selected(event, app, &jobs)
    }

    fn verify_callback(&self, app: &str, body: &[u8]) -> Result<(CallbackEvent, bool), CallbackRefusal> {
        let handle = &self.daemon.handle;
        let settings = (handle.settings)();
        let secrets = settings.callback_secrets.get(app).map(CallbackSecrets::as_slice);
        let delivery = handle.apps.iter().find(|delivery| delivery.name() == app);
        let delivery = delivery.ok_or(CallbackRefusal::OtherApp)?;
        verify(body, secrets.unwrap_or_default(), delivery.callback_key(), self.clock.unix_time())
    }
}
