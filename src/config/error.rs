//! What can be wrong with the settings.

use std::io;
use std::path::PathBuf;

/// What is wrong with the settings, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A `mooncast.toml` that is no TOML, or has an unknown or ill-typed setting.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        message: String,
    },
    /// A setting that is there but makes no sense.
    #[error("{setting}: {message}")]
    Invalid {
        /// The setting or environment variable.
        setting: String,
        /// What is wrong with it, and what would be right.
        message: String,
    },
    /// Settings that belong together, of which one is missing.
    #[error("{app}: {missing} is not set; set it in mooncast.toml or as {variable}")]
    Missing {
        /// `[app]` or `[apps.NAME]`.
        app: String,
        /// The setting.
        missing: &'static str,
        /// The environment variable for it.
        variable: &'static str,
    },
}

impl ConfigError {
    /// A setting that makes no sense.
    pub(super) fn invalid(setting: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { setting: setting.into(), message: message.into() }
    }
}
