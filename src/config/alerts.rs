//! `[alerts]` or `[[alerts]]`: where the daemon posts its alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretString};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::language::Language;

use super::{ConfigError, Environment, units};

/// How long a quota must be refused before an alert, unless the settings say otherwise.
const AFTER: Duration = Duration::from_mins(10);

/// The shortest allowed time. Shorter refusals are normal.
const LEAST_AFTER: Duration = Duration::from_mins(1);

/// The name of the receiver without one.
const DEFAULT_NAME: &str = "default";

/// The most characters of a receiver's name.
const NAME_LENGTH: usize = 32;

/// The length in bytes of the hash of a URL.
const TARGET_LENGTH: usize = 16;

/// Begins the name of each variable of a receiver.
pub const ALERT_VARIABLES: &str = "MOONCAST_ALERTS_";

/// A receiver of alerts.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// `default`, or the `name` of the `[[alerts]]`.
    pub name: String,
    /// What the receiver reads.
    pub format: AlertFormat,
    pub language: Language,
    /// The time zone of the times in group chats: `[serve] zone`. None for the machine's zone.
    pub zone: Option<String>,
    /// The webhook's URL. It is never shown, since anyone who has it can post there.
    pub url: SecretString,
    /// The secret by which the webhook recognises Mooncast's posts. None for a webhook without one.
    pub secret: Option<SecretString>,
    /// The events that cause an alert. Default: all but `finished` and `reconciled`.
    pub events: BTreeSet<AlertKind>,
    /// How long a quota must be refused before an alert. Default 10 min.
    pub after: Duration,
}

impl AlertSettings {
    /// A hash of the URL, by which the ledger knows the receiver under another name.
    pub fn target(&self) -> String {
        let hash = Sha256::digest(self.url.expose_secret());
        HEXLOWER.encode(hash.get(..TARGET_LENGTH).unwrap_or(&hash))
    }
}

/// What a receiver of alerts reads: Mooncast's own JSON, or the posts of a group robot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertFormat {
    #[default]
    Json,
    DingTalk,
    Feishu,
    WeCom,
    Slack,
}

impl AlertFormat {
    /// The word in the settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::DingTalk => "dingtalk",
            Self::Feishu => "feishu",
            Self::WeCom => "wecom",
            Self::Slack => "slack",
        }
    }

    /// Whether the receiver checks a signature.
    const fn is_signed(self) -> bool {
        !matches!(self, Self::WeCom | Self::Slack)
    }

    /// The format of a known service, by the host of a URL. None for every other host.
    fn of_host(url: &str) -> Option<Self> {
        let (_, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit('@').next()?.split(':').next()?.to_ascii_lowercase();
        Some(match host.as_str() {
            "oapi.dingtalk.com" | "api.dingtalk.com" => Self::DingTalk,
            "open.feishu.cn" | "open.larksuite.com" => Self::Feishu,
            "qyapi.weixin.qq.com" => Self::WeCom,
            "hooks.slack.com" => Self::Slack,
            _ => return None,
        })
    }
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
    /// A broadcast waits for an approval by another person.
    AwaitingApproval,
    /// A broadcast ended, and all of its recipients got the message.
    Finished,
    /// The service's records settled the last doubt of a broadcast.
    Reconciled,
}

impl AlertKind {
    pub const ALL: [Self; 7] = [
        Self::RunFailed,
        Self::Undelivered,
        Self::Stale,
        Self::Quota,
        Self::AwaitingApproval,
        Self::Finished,
        Self::Reconciled,
    ];

    /// The kinds that need somebody.
    pub const DEFAULT: [Self; 5] =
        [Self::RunFailed, Self::Undelivered, Self::Stale, Self::Quota, Self::AwaitingApproval];

    /// Returns the word in `events` and in the posted JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunFailed => "run_failed",
            Self::Undelivered => "undelivered",
            Self::Stale => "stale",
            Self::Quota => "quota",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Finished => "finished",
            Self::Reconciled => "reconciled",
        }
    }
}

/// One table is the receiver `default`; a list of tables has several.
#[derive(Debug, Default)]
pub(super) struct AlertsSection {
    receivers: Vec<ReceiverSection>,
    /// Whether the settings have a list of tables.
    is_list: bool,
}

