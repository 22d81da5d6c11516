//! `[serve]`: the daemon and its listener.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, units};
use crate::core::TokenRole;

/// The address of the page, unless the settings give another one.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7311);

/// A day, as a unit of durations.
const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeSettings {
    /// How long runs may take to end by themselves when the daemon stops. Default 30 s.
    pub stop_within: Duration,
    /// The listener's address.
    pub listen: ListenAddress,
    /// The host names under which browsers may request the page, beside the listener's address. Requests with another
    /// name are refused, as a protection against DNS rebinding.
    pub hosts: Vec<String>,
    /// The address of the page for people, without a slash at its end: `https://mooncast.example.com`. Alerts link to it.
    pub public_url: Option<String>,
    /// The certificate and key for TLS. None without TLS.
    pub tls: Option<TlsFiles>,
    /// The proxies that end TLS in front of the daemon. If the list is not empty, only they may connect.
    pub trusted_proxies: Vec<IpAddr>,
    /// The roles of this host in a fleet.
    pub roles: HostRoles,
    /// The header in which a trusted proxy names the user who logged in there. None: no proxy is asked.
    pub user_header: Option<String>,
    /// The roles of these users. `*` stands for all others.
    pub users: BTreeMap<String, TokenRole>,
    /// How long entries of the audit are kept, at least a day. Default 400 days.
    pub keep_audit: Duration,
    /// The most bytes of the log in the state folder; 0 keeps none. Default 64 MiB.
    pub keep_log: u64,
    /// The time zone of the page's times, for browsers that have not said theirs, and of times in alerts for group chats: an
    /// IANA name. Default UTC for the page, and the machine's zone for alerts.
    pub zone: String,
}

/// The roles of a host. A single host has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostRoles {
    /// The host runs jobs and requested scripts. Messages that these scripts send one by one leave from this host.
    pub schedule: bool,
    /// The host drives broadcasts.
    pub send: bool,
    /// The host listens and serves the page, its API, hooks and metrics.
    pub page: bool,
}

impl HostRoles {
    pub const ALL: Self = Self { schedule: true, send: true, page: true };

    /// Parses the roles from a list of words.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut roles = Self { schedule: false, send: false, page: false };
        for word in words {
            match word.trim() {
                "schedule" => roles.schedule = true,
                "send" => roles.send = true,
                "page" => roles.page = true,
                other => {
                    return Err(format!("`{other}` is not a role; the roles are schedule, send and page"));
                }
            }
        }
        if roles == (Self { schedule: false, send: false, page: false }) {
            return Err("a host without a role does nothing; name some of schedule, send and page".to_owned());
        }
        Ok(roles)
    }
}

impl std::fmt::Display for HostRoles {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = [(self.schedule, "schedule"), (self.send, "send"), (self.page, "page")];
        let words: Vec<&str> = words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
        formatter.write_str(&words.join(","))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListenAddress {
    /// [`DEFAULT_LISTEN`], if it is free.
    #[default]
    Default,
    /// This address. The daemon does not start if it is not free.
    At(SocketAddr),
    /// None: no page and no hooks.
    Nowhere,
}

/// Files for TLS in PEM format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain to the root.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            stop_within: Duration::from_secs(30),
            listen: ListenAddress::Default,
            hosts: Vec::new(),
            public_url: None,
            tls: None,
            trusted_proxies: Vec::new(),
            roles: HostRoles::ALL,
            user_header: None,
            users: BTreeMap::new(),
            keep_audit: DAY * 400,
            keep_log: 64 << 20,
            zone: "UTC".to_owned(),
        }
    }
}

impl ListenAddress {
    /// Parses an address such as `127.0.0.1:7311`, or `nowhere`. Port 0 means any free port.
    pub fn of(text: &str) -> Result<Self, String> {
        if text == "nowhere" {
            return Ok(Self::Nowhere);
        }
        text.parse().map(Self::At).map_err(|_| {
            format!(
                "`{text}` is not an address with a port; write one like \"{DEFAULT_LISTEN}\", or \"nowhere\""
            )
        })
    }
}

