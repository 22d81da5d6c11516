//! Makes one request and reads its whole answer, within the timeouts. It repeats nothing.

use std::error::Error;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Request, Response, Url};

use super::ClientError;
use super::builder::client_builder;
use super::decode;
use super::in_process::InProcessService;
use super::keepalive::ConnectionPool;
use super::proxy::Proxies;
use super::roots;
use super::upload::stream::FileChangedError;
use crate::clock::{Clock, Elapsed, Instant};
use crate::config::Timeouts;

/// The most bytes of an answer that are read. A page of a thousand groups takes a third of a megabyte.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// The client closes an idle connection before gateways do (they commonly wait 60 s), because a request that meets the
/// server's closing is in doubt.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);
/// The longest `Retry-After` that is used; longer ones are cut to it.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// An answer with its body.
#[derive(Debug)]
pub(super) struct HttpResponse {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// The target of a redirect, without user, password, query and fragment.
    pub(super) location: Option<String>,
    /// `None` if the body of an unsuccessful call's answer did not arrive, or not as a whole.
    pub(super) body: Option<Bytes>,
}

/// The error when no usable answer came.
#[derive(Debug)]
pub(super) struct TransportError {
    /// What happened, in the words of the libraries.
    pub(super) detail: String,
    /// Whether there was a connection to the service, so that something may have been written.
    pub(super) connected: bool,
    /// Whether the cause is the file that was being uploaded.
    pub(super) file_changed: bool,
    /// Whether the time ran out while waiting for an answer.
    pub(super) overdue: bool,
}

impl TransportError {
    /// The error for an answer that was lost on an open connection.
    pub(super) fn lost(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), connected: true, file_changed: false, overdue: false }
    }
}

/// The end of the time that a caller gives a call, on the clock of [`HttpTransport::pace`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    /// The whole time that was given, for display.
    pub(super) given: Duration,
}

/// Counts the bytes of a request's body as they are written, so that a long upload does not count as a hang.
pub(super) type BytesWritten = Arc<AtomicU64>;

pub(super) struct HttpTransport {
    connections: ConnectionPool,
    /// The in-process service that replaces the network; `None` for the network.
    wire: Option<Arc<dyn InProcessService>>,
    clock: Clock,
    /// Real time, in which servers answer, even if `clock` is simulated.
    network: Clock,
    pub(super) timeouts: Timeouts,
}

impl HttpTransport {
    /// Connections for calls to `service`. A service on this machine, such as the simulator, is called without a proxy.
    pub(super) fn new(service: &Url, clock: Clock, timeouts: Timeouts) -> Result<Self, ClientError> {
        let tls = roots::tls_config().map_err(|error| ClientError::Tls(error.to_string()))?;
        let proxies = if is_loopback(service) {
            Proxies::default()
        } else {
            Proxies::of_environment().map_err(ClientError::Proxy)?
        };
        let connections = ConnectionPool::new(IDLE_CONNECTION, move |rest| {
            let builder = client_builder(rest, tls.clone()).connect_timeout(timeouts.connect);
            proxies.lead(builder).build()
        });
        let connections = connections.map_err(|error| ClientError::Http(chain(&error)))?;
        Ok(Self { connections, wire: None, clock, network: Clock::real(), timeouts })
    }

