//! What a script says of its jobs, and what a job's function is told.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::capped;

/// The names of the options of `schedule.cron`, `schedule.every` and `schedule.at`.
pub const JOB_OPTIONS: [&str; 8] = ["grace", "jitter", "missed", "name", "overlap", "rerun", "timeout", "tz"];

/// The names of the options of `http.hook`.
pub const HOOK_OPTIONS: [&str; 7] = ["header", "id", "overlap", "rerun", "scheme", "secret", "timeout"];

/// A job as a script declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDeclaration {
    /// Unique in the project.
    pub name: String,
    /// When it runs.
    pub when: JobTrigger,
    /// The name of a time zone; UTC where there is none.
    pub tz: Option<String>,
    /// What becomes of missed instants: `once`, `skip` or `all`.
    pub missed: Option<String>,
    /// Milliseconds for which a missed instant is still worth running.
    pub grace_ms: Option<u64>,
    /// What an instant does that finds an earlier run going on: `skip`, `queue` or `cancel`.
    pub overlap: Option<String>,
    /// Milliseconds that a run may take.
    pub timeout_ms: Option<u64>,
    /// Milliseconds by which a run may be put off, so that many jobs do not start at once.
    pub jitter_ms: Option<u64>,
    /// Whether a run that was killed half-way is entered again whatever it had sent.
    pub rerun: bool,
    /// Where it is declared: `scripts/digest.lua:3`.
    pub place: String,
}

/// When a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobTrigger {
    /// By a cron expression.
    Cron(String),
    /// Every so many milliseconds since midnight, UTC.
    Every {
        /// The length.
        ms: u64,
    },
    /// Once, at a time as people write it.
    At(String),
    /// Once, at this instant.
    AtInstant {
        /// Milliseconds since 1970-01-01T00:00:00Z.
        ms: i64,
    },
    /// At each request that the daemon's listener takes for it.
    Hook(HookDeclaration),
}

/// How the requests of a hook show that they are from who has its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookDeclaration {
    /// The name of the secret; its value stays with the host.
    pub secret: String,
    /// `hmac-sha256` or `token`.
    pub scheme: Option<String>,
    /// The header with the signature or the token.
    pub header: Option<String>,
    /// The header with the delivery's id; without one each request is a new one.
    pub id: Option<String>,
}

/// A request that a hook has taken: what its function is called with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HookRequest {
    /// POST, as things are.
    pub method: String,
    /// The names and values after the `?`, in their order.
    #[serde(deserialize_with = "capped::list::<_, _, 10_000>")]
    pub query: Vec<(String, String)>,
    /// Names (lower case) and values, without those that are to be known to the host alone.
    #[serde(deserialize_with = "capped::list::<_, _, 10_000>")]
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl HookRequest {
    /// Everything but the body as JSON, for whoever keeps it.
    #[must_use]
    pub fn head(&self) -> String {
        serde_json::json!([self.method, self.query, self.headers]).to_string()
    }

    /// The request of a [`HookRequest::head`] and a body.
    ///
    /// # Errors
    ///
    /// When the text is no such head.
    pub fn of_parts(head: &str, body: Vec<u8>) -> Result<Self, serde_json::Error> {
        let (method, query, headers) = serde_json::from_str(head)?;
        Ok(Self { method, query, headers, body: body.into() })
    }
}

/// What the function of a job is called with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStart {
    /// The job.
    pub name: String,
    /// The instant that it was scheduled for, in milliseconds since 1970-01-01T00:00:00Z.
    pub scheduled_at_ms: i64,
    /// That instant as text; what a broadcast takes as its `run`.
    pub run: String,
    /// 1 for the first time, one more each time that it is entered again.
    pub attempt: u32,
    /// The request that it is run for, of a hook; none where a person wants it to run.
    pub request: Option<HookRequest>,
}
