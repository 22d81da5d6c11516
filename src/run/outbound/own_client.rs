//! The HTTP client of the program's own requests. Unlike a script's requests they need no permission.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;

use crate::client::{Proxies, tls_config};

/// The timeout for a connection, including TLS.
const CONNECT: Duration = Duration::from_secs(10);

/// The timeout for a request, until its answer is read.
const OVERALL: Duration = Duration::from_secs(30);

/// Makes a client for rare requests to the host of `url`. Proxies come from the environment, except for this machine.
///
/// # Errors
///
/// Why it cannot be made. The text contains no address.
pub(super) fn own_client(url: &Url, redirects: Policy) -> Result<reqwest::Client, String> {
    let tls = tls_config().map_err(|error| error.to_string())?;
    let proxies = if is_here(url) { Proxies::default() } else { Proxies::of_environment()? };
    proxies
        .lead(reqwest::Client::builder())
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("mooncast/", env!("CARGO_PKG_VERSION")))
        .redirect(redirects)
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT)
        .timeout(OVERALL)
        // The requests are rare, so a kept connection would be stale by the next one.
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|error| cause(&error))
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Returns the innermost cause, which describes the actual problem.
pub(super) fn cause(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}