impl ServeSettings {
    /// Returns the address to listen at, if any.
    pub fn address(&self) -> Result<Option<SocketAddr>, String> {
        let address = match self.listen {
            _ if !self.roles.page => return Ok(None),
            ListenAddress::Nowhere => return Ok(None),
            ListenAddress::Default => DEFAULT_LISTEN,
            ListenAddress::At(address) => address,
        };
        if address.ip().is_loopback() || self.tls.is_some() || !self.trusted_proxies.is_empty() {
            return Ok(Some(address));
        }
        Err(format!(
            "{address} can be reached from other machines, and tokens and pages would travel without TLS; listen at a \
             loopback address like \"127.0.0.1:{}\", or name a certificate (`[serve] tls_certificate` and `tls_key`), or \
             the proxy that ends TLS in front of it (`[serve] trusted_proxies`)",
            address.port()
        ))
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServeSection {
    #[serde(deserialize_with = "units::duration")]
    stop_within: Option<Duration>,
    listen: Option<String>,
    hosts: Vec<String>,
    public_url: Option<String>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    trusted_proxies: Vec<IpAddr>,
    roles: Option<Vec<String>>,
    user_header: Option<String>,
    users: BTreeMap<String, TokenRole>,
    #[serde(deserialize_with = "units::duration")]
    keep_audit: Option<Duration>,
    #[serde(deserialize_with = "units::size")]
    keep_log: Option<u64>,
    zone: Option<String>,
}

impl ServeSection {
    /// The time zone, if the settings name one.
    pub(super) fn zone(&self) -> Option<String> {
        self.zone.clone()
    }

    /// Makes the settings. Relative paths start at the project's folder.
    pub(super) fn settings(self, root: &Path) -> Result<ServeSettings, ConfigError> {
        let listen = self.listen.as_deref().map(ListenAddress::of).transpose();
        let listen = listen.map_err(|why| ConfigError::invalid("[serve] listen", why))?;
        let roles =
            self.roles.map_or(Ok(HostRoles::ALL), |words| HostRoles::of(words.iter().map(String::as_str)));
        let roles = roles.map_err(|why| ConfigError::invalid("[serve] roles", why))?;
        let tls = match (self.tls_certificate, self.tls_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(TlsFiles { certificate: root.join(certificate), key: root.join(key) })
            }
            (Some(_), None) => {
                return Err(ConfigError::invalid("[serve] tls_key", "is missing beside tls_certificate"));
            }
            (None, Some(_)) => {
                return Err(ConfigError::invalid("[serve] tls_certificate", "is missing beside tls_key"));
            }
        };
        Ok(ServeSettings {
            stop_within: self.stop_within.unwrap_or(ServeSettings::default().stop_within),
            listen: listen.unwrap_or_default(),
            hosts: self.hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect(),
            public_url: self.public_url.map(|text| public_url(&text)).transpose()?,
            tls,
            trusted_proxies: self.trusted_proxies,
            roles,
            user_header: self.user_header.map(user_header).transpose()?,
            users: self.users,
            keep_audit: self.keep_audit.map_or(Ok(ServeSettings::default().keep_audit), keep_audit)?,
            keep_log: self.keep_log.map_or(Ok(ServeSettings::default().keep_log), keep_log)?,
            zone: self.zone.map_or(Ok(ServeSettings::default().zone), zone)?,
        })
    }
}

/// Checks the name of the header that names users.
fn user_header(name: String) -> Result<String, ConfigError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let own = ["authorization", "cookie", "host", "origin"].iter().any(|own| name.eq_ignore_ascii_case(own));
    if name.is_empty() || !name.bytes().all(token) || own {
        return Err(ConfigError::invalid(
            "[serve] user_header",
            format!(
                "`{}` cannot name users; write a header such as \"X-Forwarded-User\"",
                name.escape_debug()
            ),
        ));
    }
    Ok(name)
}

/// Checks the page's address: a scheme, a host and perhaps a port.
fn public_url(text: &str) -> Result<String, ConfigError> {
    let plain = text.strip_suffix('/').unwrap_or(text);
    let of_host = |host: &str| {
        let is_host =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
        // A domain's name, an IPv4 address, or an IPv6 address in brackets, each with or without a port.
        let (name, port) = match host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        };
        let in_brackets = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let is_name = match in_brackets {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !name.is_empty() && !name.contains([':', '[', ']']),
        };
        is_name && host.bytes().all(is_host) && port.is_none_or(|port| port.parse::<u16>().is_ok())
    };
    let host = plain.strip_prefix("https://").or_else(|| plain.strip_prefix("http://"));
    if host.is_some_and(of_host) {
        return Ok(plain.to_owned());
    }
    let why = format!(
        "`{}` is not the address of a page; write a scheme and a host without a path, such as \"https://mooncast.example.com\"",
        text.escape_debug()
    );
    Err(ConfigError::invalid("[serve] public_url", why))
}

/// Checks the name of a time zone.
fn zone(name: String) -> Result<String, ConfigError> {
    match jiff::tz::TimeZone::get(&name) {
        Ok(_) => Ok(name),
        Err(_) => Err(ConfigError::invalid(
            "[serve] zone",
            format!("`{}` is not a time zone; write a name such as \"Asia/Shanghai\"", name.escape_debug()),
        )),
    }
}

/// Checks the size of the log. It is 0, or from 1 MiB to 4 GiB.
fn keep_log(value: u64) -> Result<u64, ConfigError> {
    if value == 0 || (1 << 20..=4 << 30).contains(&value) {
        return Ok(value);
    }
    let why = "must be from \"1MiB\" to \"4GiB\", or \"0B\" to keep no log";
    Err(ConfigError::invalid("[serve] keep_log", why))
}

fn keep_audit(value: Duration) -> Result<Duration, ConfigError> {
    if value < DAY {
        let why = "is shorter than a day; write a time of at least \"1d\", for example \"400d\"";
        return Err(ConfigError::invalid("[serve] keep_audit", why));
    }
    Ok(value)
}
