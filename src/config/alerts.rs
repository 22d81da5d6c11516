//! `[alerts]`: where people are told of what went wrong while nobody looked.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{ConfigError, Environment, units};

/// For how long a quota is refused before that is worth an alert, where nothing is said.
const AFTER: Duration = Duration::from_mins(10);

/// Shorter ones cannot be told from the everyday.
const LEAST_AFTER: Duration = Duration::from_mins(1);

/// Where alerts go, and which.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// The webhook. Whoever has it can write there, so it is shown nowhere.
    pub url: SecretString,
    /// What the webhook knows our posts by, if anything.
    pub secret: Option<SecretString>,
    /// What is worth an alert. Default: everything.
    pub events: BTreeSet<AlertKind>,
    /// For how long a quota must be refused. Default 10 min.
    pub after: Duration,
}

/// What an alert tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A run of a job failed, or was cut short and is not entered again.
    RunFailed,
    /// A run or a broadcast ended, and some of its recipients do not have the message; or it paused by itself.
    Undelivered,
    /// A script's file is not in force as it is now.
    Stale,
    /// The service has refused what a quota should allow for long.
    Quota,
}

impl AlertKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::RunFailed, Self::Undelivered, Self::Stale, Self::Quota];

    /// As `events` and the posted JSON have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunFailed => "run_failed",
            Self::Undelivered => "undelivered",
            Self::Stale => "stale",
            Self::Quota => "quota",
        }
    }
}

/// The section as it stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AlertsSection {
    url: Option<SecretString>,
    secret: Option<SecretString>,
    events: Option<BTreeSet<AlertKind>>,
    #[serde(deserialize_with = "units::duration")]
    after: Option<Duration>,
}

impl AlertsSection {
    /// With `MOONCAST_ALERTS_URL` and `MOONCAST_ALERTS_SECRET` over it; none where there is no address.
    pub(super) fn settings(self, environment: &Environment) -> Result<Option<AlertSettings>, ConfigError> {
        let url = environment.value("MOONCAST_ALERTS_URL")?.map(SecretString::from).or(self.url);
        let secret = environment.value("MOONCAST_ALERTS_SECRET")?.map(SecretString::from).or(self.secret);
        let Some(url) = url else {
            if secret.is_some() || self.events.is_some() || self.after.is_some() {
                return Err(ConfigError::invalid("[alerts] url", "it is missing: the webhook's address"));
            }
            return Ok(None);
        };
        let begins = |scheme| url.expose_secret().starts_with(scheme);
        if !begins("https://") && !begins("http://") {
            return Err(ConfigError::invalid("[alerts] url", "it must begin with https:// or http://"));
        }
        if secret.as_ref().is_some_and(|secret| secret.expose_secret().is_empty()) {
            return Err(ConfigError::invalid("[alerts] secret", "it is empty; leave it out for none"));
        }
        let events = self.events.unwrap_or_else(|| AlertKind::ALL.into());
        let after = self.after.unwrap_or(AFTER);
        if after < LEAST_AFTER {
            return Err(ConfigError::invalid("[alerts] after", "it must be 1m or more"));
        }
        Ok(Some(AlertSettings { url, secret, events, after }))
    }
}
