//! The daemon's listener: what others may ask of it over HTTP, which is to run a hook.
//!
//! A request is read here, up to its bounds, and handed to `hooks`, which is on the daemon's own thread and decides.
//! What it answers never waits for a run.
//!
//! May import: `schedule`, `host`, `ledger`, `protocol`, `config`, `clock`.

mod hooks;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::Clock;

use hooks::{Desk, Post, Reply};
pub use hooks::{Find, House};

/// The most bytes that a body may have.
const MOST: usize = 1024 * 1024;

/// So much of a body that is too long is read before it is refused: who still writes would not hear the answer.
const DRAINED: usize = 16 * MOST;

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Requests that are read and decided upon at once.
const AT_ONCE: usize = 64;

/// Seconds after which a request that is not taken now may come again.
const AGAIN: &str = "10";

/// Where the addresses of hooks begin.
const HOOKS: &str = "/hooks/";

/// What answers a request until it is handed over.
#[derive(Clone)]
struct Front {
    posts: mpsc::Sender<(Post, oneshot::Sender<Reply>)>,
    places: Arc<Semaphore>,
    clock: Clock,
}

/// Answers requests on `listener` for as long as it is polled. Must be called on the daemon's own thread.
///
/// # Errors
///
/// When the listener has no address.
pub async fn serve(listener: TcpListener, house: House) -> io::Result<()> {
    let (posts, mut posted) = mpsc::channel::<(Post, oneshot::Sender<Reply>)>(AT_ONCE);
    let front = Front { posts, places: Arc::new(Semaphore::new(AT_ONCE)), clock: house.clock.clone() };
    let router = Router::new().fallback(answer).with_state(front);
    let desk = Rc::new(Desk::new(house));
    let mut deciding = JoinSet::new();
    let server = async { axum::serve(listener, router).await };
    tokio::pin!(server);
    loop {
        tokio::select! {
            ended = &mut server => return ended,
            Some((post, reply)) = posted.recv() => {
                let desk = Rc::clone(&desk);
                deciding.spawn_local(async move {
                    // Who has asked may be gone.
                    let _ = reply.send(desk.decide(post).await);
                });
            }
            Some(_) = deciding.join_next() => {}
        }
    }
}

async fn answer(State(front): State<Front>, request: Request) -> Response {
    let name =
        request.uri().path().strip_prefix(HOOKS).filter(|name| !name.is_empty() && !name.contains('/'));
    let Some(name) = name.map(str::to_owned) else {
        return error(StatusCode::NOT_FOUND, "there is nothing here");
    };
    if request.method() != Method::POST {
        let refused = error(StatusCode::METHOD_NOT_ALLOWED, "a hook takes POST alone");
        return ([(header::ALLOW, "POST")], refused).into_response();
    }
    let Ok(_place) = front.places.try_acquire() else { return later("too many requests at once") };
    let (head, body) = request.into_parts();
    let body = match front.clock.timeout(BODY_WITHIN, read(body)).await {
        Ok(Read::Whole(body)) => body,
        Ok(Read::TooLong) => {
            return error(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is over {MOST} bytes"));
        }
        Ok(Read::Broken) => return error(StatusCode::BAD_REQUEST, "the body broke off"),
        Err(_) => return error(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive"),
    };
    let query = Query::<Vec<(String, String)>>::try_from_uri(&head.uri);
    let Ok(Query(query)) = query else {
        return error(StatusCode::BAD_REQUEST, "what stands after the `?` is not names and values");
    };
    let post = Post { name, method: head.method.to_string(), query, headers: head.headers, body };
    let (reply, replied) = oneshot::channel();
    if front.posts.send((post, reply)).await.is_err() {
        return later("the daemon stops");
    }
    match replied.await {
        Ok(Reply::Taken(run)) => json_of(StatusCode::ACCEPTED, &json!({ "run": run })),
        Ok(Reply::Unknown) => {
            error(StatusCode::UNAUTHORIZED, "there is no such hook, or it does not know you")
        }
        Ok(Reply::Full) => later("too many requests wait for their runs"),
        Ok(Reply::Unwritten) => later("the request cannot be written down now"),
        Err(_) => later("the daemon stops"),
    }
}

/// What came of reading a body.
enum Read {
    Whole(Bytes),
    TooLong,
    Broken,
}

async fn read(body: Body) -> Read {
    let mut chunks = body.into_data_stream();
    let (mut whole, mut length) = (BytesMut::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else { return Read::Broken };
        length += chunk.len();
        if length <= MOST {
            whole.extend_from_slice(&chunk);
        } else if length > DRAINED {
            break;
        }
    }
    if length > MOST { Read::TooLong } else { Read::Whole(whole.freeze()) }
}

fn later(why: &str) -> Response {
    ([(header::RETRY_AFTER, AGAIN)], error(StatusCode::SERVICE_UNAVAILABLE, why)).into_response()
}

fn error(status: StatusCode, why: &str) -> Response {
    json_of(status, &json!({ "error": why }))
}

fn json_of(status: StatusCode, value: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
