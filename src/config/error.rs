//! Errors of the settings.

use std::io;
use std::path::PathBuf;

/// What is wrong with the settings, where, and how to correct it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: {message}", path.display())]
    Malformed {
        path: PathBuf,
        /// The line, the column and the reason.
        message: String,
    },
    #[error("{setting}: {message}")]
    Invalid {
        /// The setting or environment variable.
        setting: String,
        /// What is wrong with it and what would be right.
        message: String,
    },
    #[error("{app}: {missing} is not set; set it in mooncast.toml or as {variable}")]
    Missing {
        /// The section: `[app]` or `[apps.NAME]`.
        app: String,
        missing: &'static str,
        /// The environment variable for the setting.
        variable: &'static str,
    },
}

impl ConfigError {
    pub(super) fn invalid(setting: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { setting: setting.into(), message: message.into() }
    }
}
