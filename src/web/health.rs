//! Liveness (`/healthz`) and readiness (`/readyz`) probes.
//!
//! The probes need no token and no host name of this site, because a container runtime or a load balancer asks by
//! address. The responses therefore contain only the fixed words below. A page of another site could learn that
//! much through a browser, and nothing else.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::Mutex;

use super::AppState;
use super::daemon_handle::DaemonHandle;
use crate::clock::Instant;

/// How long the result of the ledger's write check is cached, because callers may probe at any rate.
const KNOWN: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready))
}

async fn alive() -> Response {
    answer(StatusCode::OK, json!({ "alive": true }))
}

async fn ready(State(state): State<AppState>) -> Response {
    let reasons =
        state.run_on_daemon(async |daemon| daemon.readiness.unready_reasons(&daemon.handle).await).await;
    match reasons.unwrap_or_else(|problem| vec![problem.message]) {
        none if none.is_empty() => answer(StatusCode::OK, json!({ "ready": true })),
        reasons => answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "ready": false, "reasons": reasons })),
    }
}

fn answer(status: StatusCode, body: serde_json::Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// The cached result of the ledger's write check, and its time.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, bool)>>);

impl Readiness {
    /// Why the daemon is not ready. Empty if it is ready.
    async fn unready_reasons(&self, handle: &DaemonHandle) -> Vec<String> {
        let mut reasons: Vec<String> = (handle.unready)().map(str::to_owned).into_iter().collect();
        if !self.writes(handle).await {
            // The log has the reason. It may contain names that must not be public.
            reasons.push("the ledger cannot be written, so nothing is sent".to_owned());
        }
        reasons
    }

    async fn writes(&self, handle: &DaemonHandle) -> bool {
        let mut known = self.0.lock().await;
        let now = handle.clock.now();
        if let Some((_, writes)) = known.filter(|(at, _)| now.saturating_since(*at) < KNOWN) {
            return writes;
        }
        let probed = handle.ledger.probe().await;
        if let Err(error) = &probed {
            tracing::warn!("not ready: {error}");
        }
        *known = Some((handle.clock.now(), probed.is_ok()));
        probed.is_ok()
    }
}
