//! `[app]`: one app at the service.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::units;

/// One app at the service: its address, credentials and limits.
#[derive(Debug, Clone)]
pub struct App {
    /// The name that scripts use: `default`, or the NAME of `[apps.NAME]`.
    pub name: String,
    /// The prefix of every path, without a slash at the end: `{base_url}/{org}/{app}`.
    pub prefix: String,
    /// How calls are authorised.
    pub credentials: Credentials,
    pub limits: AppLimits,
    /// The timeouts of the parts of a call.
    pub timeouts: Timeouts,
}

impl App {
    /// Returns the app's identity at the service, whatever its local name. Everything stored for the app has this
    /// key.
    pub fn key(&self) -> &str {
        &self.prefix
    }
}

/// How calls to the service are authorised.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A token made elsewhere, which is used until the service refuses it.
    Token(SecretString),
    /// A client id and secret, which `POST /token` exchanges for tokens.
    Client {
        /// The app's client id.
        id: String,
        /// The app's client secret.
        secret: SecretString,
    },
}

/// `[app.limits]`: the service's limits for the app.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppLimits {
    /// Group messages per second, and group calls per second: the service raises both together. Default 20 (seed).
    pub group_per_second: u32,
    /// Targeted calls per second. Default 100 (seed).
    pub targeted_per_second: u32,
    /// The cost of a targeted call in its quota. Default: one per call (seed: the page counts calls).
    pub targeted_cost: TargetedCost,
    /// Uploads per second. Default 100.
    pub upload_per_second: u32,
    /// Reads of lists and recalls per second. Default 100.
    pub read_per_second: u32,
    /// Bytes of `body` and `ext` together, as UTF-8 JSON as sent. Default 5120 (seed: 5 KB).
    pub message_bytes: usize,
    /// Bytes of one uploaded file. Default 10 MB (10,485,760).
    pub upload_bytes: u64,
    /// Mooncast's part of each quota, over 0 and up to 1. The rest is left to the app's own backend. Default 1.
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

/// The cost of a targeted call in its quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetedCost {
    /// One per call, however many users it names.
    #[default]
    Call,
    /// One per user that the call names.
    User,
}

/// `[app.timeouts]`: the timeouts of the parts of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// Until a connection is ready, TLS included. Default 10 s.
    #[serde(deserialize_with = "units::duration")]
    pub connect: Duration,
    /// Without any byte from the server. Default 30 s.
    #[serde(deserialize_with = "units::duration")]
    pub read: Duration,
    /// From the request to the end of its answer. An upload has no such limit while bytes flow. Default 60 s.
    #[serde(deserialize_with = "units::duration")]
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
