//! A single send before it begins, and its outcome.

use crate::ledger::{AppId, RecipientState};

/// A single send before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSend {
    pub app: AppId,
    /// Its `once` key.
    pub once: Option<String>,
    /// The dedup hash of its message, including the recipients. Empty if it has no `once` key.
    pub hash: String,
    /// Its groups, and the users of a targeted send, as JSON; shown to people.
    pub recipients: String,
    /// The script, job or command that sends it; shown to people.
    pub origin: String,
    /// What a record of the service must have to be about it: for each of its groups the fingerprint in hexadecimal,
    /// followed by `:` and the mark if the message has one. As a JSON list.
    pub fingerprints: String,
    /// The addresses of the files at the service that the message carries, as a JSON list. `None` without files.
    pub files: Option<String>,
    /// The id of the job run that makes it, if one does.
    pub job_run: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendOutcome {
    /// Its new state. [`RecipientState::Pending`] means that it is proved that nothing was sent: the key is free again.
    pub state: RecipientState,
    /// (group id, message id) of each group that received it.
    pub receipts: Vec<(String, String)>,
    /// Why it failed or is in doubt. Keep it short.
    pub error: Option<String>,
    /// How many times it was tried.
    pub attempts: u32,
}
