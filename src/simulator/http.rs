//! The simulator on a listener.

use std::future::Future;
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
use tokio::sync::watch;

use super::answer::SimulatedResponse;
use super::exchange::BodyTooLong;
use super::line::{ConnectionCutter, CuttableListener};
use super::service::Simulator;

/// What a request may weigh beside the file in it, and what every other request may weigh.
const BESIDE_THE_FILE: usize = 1024 * 1024;

/// What a handler needs.
#[derive(Clone)]
struct ServerContext {
    simulator: Simulator,
    /// Turns true when the server is to end.
    ending: watch::Receiver<bool>,
}

impl Simulator {
    /// The service as a router, for a server of the caller's own. There a fault that needs the raw connection ends
    /// the answer's body with an error instead, and one that hangs does so until the server drops it; on
    /// [`Simulator::serve`] both are what they are called.
    pub fn router(&self) -> Router {
        // A sender that is gone never says that the end has come.
        self.router_until(watch::channel(false).1)
    }

    fn router_until(&self, ending: watch::Receiver<bool>) -> Router {
        Router::new().fallback(answer).with_state(ServerContext { simulator: self.clone(), ending })
    }

    /// Serves HTTP/1.1 on `listener` until `shutdown`; then ends what hangs or is delayed, finishes the other answers
    /// and returns.
    ///
    /// # Errors
    ///
    /// When the listener has no address.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let (end, ending) = watch::channel(false);
        let service = self.router_until(ending).into_make_service_with_connect_info::<ConnectionCutter>();
        let shutdown = async move {
            shutdown.await;
            end.send_replace(true);
        };
        axum::serve(CuttableListener(listener), service).with_graceful_shutdown(shutdown).await
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

/// The end came before the delay was over.
struct ServerStopped;

impl ServerContext {
    /// One way of the simulated network.
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
        let mut ending = self.ending.clone();
        if ending.wait_for(|ending| *ending).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The request with its whole body; `None` when the connection broke on the way.
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
        // What is too long is read to its end all the same: a client that is still writing reads no answer.
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

/// Resets the connection; where there is none to be had, the answer breaks off before its body.
fn reset(cutter: Option<ConnectionCutter>) -> Response<Body> {
    if let Some(cutter) = cutter {
        cutter.reset();
        return ().into_response();
    }
    let broken = stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset)) });
    Body::from_stream(broken).into_response()
}