    /// Sends the requests to an in-process service instead of the network.
    pub(super) fn over(self, wire: Arc<dyn InProcessService>) -> Self {
        Self { wire: Some(wire), ..self }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The clock for the time limits of calls. Answers from the network come in real time.
    pub(super) fn pace(&self) -> &Clock {
        if self.wire.is_some() { &self.clock } else { &self.network }
    }

    /// The client that builds requests with a form.
    pub(super) fn http(&self) -> reqwest::Client {
        self.connections.client()
    }

    /// Makes one request and reads its answer. A simulated clock stands still meanwhile.
    ///
    /// With a `flow`, the request may last as long as bytes are written. Without one it ends by the `deadline`, if
    /// there is one.
    pub(super) async fn exchange(
        &self,
        mut request: Request,
        flow: Option<&BytesWritten>,
        deadline: Option<Deadline>,
    ) -> Result<HttpResponse, TransportError> {
        request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        if let Some(wire) = &self.wire {
            return Box::pin(self.carried(&**wire, request, deadline)).await;
        }
        let _hold = self.clock.hold();
        let mut limits = ExchangeLimits { end: self.network.now() + self.timeouts.overall, deadline };
        if flow.is_some() {
            limits.deadline = None;
        }
        let checkout = self.connections.checkout(&self.network).await;
        let response = self.stage(limits, flow, checkout.client.execute(request)).await;
        let response = response.inspect_err(|broken| {
            if broken.connected && !broken.overdue {
                self.connections.lost(&checkout, &self.network);
            }
        })?;
        let status = response.status().as_u16();
        let retry_after = self.retry_after(response.headers());
        let location = (300..400).contains(&status).then(|| location(response.headers())).flatten();
        self.connections.answered(response.headers(), &self.network);
        let codings = decode::ContentEncodings::of(response.headers());
        let body = self.body(limits, flow, response).await;
        let body = body.and_then(|body| {
            decode::text(&codings, body, ANSWER_BYTES)
                .map_err(|error| TransportError::lost(error.to_string()))
        });
        let body = match body {
            Ok(body) => Some(body),
            Err(broken) if (200..300).contains(&status) => return Err(broken),
            Err(_) => None,
        };
        Ok(HttpResponse { status, retry_after, location, body })
    }

    pub(super) fn in_process(&self) -> Option<&dyn InProcessService> {
        self.wire.as_deref()
    }

    /// The limits of an exchange that begins now and ends within `time`.
    pub(super) fn limits_within(&self, time: Duration) -> ExchangeLimits {
        ExchangeLimits { end: self.network.now() + time, deadline: None }
    }

    /// Reads an unsuccessful answer of a server that is not the app's.
    pub(super) async fn refused(&self, limits: ExchangeLimits, response: Response) -> HttpResponse {
        let status = response.status().as_u16();
        let retry_after = self.retry_after(response.headers());
        let location = (300..400).contains(&status).then(|| location(response.headers())).flatten();
        let body = self.body(limits, None, response).await.ok();
        HttpResponse { status, retry_after, location, body }
    }

    async fn body(
        &self,
        limits: ExchangeLimits,
        flow: Option<&BytesWritten>,
        mut response: Response,
    ) -> Result<Bytes, TransportError> {
        let Some(first) = self.stage(limits, flow, response.chunk()).await? else { return Ok(Bytes::new()) };
        let Some(second) = self.stage(limits, flow, response.chunk()).await? else { return Ok(first) };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.stage(limits, flow, response.chunk()).await? {
            if whole.len() + chunk.len() > ANSWER_BYTES {
                return Err(TransportError::lost(format!("the answer is longer than {ANSWER_BYTES} bytes")));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// Waits for a step of the exchange, for the read timeout and the limits at most. With a `flow` there is no overall
    /// limit, and the read timeout counts from the last written byte. It can take up to twice as long, because the flow
    /// is checked once in each timeout.
    pub(super) async fn stage<T>(
        &self,
        limits: ExchangeLimits,
        flow: Option<&BytesWritten>,
        step: impl Future<Output = reqwest::Result<T>>,
    ) -> Result<T, TransportError> {
        let read = self.timeouts.read;
        let Some(flow) = flow else {
            let (limit, given) = limits.tightest(read, self.network.now());
            return ended(self.network.timeout(limit, step).await, given);
        };
        let mut step = pin!(step);
        loop {
            let before = flow.load(Ordering::Relaxed);
            let result = self.network.timeout(read, &mut step).await;
            if result.is_ok() || flow.load(Ordering::Relaxed) == before {
                return ended(result, read);
            }
        }
    }

    pub(super) fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = if let Ok(seconds) = text.parse() {
            Duration::from_secs(seconds)
        } else {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            let unix = Duration::try_from(date.duration_since(jiff::Timestamp::UNIX_EPOCH)).ok()?;
            unix.saturating_sub(self.clock.unix_time())
        };
        Some(wait.min(RETRY_AFTER_MAX))
    }
}

/// The latest end of an exchange.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExchangeLimits {
    pub(super) end: Instant,
    pub(super) deadline: Option<Deadline>,
}

impl ExchangeLimits {
    /// How long a step with the read timeout `read` may take from `now`, and the limit to show in its error.
    pub(super) fn tightest(self, read: Duration, now: Instant) -> (Duration, Duration) {
        let limit = read.min(self.end - now);
        match self.deadline {
            Some(deadline) if deadline.at - now < limit => (deadline.at - now, deadline.given),
            _ => (limit, limit),
        }
    }
}

/// The target of a redirect, without the parts that may be secret.
pub(super) fn location(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(LOCATION)?.to_str().ok()?;
    let Ok(mut url) = Url::parse(text) else {
        let end = text.find(['?', '#']).unwrap_or(text.len());
        return text.get(..end).map(str::to_owned);
    };
    // Neither can fail for an address with a host. An address without one has nothing to hide.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    Some(url.into())
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

pub(super) fn ended<T>(
    result: Result<reqwest::Result<T>, Elapsed>,
    limit: Duration,
) -> Result<T, TransportError> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(TransportError {
            connected: !error.is_connect(),
            file_changed: caused_by::<FileChangedError>(&error),
            overdue: false,
            detail: match error
                .url()
                .filter(|_| error.is_connect())
                .map(|url| url.origin().ascii_serialization())
            {
                Some(origin) => format!("{origin}: {}", chain(&error.without_url())),
                None => chain(&error.without_url()),
            },
        }),
        Err(Elapsed) => Err(TransportError {
            overdue: true,
            ..TransportError::lost(format!("no answer within {limit:.1?}"))
        }),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| <dyn Error>::source(*error))
}

pub(super) fn caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<E>)
}

/// The error and its causes in one line, without those that only repeat their cause.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for text in causes(error).map(ToString::to_string) {
        if !parts.last().is_some_and(|last| last.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}
