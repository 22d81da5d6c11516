//! Settings that change while the daemon runs: some are taken in, the others are named.

use crate::config::{ConfigError, Settings};
use crate::host::net_problem;

use super::registry::Registry;

/// Reads the settings once more.
pub struct Reread(Box<dyn Fn() -> Result<Settings, ConfigError>>);

impl Reread {
    /// By this function.
    #[must_use]
    pub fn new(read: impl Fn() -> Result<Settings, ConfigError> + 'static) -> Self {
        Self(Box::new(read))
    }

    /// Reads them and puts in force what can be: for runs that begin from now on.
    pub(super) fn apply(&self, registry: &Registry) {
        let new = match (self.0)() {
            Ok(new) => new,
            Err(error) => {
                tracing::warn!("the settings are refused, those before stay in force: {error}");
                return;
            }
        };
        if let Some(problem) = net_problem(&new.permissions.net) {
            tracing::warn!(
                "the settings are refused, those before stay in force: [permissions] net: {problem}"
            );
            return;
        }
        let old = registry.settings();
        let changes = old.changes(&new);
        if !changes.restart.is_empty() {
            let restart = changes.restart.join(", ");
            tracing::warn!(restart, "some changed settings are in force only after a restart");
        }
        if !changes.live.is_empty() {
            let live = changes.live.join(", ");
            tracing::info!(live, "changed settings are in force for runs that begin from now on");
            registry.set_settings(Settings { apps: old.apps.clone(), simulator: old.simulator, ..new });
            // A permission may be all that a refused script waited for.
            registry.forget_refused();
        }
    }
}
