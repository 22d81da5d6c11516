//! The names of this site, and who speaks through a browser.
//!
//! A name that somebody else's DNS points here (rebinding) is no name of this site; a page of another origin may not
//! have a browser act here for it.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header, uri::Authority};

use super::is_safe;
use crate::web::answer::Problem;

/// The names under which this site may be asked for.
#[derive(Debug, Clone)]
pub(in crate::web) struct Names(Vec<String>);

impl Names {
    /// Those of the address that is listened at, and those that the settings name (in lower case).
    pub(in crate::web) fn new(address: SocketAddr, hosts: &[String]) -> Self {
        let (ip, port) = (address.ip(), address.port());
        let mut names = vec![format!("localhost:{port}"), address.to_string()];
        if ip.is_unspecified() || ip.is_loopback() {
            names.extend([format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
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
    pub(super) fn admit(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().filter(|_| hosts.next().is_none());
        let named = host.and_then(|host| host.to_str().ok()).map(str::to_ascii_lowercase);
        let of_target = request.uri().authority().map(Authority::as_str);
        let known = |name: &str| self.0.iter().any(|known| known == name);
        if !named.as_deref().is_some_and(known) || of_target.is_some_and(|name| !known(name)) {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "this host is not known by that name; `[serve] hosts` names those that it has",
            ));
        }
        if !is_safe(request.method()) {
            let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
            let own = origin.is_none_or(|origin| self.is_origin(origin));
            if !own || site_of(headers).is_some_and(|site| site != "same-origin" && site != "none") {
                return Err(Problem::new(StatusCode::FORBIDDEN, "a page of another origin may not act here"));
            }
        }
        Ok(())
    }

    fn is_origin(&self, origin: &str) -> bool {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        host.is_some_and(|host| self.0.iter().any(|known| known.eq_ignore_ascii_case(host)))
    }
}

/// Whether a browser says that one of this site's own pages asks. [`Names::admit`] has compared the origin.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || site_of(headers) == Some("same-origin")
}

fn site_of(headers: &HeaderMap) -> Option<&str> {
    headers.get("sec-fetch-site").map(|site| site.to_str().unwrap_or_default())
}
