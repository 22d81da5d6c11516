//! The declaration of a job, and the arguments that a job's function gets.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::capped;

/// A job as a script declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDeclaration {
    /// The job's name, unique in the project.
    pub name: String,
    pub when: JobTrigger,
    /// The name of a time zone. None means UTC.
    pub tz: Option<String>,
    /// The policy for missed times: `once`, `skip` or `all`.
    pub missed: Option<String>,
    /// Milliseconds for which a missed time may still run.
    pub grace_ms: Option<u64>,
    /// The policy for a time at which an earlier run has not ended: `skip`, `queue` or `cancel`.
    pub overlap: Option<String>,
    /// The most milliseconds that a run may take.
    pub timeout_ms: Option<u64>,
    /// The most milliseconds by which a run is delayed, so that many jobs do not start at once.
    pub jitter_ms: Option<u64>,
    /// Whether an interrupted run is started again, whatever it had sent.
    pub rerun: bool,
    /// The place of the declaration: `scripts/digest.lua:3`.
    pub place: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobTrigger {
    /// By a cron expression.
    Cron(String),
    /// At multiples of this many milliseconds since midnight, UTC.
    Every {
        /// Milliseconds between two runs.
        ms: u64,
    },
    /// Once, at a time in text form.
    At(String),
    /// Once, at this time.
    AtInstant {
        /// Milliseconds since 1970-01-01T00:00:00Z.
        ms: i64,
    },
    /// At each request that the daemon's listener accepts for the job.
    Hook(HookDeclaration),
}

/// How the requests of a hook prove that their sender knows the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookDeclaration {
    /// The name of the secret. Its value stays with the host.
    pub secret: String,
    /// `hmac-sha256` or `token`.
    pub scheme: Option<String>,
    /// The header with the signature or the token.
    pub header: Option<String>,
    /// The header with the delivery's id. With None each request counts as a new delivery.
    pub id: Option<String>,
}

/// A request that a hook accepted: the argument of its function.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HookRequest {
    /// The HTTP method. A hook accepts only POST.
    pub method: String,
    /// The names and values after the `?`, in order.
    #[serde(deserialize_with = "capped::list::<_, _, 10_000>")]
    pub query: Vec<(String, String)>,
    /// Names (lower case) and values, without the headers that only the host may know.
    #[serde(deserialize_with = "capped::list::<_, _, 10_000>")]
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl HookRequest {
    /// Returns everything but the body as JSON, for storage.
    pub fn head(&self) -> String {
        serde_json::json!([self.method, self.query, self.headers]).to_string()
    }

    /// Rebuilds a request from a [`HookRequest::head`] and a body.
    ///
    /// # Errors
    ///
    /// `head` is not the text of a [`HookRequest::head`].
    pub fn of_parts(head: &str, body: Vec<u8>) -> Result<Self, serde_json::Error> {
        let (method, query, headers) = serde_json::from_str(head)?;
        Ok(Self { method, query, headers, body: body.into() })
    }
}

/// The arguments of a job's function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStart {
    pub name: String,
    /// The scheduled time in milliseconds since 1970-01-01T00:00:00Z.
    pub scheduled_at_ms: i64,
    /// The scheduled time as text, which a broadcast takes as its `run`.
    pub run: String,
    /// 1 for the first attempt; each restart of the run adds 1.
    pub attempt: u32,
    /// For a hook, the request of this run. None if a person started the run.
    pub request: Option<HookRequest>,
}
