//! Accepts connections, limits them, and serves them with a router.
//!
//! - `limiter`: the number of connections; idle ones are closed when others arrive;
//! - `tls`: TLS with the operator's certificate;
//! - `guarded`: tracks a response that is still being written.
//!
//! A missing request head, a body that is not read and a peer that is not allowed each cost one connection for some
//! seconds, and nothing else.

mod guarded;
mod limiter;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use crate::clock::Clock;

use guarded::GuardedBody;
use limiter::{ConnectionLimiter, ConnectionPermit};
pub use tls::Tls;

/// The maximum number of connections if the process may open at least four times as many files. Otherwise
/// connections may use a quarter of the file limit, because runs need the rest.
const CONNECTIONS: u64 = 256;

/// The time limit for a request's head, also on a keep-alive connection, and for the TLS handshake.
const HEAD_WITHIN: Duration = Duration::from_secs(15);

/// How long a peer may read nothing of a response.
const READS_WITHIN: Duration = Duration::from_secs(30);

/// The wait after a failed accept: the process may have too many open files.
const AGAIN: Duration = Duration::from_millis(100);

/// The maximum size of a request's head, in bytes.
const HEAD_BYTES: usize = 32 * 1024;

/// The peer of a connection, an extension of each request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// Whether the connection uses TLS up to this process.
    pub(super) tls: bool,
    /// Whether the peer is a trusted proxy.
    pub(super) proxy: bool,
}

impl Peer {
    /// Whether a request was encrypted on the network. A trusted proxy is assumed to terminate TLS, unless its
    /// header says that the request was plain HTTP.
    pub(super) fn is_secure(&self, headers: &HeaderMap) -> bool {
        let plain = |said: &HeaderValue| said.as_bytes().eq_ignore_ascii_case(b"http");
        self.tls || (self.proxy && !headers.get_all("x-forwarded-proto").iter().any(plain))
    }
}

/// The listening socket and its access rules.
pub struct ListenerSetup {
    /// The socket.
    pub listener: TcpListener,
    /// The TLS configuration. `None` for plain HTTP.
    pub tls: Option<Tls>,
    /// The addresses that may connect. Empty for any.
    pub peers: Vec<IpAddr>,
}

impl ListenerSetup {
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves connections while it is polled. Must be called on a thread with a local task set.
    pub(super) async fn answer(self, router: Router, clock: Clock) {
        let limiter = Rc::new(ConnectionLimiter::new(connections()));
        let mut warned = false;
        loop {
            let (stream, address) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!("cannot accept a connection: {error}");
                    clock.sleep(AGAIN).await;
                    continue;
                }
            };
            let (tls, proxy) = (self.tls.is_some(), !self.peers.is_empty());
            let peer = Peer { address: address.ip().to_canonical(), tls, proxy };
            if !self.peers.is_empty() && !self.peers.contains(&peer.address) {
                // One line is enough to see why nothing answers. Anybody can make more.
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(
                        %address,
                        "a connection was refused, as the later ones from other addresses are: it does not come from an address of `[serve] trusted_proxies`"
                    );
                }
                continue;
            }
            let Some(permit) = limiter.take().await else { continue };
            // Without it, an event would wait for the acknowledgement of the one before.
            let _ = stream.set_nodelay(true);
            let (tls, router, clock) = (self.tls.clone(), router.clone(), clock.clone());
            tokio::task::spawn_local(async move {
                let permit = Rc::new(permit);
                let Some(tls) = tls else { return converse(stream, peer, router, &permit).await };
                let greeting = clock.timeout(HEAD_WITHIN, tls.handshake(stream));
                let greeted = tokio::select! {
                    greeted = greeting => greeted,
                    () = permit.evicted() => return,
                };
                match greeted {
                    Ok(Ok(stream)) => converse(stream, peer, router, &permit).await,
                    Ok(Err(error)) => tracing::debug!(%address, "TLS handshake failed: {error}"),
                    Err(_) => {}
                }
            });
        }
    }
}

fn connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from((files / 4).clamp(1, CONNECTIONS)).unwrap_or(1)
}

/// Serves one connection to its end.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + 'static,
    peer: Peer,
    router: Router,
    permit: &Rc<ConnectionPermit>,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(READS_WITHIN));
    let answering = Rc::clone(permit);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (mut request, busy) = (request.map(Body::new), answering.busy());
        request.extensions_mut().insert(peer);
        let router = router.clone();
        async move {
            let answer = router.oneshot(request).await?;
            Ok::<_, std::convert::Infallible>(answer.map(|body| GuardedBody::new(body, busy)))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_BYTES);
    let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = permit.evicted() => return,
    };
    if let Err(error) = ended {
        tracing::debug!(address = %peer.address, "connection failed: {error}");
    }
}
