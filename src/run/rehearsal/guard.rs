//! Holds a run to its rehearsal: it refuses everything that was not rehearsed.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use crate::ledger::Broadcast;
use crate::message::Message;
use crate::protocol::RequestFailure;
use crate::run::send_policy::SendPolicy;
use crate::run::uploads::{self, UploadCall, UploadSink};

use super::plan::SendFingerprint;
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
    /// The hash of each broadcast's plan.
    broadcasts: BTreeMap<BroadcastKey, String>,
    files: FilesByContent,
}

impl Rehearsal {
    /// Returns the guard that holds a run to what was recorded.
    pub fn guard(&self) -> PlanGuard {
        let mut singles = HashMap::new();
        for fingerprint in &self.singles.borrow().fingerprints {
            *singles.entry(*fingerprint).or_insert(0) += 1;
        }
        let broadcasts = self.broadcasts();
        let broadcasts = broadcasts.into_iter().map(|seen| ((seen.key, seen.name, seen.run), seen.plan.hash));
        PlanGuard {
            start: self.start,
            singles: RefCell::new(singles),
            broadcasts: broadcasts.collect(),
            files: FilesByContent::default(),
        }
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
        match self.singles.borrow_mut().get_mut(&self.files.fingerprint(app, message)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Ok(())
            }
            _ => Err(RequestFailure::denied(format!(
                "the message to {} differs from the rehearsed plan (`--plan`); it was not sent. Rehearse \
                 the script again",
                message.to().join(", ")
            ))),
        }
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

    fn known_as(&self, json: &[u8]) -> Option<Bytes> {
        self.files.known_as(json)
    }
}

/// Uploads to the service, and recognizes the files of the rehearsal by their content.
impl UploadSink for PlanGuard {
    fn upload<'a>(&'a self, call: UploadCall<'a>) -> LocalBoxFuture<'a, Result<Value, RequestFailure>> {
        Box::pin(async move {
            let (call, content) = hashed(call).await?;
            let options = call.options.clone();
            let value = uploads::send(call).await?;
            let filename = value.get("filename").and_then(Value::as_str).unwrap_or_default();
            self.files.uploaded(&content, filename, &options, &value);
            Ok(value)
        })
    }
}