impl<'de> Deserialize<'de> for AlertsSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = AlertsSection;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a section [alerts], or several [[alerts]]")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AlertsSection, A::Error> {
                let receiver = ReceiverSection::deserialize(MapAccessDeserializer::new(map))?;
                Ok(AlertsSection { receivers: vec![receiver], is_list: false })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<AlertsSection, A::Error> {
                let receivers = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
                Ok(AlertsSection { receivers, is_list: true })
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReceiverSection {
    name: Option<String>,
    format: Option<AlertFormat>,
    language: Option<Language>,
    url: Option<SecretString>,
    secret: Option<SecretString>,
    events: Option<BTreeSet<AlertKind>>,
    #[serde(deserialize_with = "units::duration")]
    after: Option<Duration>,
}

impl AlertsSection {
    /// Merges the variables `MOONCAST_ALERTS_…` into the section. `zone` is `[serve] zone`. Returns the
    /// receivers, and by name the problem of each `[[alerts]]` without an address. Only a process that posts
    /// alerts needs the address.
    pub(super) fn settings(
        self,
        environment: &Environment,
        zone: Option<&str>,
    ) -> Result<(Vec<AlertSettings>, BTreeMap<String, String>), ConfigError> {
        let Self { mut receivers, is_list } = self;
        if receivers.is_empty() && !is_list {
            receivers.push(ReceiverSection::default());
        }
        let many = receivers.len() > 1;
        let (mut found, mut missing): (Vec<AlertSettings>, _) = (Vec::new(), BTreeMap::new());
        for (index, receiver) in receivers.into_iter().enumerate() {
            let section = if is_list { format!("[[alerts]] {}:", index + 1) } else { "[alerts]".to_owned() };
            if many && receiver.name.is_none() {
                let message = "it is missing; each of several receivers has one";
                return Err(ConfigError::invalid(format!("{section} name"), message));
            }
            let name = receiver.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
            let url = variable(&name, "URL");
            let Some(settings) = receiver.settings(&section, is_list, environment)? else {
                if is_list {
                    missing.insert(
                        name,
                        format!("{section} it has no address; set `url`, or the variable {url}"),
                    );
                }
                continue;
            };
            if found.iter().any(|other| other.name == settings.name) {
                let message = format!("two receivers are named `{}`", settings.name);
                return Err(ConfigError::invalid(format!("{section} name"), message));
            }
            found.push(AlertSettings { zone: zone.map(str::to_owned), ..settings });
        }
        Ok((found, missing))
    }

    /// Returns the files that variables of the receivers name.
    pub(super) fn secret_files(&self, environment: &Environment) -> Vec<PathBuf> {
        let names = self.receivers.iter().filter_map(|receiver| receiver.name.as_deref());
        let variables = names.flat_map(|name| ["URL", "SECRET"].map(|what| variable(name, what)));
        let files = variables.filter_map(|variable| environment.file_of(&variable));
        files.collect()
    }
}

impl ReceiverSection {
    fn settings(
        self,
        section: &str,
        is_list: bool,
        environment: &Environment,
    ) -> Result<Option<AlertSettings>, ConfigError> {
        let invalid = |setting: &str, message: String| {
            Err(ConfigError::invalid(format!("{section} {setting}"), message))
        };
        let is_named = self.name.is_some();
        let name = self.name.unwrap_or_else(|| DEFAULT_NAME.to_owned());
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=NAME_LENGTH).contains(&name.len()) || !name.bytes().all(letter) {
            return invalid("name", format!("{name:?} must be 1 to {NAME_LENGTH} of a-z, 0-9 and `-`"));
        }
        let value = |what| Ok(environment.value(&variable(&name, what))?.map(SecretString::from));
        let url: Option<SecretString> = value("URL")?.or(self.url);
        let secret: Option<SecretString> = value("SECRET")?.or(self.secret);
        let Some(url) = url else {
            let wanted = is_named || secret.is_some() || self.events.is_some() || self.after.is_some();
            if !is_list && (wanted || self.format.is_some() || self.language.is_some()) {
                let message = format!(
                    "it is missing: the webhook's address; set it here or as {}",
                    variable(&name, "URL")
                );
                return invalid("url", message);
            }
            return Ok(None);
        };
        let begins = |scheme| url.expose_secret().starts_with(scheme);
        if !begins("https://") && !begins("http://") {
            return invalid("url", "it must begin with https:// or http://".to_owned());
        }
        let known = AlertFormat::of_host(url.expose_secret());
        let format = self.format.or(known).unwrap_or_default();
        if known.is_some_and(|known| known != format) {
            let known = known.unwrap_or_default().name();
            let message =
                format!("it is `{}`, but the host of `url` reads `{known}`; leave it out", format.name());
            return invalid("format", message);
        }
        if secret.as_ref().is_some_and(|secret| secret.expose_secret().is_empty()) {
            return invalid("secret", "it is empty; leave it out for none".to_owned());
        }
        if secret.is_some() && !format.is_signed() {
            return invalid("secret", format!("`{}` checks no signature; leave it out", format.name()));
        }
        let events = self.events.unwrap_or_else(|| AlertKind::DEFAULT.into());
        let after = self.after.unwrap_or(AFTER);
        if after < LEAST_AFTER {
            return invalid("after", "it must be 1m or more".to_owned());
        }
        let language = self.language.unwrap_or(Language::English);
        Ok(Some(AlertSettings { name, format, language, zone: None, url, secret, events, after }))
    }
}

/// Returns the name of a receiver's variable. That of the receiver `default` has no name in it.
fn variable(name: &str, what: &str) -> String {
    if name == DEFAULT_NAME {
        return format!("{ALERT_VARIABLES}{what}");
    }
    format!("{ALERT_VARIABLES}{}_{what}", name.to_ascii_uppercase().replace('-', "_"))
}
