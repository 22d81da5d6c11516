//! The declaration of a job, and the arguments that a job's function gets.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::core::EVENT_HEAD;

use super::capped;

/// A job as a script declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDeclaration {
    /// The job's name, unique in the project.
    pub name: String,
    pub when: JobTrigger,
    /// The name of a time zone. None means UTC.
    pub tz: Option<String>,
    /// The name of a calendar. The job runs only on its workdays.
    pub calendar: Option<String>,
    /// The policy for a time on a day that is no workday of the calendar: `skip` or `next`.
    pub on_holiday: Option<String>,
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
    /// At each event of the chat service that fits.
    Event(EventDeclaration),
}

/// How the requests of a hook prove that their sender knows the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookDeclaration {
    /// The name of the secret. Its value stays with the host.
    pub secret: String,
    /// `hmac-sha256`, `token` or `easemob`.
    pub scheme: Option<String>,
    /// The header with the signature or the token.
    pub header: Option<String>,
    /// The header with the delivery's id. With None each request counts as a new delivery.
    pub id: Option<String>,
}

/// The events that start a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDeclaration {
    /// The app whose callbacks are read.
    pub app: String,
    /// `message`, `joined`, `left`, `read`, `recalled` or `edited`.
    pub event: String,
    /// The groups. An empty list means all.
    #[serde(deserialize_with = "capped::list::<_, _, 1000>")]
    pub groups: Vec<String>,
    /// The users. An empty list means all.
    #[serde(deserialize_with = "capped::list::<_, _, 1000>")]
    pub users: Vec<String>,
    /// A Lua pattern that the text of a message must match.
    pub pattern: Option<String>,
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

/// What started a run of a job that has no scheduled times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobInput {
    Request(HookRequest),
    /// An event of the chat service.
    Event {
        /// The group of the event. Runs of a job for one group follow each other.
        group: String,
        /// The argument of the job's function, as JSON.
        json: Bytes,
    },
}

impl JobInput {
    /// Rebuilds an input from the head and the body that the ledger stores.
    ///
    /// # Errors
    ///
    /// `head` is neither that of a request nor that of an event.
    pub fn of_parts(head: &str, body: Vec<u8>) -> Result<Self, serde_json::Error> {
        match head.strip_prefix(EVENT_HEAD) {
            Some(group) => Ok(Self::Event { group: group.to_owned(), json: body.into() }),
            None => HookRequest::of_parts(head, body).map(Self::Request),
        }
    }

    /// Returns an event in words, without its contents: `message in group 1 from ann`. None for a request.
    pub fn event_words(&self) -> Option<String> {
        let Self::Event { group, json } = self else { return None };
        let event: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
        let mut words = format!("{} in group {group}", event["event"].as_str().unwrap_or("event"));
        if let Some(user) = event["from"].as_str() {
            words.push_str(" from ");
            words.push_str(user);
        }
        Some(words)
    }

    /// Returns the group of an event; None for a request.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Event { group, .. } => Some(group),
            Self::Request(_) => None,
        }
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
    /// What started this run. None for a scheduled time, and if a person started the run.
    pub input: Option<JobInput>,
}
