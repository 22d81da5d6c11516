//! `[app]`: one app key at the service.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

/// One app at the service: where it is, how to log in, what it may do.
#[derive(Debug, Clone)]
pub struct App {
    /// The name under which scripts know it: `default`, or the NAME of `[apps.NAME]`.
    pub name: String,
    /// What every path stands behind, without a slash at the end: `{base_url}/{org}/{app}`.
    pub prefix: String,
    /// How calls are authorised.
    pub credentials: Credentials,
    /// What the service allows this app.
    pub limits: AppLimits,
    /// How long each part of a call may take.
    pub timeouts: Timeouts,
}

impl App {
    /// What identifies the app at the service, whatever its local name: the key of everything that is stored for it.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.prefix
    }
}

/// How calls to the service are authorised.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A token made elsewhere, used until the service refuses it.
    Token(SecretString),
    /// A client id and secret, for which `POST /token` gives tokens.
    Client {
        /// The app's client id.
        id: String,
        /// The app's client secret.
        secret: SecretString,
    },
}

/// `[app.limits]`: what the service allows the app.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppLimits {
    /// Group messages a second, and group calls a second: the service raises both together. Default 20 (seed).
    pub group_per_second: u32,
    /// Targeted calls a second. Default 100 (seed).
    pub targeted_per_second: u32,
    /// What a targeted call counts against its quota. Default one (seed: the page counts calls).
    pub targeted_cost: TargetedCost,
    /// Uploads a second. Default 100.
    pub upload_per_second: u32,
    /// Reads of lists and recalls a second. Default 100.
    pub read_per_second: u32,
    /// Bytes of `body` and `ext` together, as UTF-8 JSON as sent. Default 5120 (seed: 5 KB).
    pub message_bytes: usize,
    /// Bytes of one uploaded file. Default 10 MB (10,485,760).
    pub upload_bytes: u64,
    /// Our part of each quota, over 0 and up to 1; the rest is left to the app's own backend. Default 1.
    pub share: f64,
}

impl Default for AppLimits {
    fn default() -> Self {
        Self {
            group_per_second: 20,
            targeted_per_second: 100,
            targeted_cost: TargetedCost::Call,
            upload_per_second: 100,
            read_per_second: 100,
            message_bytes: 5120,
            upload_bytes: 10 * 1024 * 1024,
            share: 1.0,
        }
    }
}

/// What a targeted call counts against its quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetedCost {
    /// One, however many users it names.
    #[default]
    Call,
    /// One for each user it names.
    User,
}

/// How long each part of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To a connection, TLS included. Default 10 s.
    pub connect: Duration,
    /// Without a byte from the server. Default 30 s.
    pub read: Duration,
    /// From the request to the end of its answer; uploads have no such limit while bytes flow. Default 60 s.
    pub overall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            overall: Duration::from_mins(1),
        }
    }
}
