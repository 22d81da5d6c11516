//! The one road of a message: check, permit, intent, request, outcome; and what a failure means for it.
//!
//! A [`Delivery`] is one app's. `im.group_send` and `im.targeted_send` take [`Delivery::send`], and there is no other
//! way to the service. May import: `quota`, `client`, `message`, `config`, `clock`.

mod health;
mod lists;
mod recall;
mod retry;
mod send;
mod stop;
mod tally;
mod undelivered;
mod upload;

pub use health::Health;
pub use lists::{GroupEntry, MemberEntry, Page};
pub use recall::{NotRecalled, Recalled};
pub use send::{Receipts, SendOptions};
pub use stop::{Stop, StopSwitch};
pub use tally::{Counts, Tally};
pub use undelivered::{Reason, Undelivered};
pub use upload::{SendableFile, UploadOptions, Uploaded};

use std::path::Path;

use crate::client::{Client, ClientError};
use crate::clock::Clock;
use crate::config::{App, AppLimits};
use crate::message::Limits;
use crate::quota::Quotas;

/// Everything that is sent through one app.
#[derive(Debug)]
pub struct Delivery {
    name: String,
    key: String,
    settings: AppLimits,
    limits: Limits,
    client: Client,
    quotas: Quotas,
    clock: Clock,
}

impl Delivery {
    /// The road of an app. `state` is the folder in which its token is kept between processes.
    ///
    /// # Errors
    ///
    /// When the app's address or the system's TLS settings are of no use.
    pub fn new(app: &App, clock: Clock, state: Option<&Path>) -> Result<Self, ClientError> {
        Ok(Self {
            name: app.name.clone(),
            key: app.key().to_owned(),
            settings: app.limits.clone(),
            limits: Limits { message_bytes: app.limits.message_bytes },
            client: Client::new(app, clock.clone(), state)?,
            quotas: Quotas::new(&app.limits, &clock),
            clock,
        })
    }

    /// The app's name for scripts.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Under which key the ledger keeps what is sent: the app's own, but where [`Delivery::keyed`] says another.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The same road under a key of its own, for an app whose address changes from run to run.
    #[must_use]
    pub fn keyed(self, key: impl Into<String>) -> Self {
        Self { key: key.into(), ..self }
    }

    /// The app's quotas, for whoever shows them.
    #[must_use]
    pub const fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// The limits in force, as `im.limits` shows them.
    #[must_use]
    pub fn limits(&self) -> Vec<(String, f64)> {
        let settings = &self.settings;
        [
            ("group_per_second", f64::from(settings.group_per_second)),
            ("targeted_per_second", f64::from(settings.targeted_per_second)),
            ("upload_per_second", f64::from(settings.upload_per_second)),
            ("read_per_second", f64::from(settings.read_per_second)),
            ("share", settings.share),
            ("message_bytes", settings.message_bytes as f64),
            ("upload_bytes", settings.upload_bytes as f64),
            ("groups_per_call", crate::message::GROUPS_PER_CALL as f64),
            ("users_per_call", crate::message::USERS_PER_CALL as f64),
            ("roam_ignore_users", crate::message::ROAM_IGNORE_USERS as f64),
            ("custom_exts", crate::message::CUSTOM_EXTS as f64),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}
