//! Decides about the messages and plans of a run before they are sent.

use bytes::Bytes;

use crate::client::RestCall;
use crate::delivery::{EditPreview, RecallOptions};
use crate::ledger::{Broadcast, BroadcastPlan, StoredSpec};
use crate::message::Message;
use crate::protocol::{HostResponse, RequestFailure};

use super::rehearsal::BroadcastOrigin;

/// A broadcast whose plan was fixed.
pub(super) struct FixedBroadcast<'a> {
    pub(super) app: &'a str,
    pub(super) broadcast: &'a Broadcast,
    pub(super) spec: &'a StoredSpec,
    pub(super) how: BroadcastOrigin,
    pub(super) plan: BroadcastPlan,
    pub(super) bad_lines: u64,
    pub(super) read: Option<String>,
    /// What it does to messages, if it edits them.
    pub(super) edits: Option<EditPreview>,
}

/// A recall that a run asks for.
pub(super) struct RecallAsked<'a> {
    pub(super) of: RecalledMessages<'a>,
    pub(super) options: &'a RecallOptions,
}

pub(super) enum RecalledMessages<'a> {
    /// Of these recipients, by their receipts. A rehearsal's own messages have other ids than the run's.
    Receipts(&'a [(String, String)]),
    /// Of a broadcast, by its name and run.
    Broadcast(&'a str, &'a str),
}

/// Allows, refuses or records what a run is about to send. The default methods allow everything.
pub(super) trait SendPolicy {
    /// Answers a single send whose message breaks a limit. `message` is the JSON of the script.
    fn invalid(&self, _message: &[u8], why: RequestFailure) -> Result<HostResponse, RequestFailure> {
        Err(why)
    }

    /// Allows a single send. `app` is the app's key.
    fn single(&self, _app: &str, _message: &Message) -> Result<(), RequestFailure> {
        Ok(())
    }

    /// Allows a call of `im.request` that changes something. `app` is the app's key.
    fn request(&self, _app: &str, _call: &RestCall) -> Result<(), RequestFailure> {
        Ok(())
    }

    /// Allows a recall. `app` is the app's key.
    fn recall(&self, _app: &str, _recall: &RecallAsked<'_>) -> Result<(), RequestFailure> {
        Ok(())
    }

    /// Returns the hash that the plan of this broadcast must have, or `None` if any plan will do.
    fn plan_hash(&self, _broadcast: &Broadcast) -> Result<Option<String>, RequestFailure> {
        Ok(None)
    }

    /// Records a broadcast whose plan was fixed.
    fn fixed(&self, _fixed: FixedBroadcast<'_>) {}

    /// Allows a broadcast whose plan was fixed earlier. `app` is the app's name.
    fn reopened(
        &self,
        _app: &str,
        _broadcast: &Broadcast,
        _how: BroadcastOrigin,
    ) -> Result<(), RequestFailure> {
        Ok(())
    }

    /// Returns the number under which the problems of one broadcast are noted. `None` if a problem is an error.
    fn problem_number(&self) -> Option<u64> {
        None
    }

    /// Notes a problem with a recipient under this number. Returns the problem as an error if it is not noted.
    fn note(
        &self,
        _number: Option<u64>,
        _broadcast: &str,
        _recipient: &str,
        why: RequestFailure,
    ) -> Result<(), RequestFailure> {
        Err(why)
    }

    /// Whether the problems under this number still lack their line of the script.
    fn awaits_place(&self, _number: u64) -> bool {
        false
    }

    /// Sets the line of the script for the problems under this number.
    fn place(&self, _number: u64, _place: &str) {}

    /// Whether a later run may be held to the same, and go on where this run is interrupted.
    fn outlives_its_run(&self) -> bool {
        false
    }

    /// Returns the bytes that represent a message in the hash of its plan, if they differ from its own.
    fn known_as(&self, _json: &[u8]) -> Option<Bytes> {
        None
    }
}

/// Allows everything.
pub(super) struct AllowAll;

impl SendPolicy for AllowAll {}
