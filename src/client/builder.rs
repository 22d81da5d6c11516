//! What every HTTP client of the host has in common.

use std::time::Duration;

use reqwest::ClientBuilder;

/// Begins a client that follows no redirect, repeats nothing and tells nothing but its name. It uses a connection again after at
/// most this rest; never again when it is zero.
pub fn client_builder(rest: Duration, tls: rustls::ClientConfig) -> ClientBuilder {
    let builder = reqwest::Client::builder().pool_idle_timeout(rest);
    let builder = if rest.is_zero() { builder.pool_max_idle_per_host(0) } else { builder };
    builder
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("mooncast/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        // Answers are decompressed by `decode`, in more forms than the library knows.
        .no_gzip()
        .no_deflate()
}
