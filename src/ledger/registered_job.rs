//! A job as the registry takes it in, and the statement that does so.

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

/// The statement that stores jobs, given as JSON in the argument `rows`: name, script, times, decided until, version. A
/// job that is stored already changes only where `condition` holds.
pub(super) fn upsert_text(rows: &str, condition: &str) -> String {
    format!(
        "INSERT INTO jobs (name, script, times, decided_until, version)
            SELECT value ->> 0, value ->> 1, value ->> 2, CAST(value ->> 3 AS BIGINT), value ->> 4
                FROM json_each({rows}) WHERE true
            ON CONFLICT (name) DO UPDATE SET script = excluded.script, times = excluded.times,
                version = excluded.version, gone_at = NULL, decided_until = CASE
                    WHEN jobs.times = excluded.times THEN jobs.decided_until
                    WHEN jobs.decided_until > excluded.decided_until THEN jobs.decided_until
                    ELSE excluded.decided_until END
                WHERE {condition}"
    )
}
