//! Matches hosts against the permissions.

use std::net::IpAddr;

use ipnet::IpNet;
use reqwest::Url;

use super::addresses::{is_special, meant, range};

/// Returns the problem with the first entry of `net` that names no host.
pub fn net_problem(entries: &[String]) -> Option<String> {
    let text = entries.iter().find(|text| entry(text.trim()).is_none())?;
    let rest = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let example = if entry(host).is_some() { host } else { "api.example.com" };
    Some(format!(
        "`{text}` names no host, so nothing would be granted; write the host alone, like `{example}` (also `*.example.com`, `10.0.0.7:8080`, `10.0.0.0/8`)"
    ))
}

/// The hosts that the permissions name.
#[derive(Debug)]
pub(super) struct AllowedHosts {
    entries: Vec<HostRule>,
    /// Entries that name no host.
    unread: Vec<String>,
}

#[derive(Debug)]
struct HostRule {
    what: HostPattern,
    port: Option<u16>,
}

#[derive(Debug)]
enum HostPattern {
    /// `*`: every host with a public address.
    Any,
    /// `example.com`: this host.
    Name(String),
    /// `*.example.com`: its subdomains. Stored as `.example.com`.
    Under(String),
    /// `10.0.0.7` or `10.0.0.0/8`: these addresses.
    Addresses(IpNet),
}

/// The host that a request goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RequestHost {
    Name(String),
    Address(IpAddr),
}

impl RequestHost {
    pub(super) fn of(url: &Url) -> Option<Self> {
        let host = url.host_str()?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        Some(match bare.parse() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Name(host.trim_end_matches('.').to_owned()),
        })
    }
}

impl AllowedHosts {
    pub(super) fn new(entries: &[String]) -> Self {
        let mut hosts = Self { entries: Vec::new(), unread: Vec::new() };
        for text in entries {
            match entry(text.trim()) {
                Some(entry) => hosts.entries.push(entry),
                None => hosts.unread.push(text.clone()),
            }
        }
        hosts
    }

    /// Whether requests may go to this host and port.
    pub(super) fn grants(&self, target: &RequestHost, port: u16) -> bool {
        self.at(port).any(|what| match (what, target) {
            (HostPattern::Any, _) => true,
            (HostPattern::Name(name), RequestHost::Name(host)) => name == host,
            (HostPattern::Under(domain), RequestHost::Name(host)) => {
                host.len() > domain.len() && host.ends_with(domain)
            }
            (HostPattern::Addresses(range), RequestHost::Address(address)) => {
                range.contains(&meant(*address))
            }
            _ => false,
        })
    }

    /// Whether a granted host may have this address: a public address, an address that the permissions name, or a
    /// loopback address if they name `localhost`.
    pub(super) fn grants_address(&self, target: &RequestHost, address: IpAddr, port: u16) -> bool {
        let address = meant(address);
        let named = |what: &HostPattern| match what {
            HostPattern::Addresses(range) => range.contains(&address),
            HostPattern::Name(name) => {
                name == "localhost"
                    && address.is_loopback()
                    && *target == RequestHost::Name("localhost".to_owned())
            }
            _ => false,
        };
        !is_special(address) || self.at(port).any(named)
    }

    /// Returns a remark about entries that name no host.
    pub(super) fn unread(&self) -> String {
        if self.unread.is_empty() {
            return String::new();
        }
        format!(" (this entry of `net` is not a host: {})", self.unread.join(", "))
    }

    fn at(&self, port: u16) -> impl Iterator<Item = &HostPattern> {
        self.entries
            .iter()
            .filter(move |entry| entry.port.is_none_or(|only| only == port))
            .map(|entry| &entry.what)
    }
}

