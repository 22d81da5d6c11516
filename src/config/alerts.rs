//! `[alerts]`: where the daemon posts its alerts.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{ConfigError, Environment, units};

/// How long a quota must be refused before an alert, unless the settings say otherwise.
const AFTER: Duration = Duration::from_mins(10);

/// The shortest allowed time. Shorter refusals are normal.
const LEAST_AFTER: Duration = Duration::from_mins(1);

/// Where alerts go, and which events cause one.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// The webhook's URL. It is never shown, since anyone who has it can post there.
    pub url: SecretString,
    /// The secret that the webhook recognises Mooncast's posts by. None for a webhook without one.
    pub secret: Option<SecretString>,
    /// The events that cause an alert. Default: all.
    pub events: BTreeSet<AlertKind>,
    /// How long a quota must be refused before an alert. Default 10 min.
    pub after: Duration,
}

/// The kinds of alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A run of a job failed, or was interrupted and is not started again.
    RunFailed,
    /// A run or a broadcast ended and some of its recipients did not get the message, or a broadcast paused by
    /// itself.
    Undelivered,
    /// The current version of a script's file is not active, since it failed to load.
    Stale,
    /// The service has refused for a long time what a quota should allow.
    Quota,
}

impl AlertKind {
    pub const ALL: [Self; 4] = [Self::RunFailed, Self::Undelivered, Self::Stale, Self::Quota];

    /// Returns the word in `events` and in the posted JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunFailed => "run_failed",
            Self::Undelivered => "undelivered",
            Self::Stale => "stale",
            Self::Quota => "quota",
        }
    }
}

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
    /// Merges `MOONCAST_ALERTS_URL` and `MOONCAST_ALERTS_SECRET` into the section. Returns None if there is no URL.
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
