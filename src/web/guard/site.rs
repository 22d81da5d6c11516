//! The host names of this site, and the check of a browser's origin.
//!
//! A name that a foreign DNS server points here (DNS rebinding) is not a name of this site. A page of another
//! origin must not act here through a browser.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header, uri::Authority};

use super::is_safe;
use crate::web::answer::ApiError;
use crate::web::listener::Peer;

/// The host names of this site.
#[derive(Debug, Clone)]
pub(in crate::web) struct SiteNames(Vec<String>);

impl SiteNames {
    /// The names of the listening address, and those in the settings (in lower case).
    pub(in crate::web) fn new(address: SocketAddr, tls: bool, hosts: &[String]) -> Self {
        let (ip, port) = (address.ip(), address.port());
        let mut names = vec![format!("localhost:{port}"), address.to_string()];
        if ip.is_unspecified() || ip.is_loopback() {
            names.extend([format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
        }
        // Browsers omit the default port.
        let usual = format!(":{}", if tls { 443 } else { 80 });
        for index in 0..names.len() {
            let bare = names[index].strip_suffix(&usual).map(str::to_owned);
            names.extend(bare);
        }
        for host in hosts {
            names.extend([host.clone(), format!("{host}:{port}")]);
        }
        Self(names)
    }

    /// Checks that a request is for this site, and that it comes from one of its pages or from no page.
    pub(super) fn admit(&self, request: &Request) -> Result<(), ApiError> {
        let headers = request.headers();
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().filter(|_| hosts.next().is_none());
        let named = host.and_then(|host| host.to_str().ok());
        let of_target = request.uri().authority().map(Authority::as_str);
        let known = |name: &str| self.0.iter().any(|known| known.eq_ignore_ascii_case(name));
        if !named.is_some_and(known) || of_target.is_some_and(|name| !known(name)) {
            return Err(ApiError::new(
                StatusCode::MISDIRECTED_REQUEST,
                "this host does not accept the name in the request's `Host` header; add the name to `[serve] hosts`",
            ));
        }
        if !is_safe(request.method()) {
            let secure = request.extensions().get::<Peer>().is_some_and(|peer| peer.is_secure(headers));
            let mut origins = headers.get_all(header::ORIGIN).iter();
            let own = origins.all(|origin| self.is_origin(origin.to_str().unwrap_or_default(), secure));
            if !own || sites(headers).any(|site| site != "same-origin" && site != "none") {
                return Err(ApiError::new(
                    StatusCode::FORBIDDEN,
                    "requests from a page of another origin are refused",
                ));
            }
        }
        Ok(())
    }

    /// Whether this is the origin of a page of this site. A request over TLS must not come from a plain HTTP page,
    /// which an attacker on the network could have written.
    fn is_origin(&self, origin: &str, secure: bool) -> bool {
        let plain = || origin.strip_prefix("http://").filter(|_| !secure);
        let host = origin.strip_prefix("https://").or_else(plain);
        host.is_some_and(|host| self.0.iter().any(|known| known.eq_ignore_ascii_case(host)))
    }
}

/// Whether a request with a browser's cookie may be served. To act, the browser must state that a page of this site
/// makes the request; [`SiteNames::admit`] has already compared the origin. To read, it must not state that another
/// site's page makes the request, except for a link that is followed. A browser treats other ports of this machine
/// as the same site.
pub(super) fn is_own(method: &Method, headers: &HeaderMap) -> bool {
    let from = sites(headers).collect::<Vec<_>>();
    if is_safe(method) {
        let follows = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        return follows || from.iter().all(|site| ["same-origin", "none"].contains(site));
    }
    headers.contains_key(header::ORIGIN) || from == ["same-origin"]
}

fn sites(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all("sec-fetch-site").iter().map(|site| site.to_str().unwrap_or_default())
}
