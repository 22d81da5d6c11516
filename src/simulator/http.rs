//! Serves the simulator over HTTP.

use std::future::{Future, IntoFuture};
use std::io;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::response::IntoResponse;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::answer::SimulatedResponse;
use super::exchange::BodyTooLong;
use super::line::{ConnectionCutter, CuttableListener};
use super::service::Simulator;

/// The most bytes of a request beside its file, and the most bytes of a request without a file.
const BESIDE_THE_FILE: usize = 1024 * 1024;

/// The state of a handler.
#[derive(Clone)]
struct ServerContext {
    simulator: Simulator,
    /// Becomes true when the server ends.
    ending: CancellationToken,
}

impl Simulator {
    /// Returns the service as a router for the caller's own server. On such a server, a fault that needs the raw
    /// connection ends the answer's body with an error instead, and a fault that hangs does so until the server drops
    /// it. On [`Simulator::serve`] both faults act on the connection.
    pub fn router(&self) -> Router {
        self.router_until(CancellationToken::new())
    }

    fn router_until(&self, ending: CancellationToken) -> Router {
        Router::new().fallback(answer).with_state(ServerContext { simulator: self.clone(), ending })
    }

    /// Serves HTTP/1.1 on `listener` and posts callbacks until `shutdown`. Then it ends hanging and delayed requests,
    /// finishes the other answers and returns. Callbacks that wait then are not posted.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let end = CancellationToken::new();
        let service =
            self.router_until(end.clone()).into_make_service_with_connect_info::<ConnectionCutter>();
        let shutdown = async move {
            shutdown.await;
            end.cancel();
        };
        let serving = axum::serve(CuttableListener(listener), service).with_graceful_shutdown(shutdown);
        tokio::select! {
            served = serving.into_future() => served,
            () = self.post_callbacks() => Ok(()),
        }
    }
}

async fn answer(State(server): State<ServerContext>, request: Request) -> Response<Body> {
    let cutter =
        request.extensions().get::<ConnectInfo<ConnectionCutter>>().map(|ConnectInfo(cutter)| cutter.clone());
    let simulator = &server.simulator;
    let inspects = request.uri().path().starts_with("/_sim/");
    let Some(request) = read(simulator, request).await else { return reset(cutter) };
    if !inspects && server.delayed().await.is_err() {
        return reset(cutter);
    }
    let answer = simulator.handle(&request);
    if !inspects && server.delayed().await.is_err() {
        return reset(cutter);
    }
    match answer {
        SimulatedResponse::Whole(response) => response.map(Body::from),
        SimulatedResponse::Truncated(response) => match cutter {
            Some(cutter) => {
                cutter.truncate();
                response.map(Body::from)
            }
            None => reset(None),
        },
        SimulatedResponse::Reset => reset(cutter),
        SimulatedResponse::Hang => {
            server.end().await;
            reset(cutter)
        }
    }
}

/// The server ended before the delay did.
struct ServerStopped;

impl ServerContext {
    /// Waits for one way of the simulated network.
    async fn delayed(&self) -> Result<(), ServerStopped> {
        let delay = self.simulator.one_way();
        if delay.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = self.simulator.time().sleep(delay) => Ok(()),
            () = self.end() => Err(ServerStopped),
        }
    }

    async fn end(&self) {
        self.ending.cancelled().await;
    }
}

/// Reads the request with its whole body. `None` if the connection broke.
async fn read(simulator: &Simulator, request: Request) -> Option<axum::http::Request<Bytes>> {
    let most = simulator.settings().limits.upload_bytes.saturating_add(BESIDE_THE_FILE);
    let (mut head, body) = request.into_parts();
    let mut bytes = BytesMut::with_capacity(
        body.size_hint().exact().map_or(0, |size| usize::try_from(size).unwrap_or(most).min(64 * 1024)),
    );
    let mut too_long = false;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.ok()?;
        // A body that is too long is read to its end all the same, since a client reads no answer while it writes.
        too_long |= bytes.len() + chunk.len() > most;
        if !too_long {
            bytes.extend_from_slice(&chunk);
        }
    }
    if too_long {
        head.extensions.insert(BodyTooLong);
    }
    Some(axum::http::Request::from_parts(head, bytes.freeze()))
}

/// Resets the connection. Without access to it, the answer breaks off before its body.
fn reset(cutter: Option<ConnectionCutter>) -> Response<Body> {
    if let Some(cutter) = cutter {
        cutter.reset();
        return ().into_response();
    }
    let broken = stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset)) });
    Body::from_stream(broken).into_response()
}