fn entry(text: &str) -> Option<HostRule> {
    if let Some(range) = range(text) {
        return Some(HostRule { what: HostPattern::Addresses(range), port: None });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let what = if host == "*" {
        HostPattern::Any
    } else if let Some(range) = range(bare) {
        HostPattern::Addresses(range)
    } else if let Some(domain) = host.strip_prefix("*.") {
        HostPattern::Under(format!(".{}", canonical(domain)?))
    } else {
        HostPattern::Name(canonical(host)?)
    };
    Some(HostRule { what, port })
}

/// Normalizes a host name as addresses do: lower case, other scripts in their ASCII form, no dot at the end.
fn canonical(name: &str) -> Option<String> {
    if name.is_empty() || name.contains(['/', '@', '?', '#', '*', ':', '\\', ' ']) {
        return None;
    }
    let url = Url::parse(&format!("http://{name}/")).ok()?;
    match RequestHost::of(&url)? {
        RequestHost::Name(name) => Some(name),
        RequestHost::Address(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(entries: &[&str], url: &str) -> bool {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        let url = Url::parse(url).unwrap();
        let port = url.port_or_known_default().unwrap();
        AllowedHosts::new(&entries).grants(&RequestHost::of(&url).unwrap(), port)
    }

    #[test]
    fn a_host_is_granted_by_its_name() {
        for (entry, url, granted) in [
            ("example.com", "https://example.com/a", true),
            ("Example.COM", "https://example.com./a", true),
            ("example.com", "https://example.com:8443/", true),
            ("example.com:8443", "https://example.com:8443/", true),
            ("example.com:443", "https://example.com/", true),
            ("example.com:8443", "https://example.com/", false),
            ("example.com", "https://a.example.com/", false),
            ("example.com", "https://notexample.com/", false),
            ("*.example.com", "https://a.b.example.com/", true),
            ("*.example.com", "https://example.com/", false),
            ("*.example.com", "https://notexample.com/", false),
            ("*.example.com:8443", "https://a.example.com:8443/", true),
            ("bücher.example", "https://xn--bcher-kva.example/", true),
            ("*", "https://example.com/", true),
            ("10.0.0.7", "http://10.0.0.7/", true),
            ("10.0.0.7:8080", "http://10.0.0.7:8080/", true),
            ("10.0.0.7:8080", "http://10.0.0.7/", false),
            ("10.0.0.0/8", "http://0x0a000007/", true),
            ("10.0.0.7", "http://167772167/", true),
            ("127.0.0.1", "http://[::ffff:127.0.0.1]/", true),
            ("::1", "http://[::1]:80/", true),
            ("[::1]:81", "http://[::1]:81/", true),
            ("[::1]:81", "http://[::1]/", false),
            ("https://example.com", "https://example.com/", false),
            ("example.com/path", "https://example.com/path", false),
            ("", "https://example.com/", false),
            ("*.", "https://example.com/", false),
        ] {
            assert_eq!(grants(&[entry], url), granted, "{entry} {url}");
        }
    }

    #[test]
    fn an_entry_that_names_no_host_is_told_the_host_in_it() {
        let problem = |text: &str| net_problem(&["fine.example".to_owned(), text.to_owned()]);
        for (text, expected) in [
            ("http://x.example/y", "like `x.example`"),
            ("https://x.example:8443", "like `x.example:8443`"),
            ("x.example/path", "like `x.example`"),
            ("10.0.0.0/33", "like `10.0.0.0`"),
            ("", "like `api.example.com`"),
        ] {
            let said = problem(text).unwrap();
            assert!(said.contains(expected), "{text}: {said}");
        }
        assert_eq!(problem("*.example.com"), None);
    }

    #[test]
    fn special_addresses_must_be_named() {
        let allows = |entries: &[&str], name: &str, address: &str| {
            let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
            let target = RequestHost::of(&Url::parse(&format!("http://{name}/")).unwrap()).unwrap();
            AllowedHosts::new(&entries).grants_address(&target, address.parse().unwrap(), 80)
        };
        assert!(allows(&["a.example"], "a.example", "9.9.9.9"));
        assert!(!allows(&["a.example"], "a.example", "127.0.0.1"));
        assert!(!allows(&["*"], "a.example", "169.254.169.254"));
        assert!(!allows(&["*"], "127.0.0.1", "127.0.0.1"));
        assert!(allows(&["a.example", "10.0.0.0/8"], "a.example", "10.1.1.1"));
        assert!(allows(&["a.example", "10.0.0.0/8"], "a.example", "::ffff:10.1.1.1"));
        assert!(!allows(&["a.example", "10.1.1.1:81"], "a.example", "10.1.1.1"));
        assert!(allows(&["localhost"], "localhost", "127.0.0.1"));
        assert!(allows(&["localhost"], "localhost", "::1"));
        assert!(!allows(&["localhost"], "localhost", "10.0.0.1"));
        assert!(!allows(&["localhost", "a.example"], "a.example", "127.0.0.1"));
        assert!(!allows(&["*.localhost", "localhost"], "x.localhost", "127.0.0.1"));
    }

    #[test]
    fn entries_that_name_no_host_are_told() {
        let hosts = AllowedHosts::new(&["https://example.com".to_owned(), "fine.example".to_owned()]);
        assert!(hosts.unread().contains("https://example.com"));
        assert!(!hosts.unread().contains("fine"));
    }
}
