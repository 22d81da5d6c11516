//! `[scripts]`: the limits of a run.

use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, units};

/// The limits of one run. A run that exceeds one is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptLimits {
    /// The most bytes of the script's values. Default 256 `MiB`.
    #[serde(deserialize_with = "units::size")]
    pub memory: u64,
    /// The most CPU time between two calls to the host. Default 10 s.
    #[serde(deserialize_with = "units::duration")]
    pub cpu: Duration,
    /// The most real time for the whole run. Default: no limit.
    #[serde(deserialize_with = "units::duration")]
    pub timeout: Option<Duration>,
    /// The most tasks alive at once. Default 10,000.
    pub tasks: u32,
    /// The most runs of a daemon at once; further runs wait. Default 64.
    pub workers: u32,
    /// The most bytes that the calls of one run may hold in the host: requests, files, bodies, answers. Further calls
    /// wait. Default 64 `MiB`. All runs together have twice as much.
    #[serde(deserialize_with = "units::size")]
    pub host_memory: u64,
    /// How long a daemon keeps the output of runs. Default 30 days; zero keeps none.
    #[serde(deserialize_with = "units::duration")]
    pub keep_output: Duration,
    /// The most stored bytes of the output of all runs; older output is deleted. Default 1 `GiB`.
    #[serde(deserialize_with = "units::size")]
    pub keep_output_size: u64,
}

impl Default for ScriptLimits {
    fn default() -> Self {
        Self {
            memory: 256 * 1024 * 1024,
            cpu: Duration::from_secs(10),
            timeout: None,
            tasks: 10_000,
            workers: 64,
            host_memory: 64 * 1024 * 1024,
            keep_output: Duration::from_hours(30 * 24),
            keep_output_size: 1024 * 1024 * 1024,
        }
    }
}

impl ScriptLimits {
    /// Checks that a script can run within the limits.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let least = 4 * 1024 * 1024;
        if self.memory < least {
            let message =
                format!("{} bytes are too few to start a script; give it 4MiB or more", self.memory);
            return Err(ConfigError::invalid("[scripts] memory", message));
        }
        if self.cpu < Duration::from_millis(10) {
            return Err(ConfigError::invalid(
                "[scripts] cpu",
                "a script needs 10ms or more between two calls",
            ));
        }
        for (setting, number) in [("workers", self.workers), ("tasks", self.tasks)] {
            if number == 0 {
                let message = format!("0 {setting} could run nothing; it must be 1 or more");
                return Err(ConfigError::invalid(format!("[scripts] {setting}"), message));
            }
        }
        let least = 1024 * 1024;
        if self.keep_output_size < least {
            let message = format!(
                "{} bytes are too few for the output of runs; give it 1MiB or more, or set keep_output = \"0s\" to keep none",
                self.keep_output_size
            );
            return Err(ConfigError::invalid("[scripts] keep_output_size", message));
        }
        Ok(())
    }
}
