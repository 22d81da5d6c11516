//! `[serve]`: the daemon.

use std::time::Duration;

use serde::Deserialize;

use super::units;

/// How the daemon behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeSettings {
    /// What runs get to end by themselves when the daemon is told to stop. Default 30 s.
    pub stop_within: Duration,
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self { stop_within: Duration::from_secs(30) }
    }
}

/// The section as it stands in the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServeSection {
    #[serde(deserialize_with = "units::duration")]
    stop_within: Option<Duration>,
}

impl From<ServeSection> for ServeSettings {
    fn from(section: ServeSection) -> Self {
        Self { stop_within: section.stop_within.unwrap_or(Self::default().stop_within) }
    }
}
