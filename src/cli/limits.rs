//! Command line limits of one script, which replace those in `[scripts]`.

use std::time::Duration;

use clap::Args;

use crate::config::{ScriptLimits, parse_size};
use crate::core::parse_duration;

/// Limits of one run.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// Stop after this time, always real, such as 90s or 2h
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// CPU that the script may use between two calls to the host
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    cpu_limit: Option<Duration>,
    /// Memory that the script's values may take, such as 256MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory_limit: Option<u64>,
}

impl LimitArgs {
    /// The project's limits, replaced by the given ones.
    pub(super) fn over(&self, project: ScriptLimits) -> ScriptLimits {
        ScriptLimits {
            memory: self.memory_limit.unwrap_or(project.memory),
            cpu: self.cpu_limit.unwrap_or(project.cpu),
            timeout: self.timeout.or(project.timeout),
            ..project
        }
    }
}
