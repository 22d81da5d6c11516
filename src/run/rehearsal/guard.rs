//! Holds a run to its rehearsal: it refuses everything that was not rehearsed.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::RestCall;
use crate::ledger::Broadcast;
use crate::message::Message;
use crate::protocol::RequestFailure;
use crate::run::send_policy::{RecallAsked, RecalledMessages, SendPolicy};
use crate::run::uploads::{self, UploadCall, UploadSink};

use super::plan::{SendFingerprint, of_recall, of_request};
use super::uploads::hashed;
use super::{BroadcastOrigin, FilesByContent, Rehearsal};

/// The key, name and run of a broadcast.
type BroadcastKey = (String, String, String);

/// Holds a run to its rehearsal.
#[derive(Debug)]
pub struct PlanGuard {
    /// When the rehearsal began, since 1970.
    start: Duration,
    /// How many more times each single send may be made.
    singles: RefCell<HashMap<SendFingerprint, u64>>,
    /// How many more times each recall, and each call of `im.request` that changes something, may be made.
    requests: RefCell<HashMap<SendFingerprint, u64>>,
    /// The hash of each broadcast's plan.
    broadcasts: BTreeMap<BroadcastKey, String>,
    files: FilesByContent,
}

/// What a guard is made of, for another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardParts {
    start: u64,
    singles: Vec<(SendFingerprint, u64)>,
    requests: Vec<(SendFingerprint, u64)>,
    broadcasts: Vec<(BroadcastKey, String)>,
}

impl From<GuardParts> for PlanGuard {
    fn from(parts: GuardParts) -> Self {
        Self {
            start: Duration::from_secs(parts.start),
            singles: RefCell::new(parts.singles.into_iter().collect()),
            requests: RefCell::new(parts.requests.into_iter().collect()),
            broadcasts: parts.broadcasts.into_iter().collect(),
            files: FilesByContent::default(),
        }
    }
}

impl From<PlanGuard> for GuardParts {
    fn from(guard: PlanGuard) -> Self {
        Self {
            start: guard.start.as_secs(),
            singles: guard.singles.into_inner().into_iter().collect(),
            requests: guard.requests.into_inner().into_iter().collect(),
            broadcasts: guard.broadcasts.into_iter().collect(),
        }
    }
}

impl Rehearsal {
    /// Returns the guard that holds a run to what was recorded.
    pub fn guard(&self) -> PlanGuard {
        let singles = counted(&self.singles.borrow().fingerprints);
        let requests = counted(&self.requests.borrow());
        let broadcasts = self.broadcasts();
        let broadcasts = broadcasts.into_iter().map(|seen| ((seen.key, seen.name, seen.run), seen.plan.hash));
        PlanGuard {
            start: self.start,
            singles: RefCell::new(singles),
            requests: RefCell::new(requests),
            broadcasts: broadcasts.collect(),
            files: FilesByContent::default(),
        }
    }
}

/// Counts how often each fingerprint was recorded.
fn counted(fingerprints: &[SendFingerprint]) -> HashMap<SendFingerprint, u64> {
    let mut counts = HashMap::new();
    for fingerprint in fingerprints {
        *counts.entry(*fingerprint).or_insert(0) += 1;
    }
    counts
}

/// Takes one of the sends that are left with this fingerprint. Returns false if none is left.
fn take(left: &RefCell<HashMap<SendFingerprint, u64>>, fingerprint: SendFingerprint) -> bool {
    match left.borrow_mut().get_mut(&fingerprint) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}

impl PlanGuard {
    /// When the rehearsal began, since 1970.
    pub(in super::super) const fn start(&self) -> Duration {
        self.start
    }

    pub(super) const fn broadcasts(&self) -> &BTreeMap<BroadcastKey, String> {
        &self.broadcasts
    }
}

impl SendPolicy for PlanGuard {
    /// Allows a single send once for each time that it was rehearsed.
    fn single(&self, app: &str, message: &Message) -> Result<(), RequestFailure> {
        if take(&self.singles, self.files.fingerprint(app, message)) {
            return Ok(());
        }
        Err(RequestFailure::denied(format!(
            "the message to {} differs from the rehearsed plan (`--plan`); it was not sent. Rehearse \
             the script again",
            message.to().join(", ")
        )))
    }

    /// Allows a call once for each time that it was rehearsed.
    fn request(&self, app: &str, call: &RestCall) -> Result<(), RequestFailure> {
        if take(&self.requests, of_request(app, call)) {
            return Ok(());
        }
        Err(RequestFailure::denied(format!(
            "{} {} differs from the calls of the rehearsed plan (`--plan`); it was not made. Rehearse the script again",
            call.method, call.path
        )))
    }

    /// Allows a recall once for each time that it was rehearsed.
    fn recall(&self, app: &str, recall: &RecallAsked<'_>) -> Result<(), RequestFailure> {
        if take(&self.requests, of_recall(app, recall)) {
            return Ok(());
        }
        let of = match recall.of {
            RecalledMessages::Broadcast(name, run) => format!("broadcast `{name}` (run {run})"),
            RecalledMessages::Receipts(receipts) => {
                let to: Vec<&str> = receipts.iter().take(5).map(|(to, _)| to.as_str()).collect();
                let more = if receipts.len() > to.len() { ", …" } else { "" };
                format!("the messages to {}{more}", to.join(", "))
            }
        };
        Err(RequestFailure::denied(format!(
            "the recall of {of} differs from the rehearsed plan (`--plan`); nothing was recalled. Rehearse the script \
             again"
        )))
    }

    fn plan_hash(&self, broadcast: &Broadcast) -> Result<Option<String>, RequestFailure> {
        let Broadcast { app_key, name, run, .. } = broadcast;
        let hash = self.broadcasts.get(&(app_key.clone(), name.clone(), run.clone()));
        hash.cloned().map(Some).ok_or_else(|| {
            RequestFailure::denied(format!(
                "broadcast `{name}` (run {run}) is not in the rehearsed plan (`--plan`); nothing of it was \
                 sent. Rehearse the script again"
            ))
        })
    }

    /// Allows a broadcast to resume if its plan, fixed earlier, was part of the rehearsal.
    fn reopened(&self, _: &str, broadcast: &Broadcast, _: BroadcastOrigin) -> Result<(), RequestFailure> {
        if self.plan_hash(broadcast)? == broadcast.plan {
            return Ok(());
        }
        let Broadcast { name, run, .. } = broadcast;
        Err(RequestFailure::denied(format!(
            "broadcast `{name}` (run {run}) was started with other recipients or messages than the \
             rehearsed plan has (`--plan`); nothing more of it was sent. Set `run` to a new value, or run the script without --plan"
        )))
    }

    fn outlives_its_run(&self) -> bool {
        true
    }

    fn known_as(&self, json: &[u8]) -> Option<Bytes> {
        self.files.known_as(json)
    }
}

/// Uploads to the service, and recognizes the files of the rehearsal by their content.
#[async_trait(?Send)]
impl UploadSink for PlanGuard {
    async fn upload(&self, call: UploadCall<'_>) -> Result<Value, RequestFailure> {
        let (call, content) = hashed(call).await?;
        let options = call.options.clone();
        let value = uploads::send(call).await?;
        let filename = value.get("filename").and_then(Value::as_str).unwrap_or_default();
        self.files.uploaded(&content, filename, &options, &value);
        Ok(value)
    }
}
