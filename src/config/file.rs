//! The content of `mooncast.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::alerts::AlertsSection;
use super::serve::ServeSection;
use super::store::StoreSection;
use super::{AppLimits, ConfigError, Permissions, ScriptLimits, Timeouts, explain};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SettingsFile {
    pub(super) simulator: bool,
    pub(super) app: Option<AppSection>,
    pub(super) apps: BTreeMap<String, AppSection>,
    pub(super) scripts: ScriptLimits,
    pub(super) serve: ServeSection,
    pub(super) permissions: Permissions,
    pub(super) alerts: AlertsSection,
    pub(super) store: Option<StoreSection>,
}

/// `[app]` or `[apps.NAME]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AppSection {
    pub(super) base_url: Option<String>,
    pub(super) org: Option<String>,
    pub(super) name: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<SecretString>,
    pub(super) token: Option<SecretString>,
    pub(super) limits: AppLimits,
    pub(super) timeouts: Timeouts,
}

/// Reads the file. A missing file has no settings.
pub(super) fn read(path: &Path) -> Result<SettingsFile, ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(SettingsFile::default()),
        Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    };
    toml::from_str(&text).map_err(|error| ConfigError::Malformed {
        path: path.to_owned(),
        message: explain::explain(&text, &error),
    })
}
