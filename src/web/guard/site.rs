//! The names of this site, and who speaks through a browser.
//!
//! A name that somebody else's DNS points here (rebinding) is no name of this site; a page of another origin may not
//! have a browser act here for it.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header, uri::Authority};

use super::is_safe;
use crate::web::answer::ApiError;
use crate::web::listener::Peer;

/// The names under which this site may be asked for.
#[derive(Debug, Clone)]
pub(in crate::web) struct SiteNames(Vec<String>);

impl SiteNames {
    /// Those of the address that is listened at, and those that the settings name (in lower case).
    pub(in crate::web) fn new(address: SocketAddr, tls: bool, hosts: &[String]) -> Self {
        let (ip, port) = (address.ip(), address.port());
        let mut names = vec![format!("localhost:{port}"), address.to_string()];
        if ip.is_unspecified() || ip.is_loopback() {
            names.extend([format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
        }
        // Browsers leave the port out where it is the usual one.
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

    /// Whether a request is for this site and from one of its pages, or from no page at all.
    ///
    /// # Errors
    ///
    /// The answer, where it is not.
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
                "this host is not known by that name; `[serve] hosts` names those that it has",
            ));
        }
        if !is_safe(request.method()) {
            let secure = request.extensions().get::<Peer>().is_some_and(|peer| peer.is_secure(headers));
            let mut origins = headers.get_all(header::ORIGIN).iter();
            let own = origins.all(|origin| self.is_origin(origin.to_str().unwrap_or_default(), secure));
            if !own || sites(headers).any(|site| site != "same-origin" && site != "none") {
                return Err(ApiError::new(
                    StatusCode::FORBIDDEN,
                    "a page of another origin may not act here",
                ));
            }
        }
        Ok(())
    }

    /// Whether this is the origin of a page of this site. What is asked for in secret was not asked for by a page that
    /// anybody on its way could have written.
    fn is_origin(&self, origin: &str, secure: bool) -> bool {
        let plain = || origin.strip_prefix("http://").filter(|_| !secure);
        let host = origin.strip_prefix("https://").or_else(plain);
        host.is_some_and(|host| self.0.iter().any(|known| known.eq_ignore_ascii_case(host)))
    }
}

/// Whether what comes with a browser's cookie may be asked for with it. To act, the browser has to say that one of this
/// site's own pages asks; [`Names::admit`] has compared the origin. To look, it must not say that another's does, but
/// for a link that somebody follows: other ports of this machine are the same site to it.
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
