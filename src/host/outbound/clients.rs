//! HTTP clients that connect to given addresses and to no others.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;
use reqwest::dns::{Name, Resolve, Resolving};

use crate::client::tls_config;
use crate::protocol::{Failure, Kind};

/// The most hosts whose connections are kept open.
const MAX_KEPT: usize = 32;

/// How long a connection may take to be made, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a connection is kept without being used.
const IDLE: Duration = Duration::from_secs(30);

/// One client a host, kept as long as the host stays at the same addresses.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<HashMap<String, Pinned>>);

#[derive(Debug)]
struct Pinned {
    addresses: Vec<SocketAddr>,
    client: Client,
}

impl Clients {
    /// A client that reaches `host` at these addresses.
    pub(super) fn pinned(&self, host: &str, addresses: &[SocketAddr]) -> Result<Client, Failure> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pinned) = kept.get(host)
            && pinned.addresses == addresses
        {
            return Ok(pinned.client.clone());
        }
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        let client = build(host, addresses)?;
        let pinned = Pinned { addresses: addresses.to_vec(), client: client.clone() };
        kept.insert(host.to_owned(), pinned);
        Ok(client)
    }
}

fn build(host: &str, addresses: &[SocketAddr]) -> Result<Client, Failure> {
    let unusable = |why: &dyn std::fmt::Display| {
        Failure::new(Kind::Unreachable, format!("no request can be made here: {why}"))
    };
    let tls = tls_config().map_err(|error| unusable(&error))?;
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("mooncast/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .dns_resolver(NoNames)
        .resolve_to_addrs(host, addresses)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .build()
        .map_err(|error| unusable(&error))
}

/// Resolves nothing: what is not pinned is not reached.
#[derive(Debug)]
struct NoNames;

impl Resolve for NoNames {
    fn resolve(&self, name: Name) -> Resolving {
        let refusal = format!("{} was not resolved beforehand", name.as_str());
        Box::pin(async { Err(io::Error::other(refusal).into()) })
    }
}
