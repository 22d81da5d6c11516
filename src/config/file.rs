//! The content of `mooncast.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;
use serde::Deserialize;
use toml::{Table, Value};
use zeroize::Zeroizing;

use crate::core::HistoryZone;

use super::alerts::AlertsSection;
use super::serve::ServeSection;
use super::store::StoreSection;
use super::{
    AgoraLogin, AppLimits, ApprovalRules, CallbackSecrets, ConfigError, Permissions, Project, ScriptLimits,
    Timeouts, explain,
};

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
    pub(super) approval: ApprovalRules,
    pub(super) store: Option<StoreSection>,
    /// Whether the settings are those of an environment, and `store` is that of `mooncast.toml`.
    #[serde(skip)]
    pub(super) store_is_of_all: bool,
    /// What the file of the environment itself says of the default app's address.
    #[serde(skip)]
    pub(super) env_address: AppAddress,
}

/// The settings that identify an app.
#[derive(Debug, Default)]
pub(super) struct AppAddress {
    pub(super) base_url: Option<String>,
    pub(super) org: Option<String>,
    pub(super) name: Option<String>,
    pub(super) app_id: Option<String>,
}

/// `[app]` or `[apps.NAME]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AppSection {
    pub(super) base_url: Option<String>,
    pub(super) org: Option<String>,
    pub(super) name: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) app_id: Option<String>,
    pub(super) app_certificate: Option<SecretString>,
    pub(super) login: Option<AgoraLogin>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<SecretString>,
    pub(super) callback_secret: CallbackSecrets,
    pub(super) token: Option<SecretString>,
    pub(super) limits: AppLimits,
    pub(super) extra_fields: Vec<String>,
    pub(super) body_fields: Vec<String>,
    pub(super) timeouts: Timeouts,
    pub(super) history_zone: Option<HistoryZone>,
    pub(super) mark: bool,
    pub(super) verify: bool,
}

/// Reads the project's file, and lays that of its environment over it. A missing `mooncast.toml` has no settings.
pub(super) fn read(project: &Project) -> Result<SettingsFile, ConfigError> {
    let path = project.settings_file();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Zeroizing::default(),
        Err(source) => return Err(ConfigError::Unreadable { path, source }),
    };
    let file = parse(&path, &text)?;
    let Some(path) = project.env_file() else { return Ok(file) };
    let over = std::fs::read_to_string(&path)
        .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
    let over = Zeroizing::new(over);
    let alone = parse(&path, &over)?;
    // Each file is correct alone, so these do not fail, and no error here shows a value.
    let malformed = |path: &Path, message: &str| ConfigError::Malformed {
        path: path.to_owned(),
        message: message.to_owned(),
    };
    let mut tables: Table = text.parse().map_err(|_| malformed(&path, "mooncast.toml has no table"))?;
    lay(over.parse().map_err(|_| malformed(&path, "it has no table"))?, &mut tables);
    let mut merged = SettingsFile::deserialize(tables)
        .map_err(|_| malformed(&path, "it does not fit over mooncast.toml"))?;
    merged.store_is_of_all = alone.store.is_none() && merged.store.is_some();
    let AppSection { base_url, org, name, app_id, .. } = alone.app.unwrap_or_default();
    merged.env_address = AppAddress { base_url, org, name, app_id };
    Ok(merged)
}

fn parse(path: &Path, text: &str) -> Result<SettingsFile, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Malformed {
        path: path.to_owned(),
        message: explain::explain(text, &error),
    })
}

/// Lays a table over another one: setting by setting, where both have a table. Every other value replaces the one below.
fn lay(over: Table, below: &mut Table) {
    for (key, value) in over {
        match (value, below.get_mut(&key)) {
            (Value::Table(over), Some(Value::Table(below))) => lay(over, below),
            (value, _) => {
                below.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table() -> impl Strategy<Value = Table> {
        let value = prop_oneof![any::<i64>().prop_map(Value::from), any::<bool>().prop_map(Value::from)];
        let value = value.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                proptest::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Value::Table(map.into_iter().collect())),
            ]
        });
        proptest::collection::btree_map("[a-d]", value, 0..4).prop_map(|map| map.into_iter().collect())
    }

    /// Every value that is no table, with its path.
    fn leaves(table: &Table, path: &str) -> Vec<(String, Value)> {
        let below = |(key, value): (&String, &Value)| {
            let path = format!("{path}/{key}");
            match value {
                Value::Table(table) => leaves(table, &path),
                value => vec![(path, value.clone())],
            }
        };
        table.iter().flat_map(below).collect()
    }

    proptest! {
        #[test]
        fn what_is_laid_over_wins_and_what_it_does_not_name_stays(below in table(), over in table()) {
            let mut merged = below.clone();
            lay(over.clone(), &mut merged);
            let (found, won) = (leaves(&merged, ""), leaves(&over, ""));
            for leaf in &won {
                prop_assert!(found.contains(leaf), "{leaf:?}");
            }
            for leaf in leaves(&below, "") {
                // A value stays unless one at the same place, above it or below it is laid over it.
                let is_covered = |path: &str| {
                    let within = |one: &str, other: &str| one == other || one.starts_with(&format!("{other}/"));
                    within(&leaf.0, path) || within(path, &leaf.0)
                };
                let is_replaced = won.iter().any(|(path, _)| is_covered(path));
                prop_assert!(is_replaced || found.contains(&leaf) || replaced_by_table(&over, &leaf.0), "{leaf:?}");
            }
        }
    }

    /// Whether a table without values is laid over the value at this path.
    fn replaced_by_table(over: &Table, path: &str) -> bool {
        let mut table = over;
        for key in path.split('/').skip(1) {
            match table.get(key) {
                Some(Value::Table(inner)) => table = inner,
                _ => return false,
            }
        }
        true
    }
}
