//! Prometheus metrics at `GET /metrics`, for callers with a token that may read.
//!
//! Modules count through the `metrics` facade; this module stores and renders the counts. Values of the current
//! state are read when a scraper asks (`gather`).

mod gather;

use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::AppState;
use super::answer::ApiError;
use crate::clock::Clock;

/// The response's content type, as Prometheus defines it.
const FORM: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often recorded values are aggregated.
const UPKEEP: Duration = Duration::from_secs(5);

/// The bucket bounds of time histograms, in seconds.
const SECONDS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// The bucket bounds of memory histograms, from 4 `MiB` to 1 `GiB`.
const BYTES: [f64; 9] = [
    4_194_304.0,
    8_388_608.0,
    16_777_216.0,
    33_554_432.0,
    67_108_864.0,
    134_217_728.0,
    268_435_456.0,
    536_870_912.0,
    1_073_741_824.0,
];

/// The metrics that this process records once it is installed.
#[derive(Debug, Clone)]
pub struct PrometheusMetrics(PrometheusHandle);

impl PrometheusMetrics {
    /// Installs the recorder. Metrics that were created earlier record nothing, so this must come first, and only
    /// once in a process.
    pub fn begin() -> Result<Self, String> {
        let builder = PrometheusBuilder::new()
            .set_buckets(&SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES));
        let builder = builder.map_err(|error| error.to_string())?;
        let figures = Self(builder.install_recorder().map_err(|error| error.to_string())?);
        describe_gauge!("mooncast_build_info", "The version of the program.");
        gauge!("mooncast_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        describe_counter!("mooncast_web_requests_total", "Answered requests, by route and status.");
        describe_counter!("mooncast_callbacks_total", "The service's callbacks, by app and result.");
        describe_counter!("mooncast_events_dropped_total", "Events dropped because too many waited, by job.");
        gather::describe();
        Ok(figures)
    }

    /// Keeps the memory of recorded values bounded; never returns.
    pub async fn keep(self, clock: Clock) {
        loop {
            clock.sleep(UPKEEP).await;
            self.0.run_upkeep();
        }
    }
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/metrics", get(show))
}

async fn show(State(state): State<AppState>) -> Result<Response, ApiError> {
    let text = state.run_on_daemon(async |daemon| {
        gather::look(&daemon.handle).await;
        daemon.handle.figures.0.render()
    });
    Ok(([(CONTENT_TYPE, FORM)], text.await?).into_response())
}

/// Counts requests. Unknown paths are counted together, because callers can invent any number of them.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let answer = next.run(request).await;
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let status = answer.status().as_u16().to_string();
    counter!("mooncast_web_requests_total", "route" => route, "status" => status).increment(1);
    answer
}
