//! The common configuration of all HTTP clients of the host.

use std::time::Duration;

use reqwest::ClientBuilder;

/// Begins a client that follows no redirect, repeats no request, and sends no information but its name. It reuses a
/// connection that was idle for at most `rest`; it reuses none if `rest` is zero.
pub fn client_builder(rest: Duration, tls: rustls::ClientConfig) -> ClientBuilder {
    let builder = reqwest::Client::builder().pool_idle_timeout(rest);
    let builder = if rest.is_zero() { builder.pool_max_idle_per_host(0) } else { builder };
    builder
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("mooncast/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        // `decode` decompresses answers. It knows more forms than the library.
        .no_gzip()
        .no_deflate()
}
