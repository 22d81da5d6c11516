//! The requests that hooks take: read here, up to their bounds, and decided upon at the `desk`, on the daemon's thread.
//!
//! What is answered never waits for a run.

mod desk;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;
use tokio::sync::Semaphore;

use super::Site;
use super::answer::Problem;
use super::body::Bounds;

pub(super) use desk::Desk;
use desk::{Post, Reply};

/// What a body may be.
const BOUNDS: Bounds = Bounds { bytes: 1024 * 1024, within: Duration::from_secs(30) };

/// Requests that are read and decided upon at once.
const AT_ONCE: usize = 64;

/// The addresses of hooks.
pub(super) fn routes() -> Router<Site> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let take = move |site, name, uri, request| take(site, name, uri, request, Arc::clone(&places));
    let only = async || {
        let refused = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "a hook takes POST alone");
        ([(header::ALLOW, "POST")], refused).into_response()
    };
    Router::new().route("/hooks/{name}", post(take).fallback(only))
}

async fn take(
    State(site): State<Site>,
    Path(name): Path<String>,
    uri: Uri,
    request: Request,
    places: Arc<Semaphore>,
) -> Result<Response, Problem> {
    let Ok(_place) = places.try_acquire() else { return Err(later("too many requests at once")) };
    let (head, body) = request.into_parts();
    let body = BOUNDS.read(body, &site.clock).await?;
    let Ok(Query(query)) = Query::<Vec<(String, String)>>::try_from_uri(&uri) else {
        let why = "what stands after the `?` is not names and values";
        return Err(Problem::new(StatusCode::BAD_REQUEST, why));
    };
    let post = Post { name, method: head.method.to_string(), query, headers: head.headers, body };
    let reply = site.on_daemon(move |office| async move { office.hooks.decide(&office.house, post).await });
    match reply.await? {
        Reply::Taken(run) => Ok((StatusCode::ACCEPTED, axum::Json(json!({ "run": run }))).into_response()),
        Reply::Unknown => {
            // 404 and not 401: that would tell that something is here to be let into.
            Err(Problem::not_found("there is no such hook, or its secret is another one"))
        }
        Reply::WithoutId(header) => {
            let why = format!("the header {header}, which holds the delivery's id, is missing or blank");
            Err(Problem::new(StatusCode::BAD_REQUEST, why))
        }
        Reply::Full => Err(later("too many requests wait for their runs")),
        Reply::Unwritten => Err(later("the request cannot be written down now")),
    }
}

fn later(why: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
}
