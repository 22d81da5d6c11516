//! The `http` module's way out: requests to other services, for hosts that the permissions name.
//!
//! - A name is resolved once, here; every address is checked, and the connection goes to exactly those addresses.
//!   Private ones and this machine's must be named themselves.
//! - Redirects are not followed: the 3xx is the answer, and the script decides.
//! - Proxies of the environment are not used: they would resolve the name a second time, elsewhere.
//! - Secrets are filled in here, in headers and bodies only, and only over https or to this machine. A host that is
//!   granted is trusted with them: one that sends back what it was sent shows it to the script.
//! - Requests and answers are in real time; a simulated clock stands still meanwhile.
//!
//! `hook` is the house's own way out, for its alerts.
//!
//! May import: `clock`, `config`, `protocol`. With `client`, the only place that names reqwest.

mod addresses;
mod answer;
mod clients;
mod hook;
mod hosts;
mod outgoing;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Url;
use tokio::sync::Semaphore;

use crate::clock::{Clock, ClockHold};
use crate::config::Permissions;
use crate::protocol::{FailureKind, HostResponse, HttpRequest, RequestFailure};

use super::budget::MemoryReservation;
use super::variables::GrantedVariables;
use addresses::meant;
use clients::PinnedClients;
use hosts::{AllowedHosts, RequestHost};

pub use hook::Webhook;
pub use hosts::net_problem;

/// The longest address that is taken.
const MAX_URL: usize = 16 * 1024;

/// Requests of one run that are under way at once: each has a connection.
const AT_ONCE: usize = 32;

/// Bytes of a connection, whose buffers grow with what is read, and of an answer as most are; a longer body takes more.
const EXCHANGE: u64 = 1024 * 1024;

/// Requests of scripts to services other than the chat service.
#[derive(Debug)]
pub struct OutboundHttp {
    hosts: AllowedHosts,
    clients: PinnedClients,
    clock: Clock,
    /// Servers answer in real time, whatever time the house lives in.
    network: Clock,
    places: Semaphore,
}

impl OutboundHttp {
    /// What the permissions grant. Nothing is opened before the first request.
    #[must_use]
    pub fn new(permissions: &Permissions, clock: Clock) -> Self {
        Self {
            hosts: AllowedHosts::new(&permissions.net),
            clients: PinnedClients::default(),
            clock,
            network: Clock::real(),
            places: Semaphore::new(AT_ONCE),
        }
    }

    /// Checks a request as far as that is possible without making it.
    ///
    /// # Errors
    ///
    /// `invalid` for what is no request; `denied` for a host or a secret that is not granted.
    pub fn look(&self, request: &HttpRequest, variables: &GrantedVariables) -> Result<(), RequestFailure> {
        let url = checked_url(&request.url)?;
        RequestEndpoint::of(&url, &self.hosts)?;
        outgoing::prepare(request, variables).map(drop)
    }

    /// Makes one request, and gives its answer whatever its status.
    ///
    /// # Errors
    ///
    /// `invalid` for what is no request; `denied` for a host or a secret that is not granted; `unreachable` when no
    /// answer came and the same call may be made again; `in_doubt` when none came to a method that must not be
    /// repeated blindly (POST, PATCH and the like) and that may have arrived.
    /// Requests that are under way at once are so many for each run; more wait for their turn. `memory` is what the
    /// answer may hold: it grows with the body.
    pub(super) async fn request(
        &self,
        mut request: HttpRequest,
        variables: &GrantedVariables,
        memory: &mut MemoryReservation,
    ) -> Result<HostResponse, RequestFailure> {
        // They are never closed, so there is a place in the end.
        let _place = self.places.acquire().await;
        let mut memory = ResponseMemory { memory, clock: &self.clock, hold: Some(self.clock.hold()) };
        memory.to(EXCHANGE).await;
        let url = checked_url(&request.url)?;
        let place = RequestEndpoint::of(&url, &self.hosts)?;
        let prepared = outgoing::prepare(&request, variables)?;
        // It is whole in what was prepared.
        request.body = None;
        let end = self.network.now() + Duration::from_millis(request.timeout_ms);
        let timed_out = || format!("{} did not answer within {} ms", place.shown(), request.timeout_ms);

        let resolved = self.network.timeout(end - self.network.now(), place.resolve(&self.hosts)).await;
        let addresses = resolved.map_err(|_| unreachable(timed_out()))??;
        if let Some(name) = &prepared.secret
            && url.scheme() != "https"
            && !addresses.iter().all(|address| meant(address.ip()).is_loopback())
        {
            let message = format!(
                "the secret {name} would travel to {} unencrypted; secrets are only sent over https, or to this machine",
                place.shown()
            );
            return Err(RequestFailure { field: Some("url".into()), ..RequestFailure::denied(message) });
        }
        let connections = self.clients.pinned(&place.host, &addresses)?;
        let repeatable = prepared.repeatable;
        let exchange = async {
            let checkout = connections.checkout(&self.network).await;
            let response = checkout.client.execute(prepared.request(url)).await.inspect_err(|error| {
                if !error.is_connect() {
                    connections.lost(&checkout, &self.network);
                }
            })?;
            connections.answered(response.headers(), &self.network);
            answer::read(response, &mut memory).await
        };
        match self.network.timeout(end - self.network.now(), exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(broken)) => Err(broken.failure(&place.shown(), repeatable)),
            Err(_) => {
                Err(answer::ResponseError::after_sending(timed_out()).failure(&place.shown(), repeatable))
            }
        }
    }
}

