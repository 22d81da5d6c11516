//! The requests of the `http` module to other services, on hosts that the permissions name.
//!
//! - A name is resolved once, here. Every address is checked, and the connection goes to exactly those addresses.
//!   Private addresses, and those of this machine, must be named in the permissions.
//! - Redirects are not followed: the script gets the 3xx response and decides.
//! - Proxies of the environment are not used: they would resolve the name again, elsewhere.
//! - Secrets are filled in here, only in queries, headers and bodies, and only over https or to this machine. A granted host
//!   is trusted with them: if it echoes what it received, the script sees the secret.
//! - Requests and responses are in real time; a simulated clock stands still meanwhile.
//!
//! `hook` sends the program's own alerts, and `document` reads what is public.

mod addresses;
mod answer;
mod clients;
mod document;
mod hook;
mod hosts;
mod outgoing;
mod own_client;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
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

pub use document::{DocumentAnswer, PublicDocument};
pub use hook::Webhook;
pub use hosts::net_problem;

/// The longest address that is accepted, in bytes.
const MAX_URL: usize = 16 * 1024;

/// The most requests of one run at once: each has a connection.
const AT_ONCE: usize = 32;

/// The memory of a connection, whose buffers grow with what is read, and of a typical response, in bytes. A longer
/// body takes more.
const EXCHANGE: u64 = 1024 * 1024;

/// Takes the requests of scripts to services other than the chat service.
#[async_trait(?Send)]
pub(super) trait HttpOut {
    /// Sends one request, and returns its response with any status. The number of concurrent requests of a run is
    /// limited; more wait. `memory` is the reservation of the answer: it grows with the body.
    ///
    /// # Errors
    ///
    /// `invalid` for a malformed request; `denied` for a host or a secret that is not granted; `unreachable` if no
    /// response came and the same call may be repeated; `in_doubt` if no response came, the request may have arrived,
    /// and its method must not be repeated blindly (POST, PATCH and the like).
    async fn request(
        &self,
        request: HttpRequest,
        variables: &GrantedVariables,
        memory: &mut MemoryReservation,
    ) -> Result<HostResponse, RequestFailure>;
}

/// Sends the requests over the network.
#[derive(Debug)]
pub(super) struct OutboundHttp {
    hosts: AllowedHosts,
    clients: PinnedClients,
    clock: Clock,
    /// The real clock: servers respond in real time even if `clock` is simulated.
    network: Clock,
    permits: Semaphore,
}

impl OutboundHttp {
    /// Creates the client for the hosts that the permissions grant. No connection is opened before the first request.
    pub(super) fn new(permissions: &Permissions, clock: Clock) -> Self {
        Self {
            hosts: AllowedHosts::new(&permissions.net),
            clients: PinnedClients::default(),
            clock,
            network: Clock::real(),
            permits: Semaphore::new(AT_ONCE),
        }
    }

    /// Checks a request as far as possible without sending it.
    ///
    /// # Errors
    ///
    /// `invalid` for a malformed request; `denied` for a host or a secret that is not granted.
    pub(super) fn look(
        &self,
        request: &HttpRequest,
        variables: &GrantedVariables,
    ) -> Result<(), RequestFailure> {
        let url = checked_url(&request.url)?;
        RequestEndpoint::of(&url, &self.hosts)?;
        outgoing::prepare(request, variables).map(drop)
    }

    async fn send(
        &self,
        mut request: HttpRequest,
        variables: &GrantedVariables,
        memory: &mut MemoryReservation,
    ) -> Result<HostResponse, RequestFailure> {
        // The semaphore is never closed, so a permit comes in the end.
        let _permit = self.permits.acquire().await;
        let mut memory = ResponseMemory { memory, clock: &self.clock, hold: Some(self.clock.hold()) };
        memory.to(EXCHANGE).await;
        let url = checked_url(&request.url)?;
        let endpoint = RequestEndpoint::of(&url, &self.hosts)?;
        let prepared = outgoing::prepare(&request, variables)?;
        // The prepared request contains the whole body.
        request.body = None;
        let end = self.network.now() + Duration::from_millis(request.timeout_ms);
        let timed_out = || format!("{} did not answer within {} ms", endpoint.shown(), request.timeout_ms);

        let resolved = self.network.timeout(end - self.network.now(), endpoint.resolve(&self.hosts)).await;
        let addresses = resolved.map_err(|_| unreachable(timed_out()))??;
        if let Some(name) = &prepared.secret
            && url.scheme() != "https"
            && !addresses.iter().all(|address| meant(address.ip()).is_loopback())
        {
            let message = format!(
                "the secret {name} would travel to {} unencrypted; secrets are only sent over https, or to this machine",
                endpoint.shown()
            );
            return Err(RequestFailure { field: Some("url".into()), ..RequestFailure::denied(message) });
        }
        let connections = self.clients.pinned(&endpoint.host, &addresses)?;
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
            Ok(Err(broken)) => Err(broken.failure(&endpoint.shown(), repeatable)),
            Err(_) => {
                Err(answer::ResponseError::after_sending(timed_out()).failure(&endpoint.shown(), repeatable))
            }
        }
    }
}

#[async_trait(?Send)]
impl HttpOut for OutboundHttp {
    async fn request(
        &self,
        request: HttpRequest,
        variables: &GrantedVariables,
        memory: &mut MemoryReservation,
    ) -> Result<HostResponse, RequestFailure> {
        self.send(request, variables, memory).await
    }
}

/// The reservation for a response that is being read.
pub(super) struct ResponseMemory<'a> {
    memory: &'a mut MemoryReservation,
    clock: &'a Clock,
    /// Holds a simulated clock, except while this waits for memory: the calls that hold the memory may wait for the
    /// clock.
    hold: Option<ClockHold>,
}

impl ResponseMemory<'_> {
    /// Waits until the response may hold this many bytes.
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
    /// The host as the address writes it.
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
        let endpoint = Self { target, host: host.to_owned(), port };
        if hosts.grants(&endpoint.target, port) {
            return Ok(endpoint);
        }
        Err(denied(format!(
            "the host {} is not granted; to grant it: `[permissions] net = [\"{}\"]` or --allow-net={}{}",
            endpoint.shown(),
            endpoint.host,
            endpoint.host,
            hosts.unread()
        )))
    }

    fn shown(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Resolves the addresses to connect to. All of them are granted.
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
                    "{} is at {ip}, which is not a public address; to grant it, list the address too: \
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
            "the url begins with {}://; only https and http are supported",
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
