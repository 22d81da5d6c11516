//! One request and its whole answer, within the timeouts, and nothing ever repeated.

use std::error::Error;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Request, Response, Url};

use super::ClientError;
use super::roots;
use super::upload::FileChanged;
use super::wire::Wire;
use crate::clock::{Clock, Elapsed, Instant};
use crate::config::Timeouts;

/// The most bytes of an answer that are read: a page of a thousand groups takes a third of a megabyte.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// An idle connection is closed by us before gateways do it (they commonly wait 60 s), because a request that meets
/// the server's own closing is in doubt.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);
/// The longest `Retry-After` that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// An answer with its body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// Empty where the answer of an unsuccessful call broke off: its status says enough.
    pub(super) body: Bytes,
}

/// No answer came that could be used.
#[derive(Debug)]
pub(super) struct Broken {
    /// What happened, in the words of the libraries below.
    pub(super) detail: String,
    /// Whether a connection to the service was had, so that something may have been written.
    pub(super) connected: bool,
    /// Whether the fault lies with the file that was being uploaded.
    pub(super) file_changed: bool,
}

/// Counts the bytes of a request's body as they go, so that a long upload is not taken for a hang.
pub(super) type Flow = Arc<AtomicU64>;

pub(super) struct Transport {
    http: reqwest::Client,
    /// The way of requests where that is no network.
    wire: Option<Arc<dyn Wire>>,
    clock: Clock,
    /// Servers answer in real time, whatever time the house lives in.
    network: Clock,
    pub(super) timeouts: Timeouts,
}

impl Transport {
    /// Connections for calls to `service`. One on this very machine, as the simulator is, is not asked for by way of
    /// a proxy.
    pub(super) fn new(service: &Url, clock: Clock, timeouts: Timeouts) -> Result<Self, ClientError> {
        let tls = roots::tls_config().map_err(|error| ClientError::Tls(error.to_string()))?;
        let builder = reqwest::Client::builder();
        let builder = if is_loopback(service) { builder.no_proxy() } else { builder };
        let http = builder
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("mooncast/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(timeouts.connect)
            .pool_idle_timeout(IDLE_CONNECTION)
            .build()
            .map_err(|error| ClientError::Http(chain(&error)))?;
        Ok(Self { http, wire: None, clock, network: Clock::real(), timeouts })
    }

    /// The same over a wire in place of the network.
    pub(super) fn over(self, wire: Arc<dyn Wire>) -> Self {
        Self { wire: Some(wire), ..self }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where requests with a form are built.
    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Makes one request and reads its answer. A simulated clock stands still meanwhile.
    ///
    /// With a `flow`, the request takes as long as bytes go.
    pub(super) async fn exchange(&self, request: Request, flow: Option<&Flow>) -> Result<Answer, Broken> {
        if let Some(wire) = &self.wire {
            return Box::pin(self.carried(&**wire, request)).await;
        }
        let _hold = self.clock.hold();
        let end = self.network.now() + self.timeouts.overall;
        let response = self.stage(end, flow, self.http.execute(request)).await?;
        let status = response.status().as_u16();
        let retry_after = self.retry_after(response.headers());
        let body = match self.body(end, flow, response).await {
            Ok(body) => body,
            Err(broken) if (200..300).contains(&status) => return Err(broken),
            Err(_) => Bytes::new(),
        };
        Ok(Answer { status, retry_after, body })
    }

    async fn body(&self, end: Instant, flow: Option<&Flow>, mut response: Response) -> Result<Bytes, Broken> {
        let Some(first) = self.stage(end, flow, response.chunk()).await? else { return Ok(Bytes::new()) };
        let Some(second) = self.stage(end, flow, response.chunk()).await? else { return Ok(first) };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.stage(end, flow, response.chunk()).await? {
            if whole.len() + chunk.len() > ANSWER_BYTES {
                return Err(Broken {
                    detail: format!("the answer is longer than {ANSWER_BYTES} bytes"),
                    connected: true,
                    file_changed: false,
                });
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// Waits for a step of the exchange: no longer than a read may take, and not beyond `end`. With a `flow` there
    /// is no end, and a read's time counts from the last byte that went (up to twice that time, since the flow is
    /// looked at once in it).
    async fn stage<T>(
        &self,
        end: Instant,
        flow: Option<&Flow>,
        step: impl Future<Output = reqwest::Result<T>>,
    ) -> Result<T, Broken> {
        let read = self.timeouts.read;
        let Some(flow) = flow else {
            let limit = read.min(end - self.network.now());
            return ended(self.network.timeout(limit, step).await, limit);
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

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

pub(super) fn ended<T>(result: Result<reqwest::Result<T>, Elapsed>, limit: Duration) -> Result<T, Broken> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Broken {
            connected: !error.is_connect(),
            file_changed: caused_by::<FileChanged>(&error),
            detail: match error
                .url()
                .filter(|_| error.is_connect())
                .map(|url| url.origin().ascii_serialization())
            {
                Some(origin) => format!("{origin}: {}", chain(&error.without_url())),
                None => chain(&error.without_url()),
            },
        }),
        Err(Elapsed) => Err(Broken {
            detail: format!("no answer within {limit:.1?}"),
            connected: true,
            file_changed: false,
        }),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| <dyn Error>::source(*error))
}

pub(super) fn caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<E>)
}

/// The error and its causes in one line, without what merely repeats its cause.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for text in causes(error).map(ToString::to_string) {
        if !parts.last().is_some_and(|last| last.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}