/// The memory of an answer that is being read.
pub(super) struct ResponseMemory<'a> {
    memory: &'a mut MemoryReservation,
    clock: &'a Clock,
    /// A simulated clock stands still, but while memory is waited for: what holds it may wait for the clock.
    hold: Option<ClockHold>,
}

impl ResponseMemory<'_> {
    /// Waits until the answer may hold so many bytes.
    async fn to(&mut self, bytes: u64) {
        if !self.memory.try_grow(bytes) {
            self.hold.take();
            self.memory.grow(bytes).await;
            self.hold = Some(self.clock.hold());
        }
    }
}

/// The host and port of a request.
struct RequestEndpoint {
    target: RequestHost,
    /// As it stands in the address.
    host: String,
    port: u16,
}

impl RequestEndpoint {
    fn of(url: &Url, hosts: &AllowedHosts) -> Result<Self, RequestFailure> {
        let (Some(target), Some(host), Some(port)) =
            (RequestHost::of(url), url.host_str(), url.port_or_known_default())
        else {
            return Err(RequestFailure::invalid("url", "the url names no host"));
        };
        let place = Self { target, host: host.to_owned(), port };
        if hosts.grants(&place.target, port) {
            return Ok(place);
        }
        Err(denied(format!(
            "the host {} is not granted; to grant it: `[permissions] net = [\"{}\"]` or --allow-net={}{}",
            place.shown(),
            place.host,
            place.host,
            hosts.unread()
        )))
    }

    fn shown(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The addresses to connect to, each of them granted.
    async fn resolve(&self, hosts: &AllowedHosts) -> Result<Vec<SocketAddr>, RequestFailure> {
        let mut addresses: Vec<SocketAddr> = match &self.target {
            RequestHost::Address(address) => vec![SocketAddr::new(*address, self.port)],
            RequestHost::Name(_) => tokio::net::lookup_host((self.host.as_str(), self.port))
                .await
                .map_err(|error| unreachable(format!("{} cannot be resolved: {error}", self.host)))?
                .collect(),
        };
        if addresses.is_empty() {
            return Err(unreachable(format!("{} has no address", self.host)));
        }
        addresses.sort_unstable();
        addresses.dedup();
        let refused = |address: &&SocketAddr| !hosts.grants_address(&self.target, address.ip(), self.port);
        match addresses.iter().find(refused) {
            None => Ok(addresses),
            Some(address) => {
                let ip = meant(address.ip());
                Err(denied(format!(
                    "{} is at {ip}, which is no public address; to grant it, name the address too: \
                     `[permissions] net = [\"{ip}\"]` or --allow-net={ip}",
                    self.host
                )))
            }
        }
    }
}

fn checked_url(text: &str) -> Result<Url, RequestFailure> {
    let invalid = |message: String| Err(RequestFailure::invalid("url", message));
    if text.len() > MAX_URL {
        return invalid(format!("the url is longer than {MAX_URL} bytes"));
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return invalid(format!("the url cannot be read: {error}")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return invalid(format!(
            "the url begins with {}://, where only https and http are known",
            url.scheme()
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid(
            "the url holds a user or password; give them in a header, with env.secret".to_owned(),
        );
    }
    Ok(url)
}

fn denied(message: String) -> RequestFailure {
    RequestFailure { field: Some("url".into()), ..RequestFailure::denied(message) }
}

fn unreachable(message: String) -> RequestFailure {
    RequestFailure::new(FailureKind::Unreachable, message)
}
