//! Reloads the settings while the daemon runs. Some changes apply at once; the others are logged as needing a
//! restart.

use crate::config::{ConfigError, Settings};
use crate::run::net_problem;

use super::registry::ScriptRegistry;

/// Applies changed limits and alerts. Takes the old and the new settings; returns descriptions of the changes that
/// need a restart.
type ApplySettings = Box<dyn Fn(&Settings, &Settings) -> Vec<String>>;

pub struct SettingsReload {
    read: Box<dyn Fn() -> Result<Settings, ConfigError>>,
    take: Option<ApplySettings>,
}

impl SettingsReload {
    /// Creates a reload that reads the settings with this function. Limits and alerts keep their values until a
    /// restart.
    pub fn new(read: impl Fn() -> Result<Settings, ConfigError> + 'static) -> Self {
        Self { read: Box::new(read), take: None }
    }

    /// Adds a function that applies `[app.limits]` and `[alerts]`. It gets the old and the new settings, and
    /// returns the changes that still need a restart.
    pub fn taking(self, take: impl Fn(&Settings, &Settings) -> Vec<String> + 'static) -> Self {
        Self { take: Some(Box::new(take)), ..self }
    }

    /// Reads the settings and applies what it can: permissions and limits of scripts to runs that begin from now
    /// on, limits of apps and alerts at once.
    pub(super) fn apply(&self, registry: &ScriptRegistry) {
        let new = match (self.read)() {
            Ok(new) => new,
            Err(error) => {
                tracing::warn!("the settings are invalid, so the previous settings stay active: {error}");
                return;
            }
        };
        // The file may belong to another project that replaced this one.
        if let Err(error) = registry.loader().held.in_place() {
            tracing::error!("cannot read the settings, so the previous settings stay active: {error}");
            return;
        }
        if let Some(problem) = net_problem(&new.permissions.net) {
            tracing::warn!(
                "the settings are invalid, so the previous settings stay active: [permissions] net: {problem}"
            );
            return;
        }
        let old = registry.settings();
        let mut changes = old.changes(&new);
        let (at_once, for_runs): (Vec<String>, Vec<String>) = changes.live.into_iter().partition(|name| {
            matches!(name.as_str(), "[alerts]" | "[approval]" | "callback_secret")
                || name.ends_with(" limits")
        });
        let mut apps = old.apps.clone();
        let mut alerts = old.alerts.clone();
        let mut approval = old.approval.clone();
        if !at_once.is_empty() {
            if let Some(take) = &self.take {
                let refused = take(&old, &new);
                let settings = at_once.join(", ");
                tracing::info!(settings, "changed settings are now active");
                changes.restart.extend(refused);
                for app in &mut apps {
                    if let Some(other) = new.apps.iter().find(|other| other.name == app.name) {
                        app.limits = other.limits.clone();
                    }
                }
                alerts.clone_from(&new.alerts);
                approval.clone_from(&new.approval);
            } else {
                changes.restart.extend(at_once.iter().cloned());
            }
        }
        if !changes.restart.is_empty() {
            let settings = changes.restart.join(", ");
            tracing::warn!(settings, "some changed settings need a restart");
        }
        if !for_runs.is_empty() {
            let settings = for_runs.join(", ");
            tracing::info!(settings, "changed settings are active for runs that start from now on");
        }
        if !for_runs.is_empty() || (self.take.is_some() && !at_once.is_empty()) {
            registry.set_settings(Settings { apps, alerts, approval, simulator: old.simulator, ..new });
        }
        if !for_runs.is_empty() {
            // A script that failed to load may only have lacked a permission.
            registry.forget_refused();
        }
    }
}
