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
    let places = Arc::new(Semaphore::new(READING));
    let receive = move |site, app, request| receive(site, app, request, Arc::clone(&places));
    let only = async || {
        let refused = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "callbacks are accepted with POST only");
        ([(header::ALLOW, "POST")], refused).into_response()
    };
    Router::new().route("/callbacks/{app}", post(receive).fallback(only))
}

async fn receive(
    State(site): State<AppState>,
    Path(app): Path<String>,
    request: Request,
    places: Arc<Semaphore>,
) -> Result<Response, ApiError> {
    let Some(key) = site.callback_ledger_key(&app) else {
        return Err(ApiError::not_found(
            "this daemon has no app of that name; the address ends with the NAME of [apps.NAME], or with `default` for [app]",
        ));
    };
    let result = match read(request, &site, &places).await? {
        Some(body) => store(&site, &app, key, &body).await?,
        None => site.callback_results.failure(site.clock.now()),
    };
    site.callback_results.count(&app, result, site.clock.now());
    match result {
        CallbackResult::Failed => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the callback could not be stored in time; send it again",
        )),
        _ => Ok(StatusCode::OK.into_response()),
    }
}

/// Reads the body. `None` if too many bodies are being read.
async fn read(request: Request, site: &AppState, places: &Semaphore) -> Result<Option<Bytes>, ApiError> {
    let Ok(_place) = places.try_acquire() else { return Ok(None) };
    let (head, body) = request.into_parts();
    BOUNDS.refuse(&head.headers)?;
    BOUNDS.read(body, &site.clock).await.map(Some)
}

/// Verifies a callback, and stores it if it is wanted.
async fn store(site: &AppState, app: &str, key: String, body: &[u8]) -> Result<CallbackResult, ApiError> {
    let (event, is_stale) = match site.verify_callback(app, body) {
        Ok(verified) => verified,
        Err(CallbackRefusal::Unreadable(error)) => {
            tracing::debug!(app, "a signed callback cannot be read: {error}");
            return Ok(CallbackResult::Unreadable);
        }
        Err(refusal) => {
            let (result, answer) = refusal.answer();
            site.callback_results.count(app, result, site.clock.now());
            return Err(answer);
        }
    };
    let Some(selected) = site.select(event, app, is_stale) else { return Ok(CallbackResult::Dropped) };
    let now = site.clock.now();
    let stored = site.clock.timeout(WITHIN, site.callbacks.store(key, selected)).await;
    Ok(match stored {
        Ok(Some(result)) => result,
        Ok(None) | Err(_) => site.callback_results.failure(now),
    })
}

impl AppState {
    /// The key of an app in the ledger. `None` if the daemon does not have the app.
    fn callback_ledger_key(&self, app: &str) -> Option<String> {
        let found = self.daemon.house.apps.iter().find(|delivery| delivery.name() == app);
        found.map(|delivery| delivery.key().to_owned())
    }

    /// Returns what an event would store and start. A stale event starts no job.
    fn select(&self, event: CallbackEvent, app: &str, is_stale: bool) -> Option<SelectedCallback> {
        let jobs = if is_stale { Vec::new() } else { (self.daemon.house.reactions)() };
        selected(event, app, &jobs)
    }

    fn verify_callback(&self, app: &str, body: &[u8]) -> Result<(CallbackEvent, bool), CallbackRefusal> {
        let house = &self.daemon.house;
        let settings = (house.settings)();
        let secrets = settings.callback_secrets.get(app).map(CallbackSecrets::as_slice);
        let delivery = house.apps.iter().find(|delivery| delivery.name() == app);
        let delivery = delivery.ok_or(CallbackRefusal::OtherApp)?;
        verify(body, secrets.unwrap_or_default(), delivery.callback_key(), self.clock.unix_time())
    }
}
