//! HTTP clients that connect only to given addresses.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Name, Resolve, Resolving};

use crate::client::{ConnectionPool, client_builder, tls_config};
use crate::protocol::{FailureKind, RequestFailure};

/// The most hosts whose connections are kept open.
const MAX_KEPT: usize = 32;

/// The timeout for a connection, including TLS.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept, unless its server announces a shorter time.
const IDLE: Duration = Duration::from_secs(30);

/// One client per host. A client is kept while the host's addresses stay the same.
#[derive(Debug, Default)]
pub(super) struct PinnedClients(Mutex<HashMap<String, PinnedClient>>);

#[derive(Debug)]
struct PinnedClient {
    addresses: Vec<SocketAddr>,
    connections: Arc<ConnectionPool>,
}

impl PinnedClients {
    /// Returns connections that reach `host` at these addresses.
    pub(super) fn pinned(
        &self,
        host: &str,
        addresses: &[SocketAddr],
    ) -> Result<Arc<ConnectionPool>, RequestFailure> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pinned) = kept.get(host)
            && pinned.addresses == addresses
        {
            return Ok(Arc::clone(&pinned.connections));
        }
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        let connections = Arc::new(build(host, addresses)?);
        let pinned = PinnedClient { addresses: addresses.to_vec(), connections: Arc::clone(&connections) };
        kept.insert(host.to_owned(), pinned);
        Ok(connections)
    }
}

fn build(host: &str, addresses: &[SocketAddr]) -> Result<ConnectionPool, RequestFailure> {
    let unusable = |why: &dyn std::fmt::Display| {
        RequestFailure::new(FailureKind::Unreachable, format!("HTTP requests are not possible here: {why}"))
    };
    let tls = tls_config().map_err(|error| unusable(&error))?;
    let (host, addresses) = (host.to_owned(), addresses.to_vec());
    let build = move |rest: Duration| {
        client_builder(rest, tls.clone())
            .no_proxy()
            .dns_resolver(NoResolver)
            .resolve_to_addrs(&host, &addresses)
            .connect_timeout(CONNECT)
            .build()
    };
    ConnectionPool::new(IDLE, build).map_err(|error| unusable(&error))
}

/// Resolves no names: a client reaches only pinned hosts.
#[derive(Debug)]
struct NoResolver;

impl Resolve for NoResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let refusal = format!("{} is not a host that this request was permitted for", name.as_str());
        Box::pin(async { Err(io::Error::other(refusal).into()) })
    }
}
