//! `[app]`: one app at the service.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::{RecordSettings, units};

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
    /// How the service's own records of messages are used.
    pub records: RecordSettings,
}

impl App {
    /// Returns the app's identity at the service, whatever its local name. Everything stored for the app has this
    /// key.
    pub fn key(&self) -> &str {
        &self.prefix
    }

    /// Whether the app has no address of its own, as a project without settings.
    pub fn is_nowhere(&self) -> bool {
        self.prefix.starts_with(NOWHERE)
    }

    /// Returns the app's name in callbacks, `ORG#APP`: the last two parts of the address. None if the address does
    /// not say it: it has no two parts, or ends in `/app-id/APP_ID`.
    pub fn callback_key(&self) -> Option<String> {
        let (_, path) = self.prefix.split_once("://")?;
        let (_, path) = path.split_once('/')?;
        let (before, app) = path.rsplit_once('/')?;
        let org = before.rsplit('/').next()?;
        (org != APP_ID_PATH).then(|| format!("{org}#{app}"))
    }
}

/// The address of an app without one. Nothing listens there.
pub(super) const NOWHERE: &str = "http://localhost:9";

/// The part of an address that an App ID follows, in place of the organisation and the app.
pub(super) const APP_ID_PATH: &str = "app-id";

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
    /// An Agora App ID with its App Certificate, of which this program makes tokens.
    Agora {
        /// 32 hex digits.
        app_id: String,
        /// 32 hex digits.
        certificate: SecretString,
        login: AgoraLogin,
    },
}

/// What is done with the tokens that are made of an App Certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgoraLogin {
    /// `POST /token` exchanges them for the service's own tokens.
    #[default]
    Exchange,
    /// They authorise the calls.
    Direct,
}

/// `[app.limits]`: the service's limits for the app.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppLimits {
    /// Group messages per second, and group calls per second: the service raises both together. Default 20 (vendor's
    /// page).
    pub group_per_second: u32,
    /// Targeted calls per second. Default 100 (vendor's page).
    pub targeted_per_second: u32,
    /// The cost of a targeted call in its quota. Default: one per call (as the vendor's page counts).
    pub targeted_cost: TargetedCost,
    /// Uploads per second. Default 100.
    pub upload_per_second: u32,
    /// Reads of lists and recalls per second. Default 100.
    pub read_per_second: u32,
    /// Edits of sent messages per second. Default 100.
    pub edit_per_second: u32,
    /// Calls to users per second. Default 100 (contract).
    pub user_calls_per_second: u32,
    /// Messages to users per minute; a call to k users has k. Default 6000 (contract).
    pub user_messages_per_minute: u32,
    /// Messages to rooms per second; a call to k rooms has k. Default 100 (contract).
    pub room_messages_per_second: u32,
    /// Calls to rooms per second; 0 limits only the messages. Default 0.
    pub room_calls_per_second: u32,
    /// Announcements to all users a day, in UTC. Default 3 (contract).
    pub announce_all_per_day: u32,
    /// Announcements to the users who are online a day, in UTC. Default 50 (contract).
    pub announce_online_per_day: u32,
    /// Bytes of `body` and `ext` together, as UTF-8 JSON as sent. Default 5120 (vendor's page: 5 KB).
    pub message_bytes: usize,
    /// Bytes of one uploaded file. Default 10 MB (10,485,760).
    pub upload_bytes: u64,
    /// Mooncast's part of each quota, over 0 and up to 1. The rest is left to the app's own backend. Default 1.
    pub share: f64,
    /// `extra_fields` of the app: fields of messages that are sent although Mooncast does not know them. Default none.
    #[serde(skip)]
    pub extra_fields: Vec<String>,
    /// `body_fields` of the app: the same for fields of `body`.
    #[serde(skip)]
    pub body_fields: Vec<String>,
}

impl Default for AppLimits {
    fn default() -> Self {
        Self {
            group_per_second: 20,
            targeted_per_second: 100,
            targeted_cost: TargetedCost::Call,
            upload_per_second: 100,
            read_per_second: 100,
            edit_per_second: 100,
            user_calls_per_second: 100,
            user_messages_per_minute: 6000,
            room_messages_per_second: 100,
            room_calls_per_second: 0,
            announce_all_per_day: 3,
            announce_online_per_day: 50,
            message_bytes: 5120,
            upload_bytes: 10 * 1024 * 1024,
            share: 1.0,
            extra_fields: Vec::new(),
            body_fields: Vec::new(),
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
