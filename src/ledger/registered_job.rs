//! A job as the registry takes it in.

use std::time::Duration;

/// An active job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredJob {
    pub name: String,
    /// The script that declares it.
    pub script: String,
    /// The schedule, in words; equal words mean equal scheduled times.
    pub times: String,
    /// For a new job or a new schedule: no scheduled time up to this one runs. A job that is registered again
    /// unchanged keeps its stored value.
    pub decided_until: Duration,
    /// The hash of the script's version.
    pub version: String,
}
