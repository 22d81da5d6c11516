//! A rehearsal: a run whose messages are recorded instead of sent.
//!
//! Everything else takes its usual path: checks, quota, ledger, clock. Only the effects outside differ, and each is
//! handled here: messages (`stage`), uploads (`uploads`), requests to other services (`outside`). Files have an
//! overlay of their own. A broken limit is noted and the script goes on, so that one rehearsal finds all problems
//! (`problems`).
//!
//! - `seen`: what the rehearsal has recorded, for reports;
//! - `plan`: what a rehearsal commits to, and the guard that holds a run to it.

mod outside;
mod plan;
mod problems;
mod seen;
mod stage;
mod targets;
mod time;
mod uploads;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::delivery::Delivery;
use crate::protocol::RequestFailure;

pub use outside::SkippedEffect;
pub use plan::{PlanGuard, RehearsalPlan};
pub use problems::{RehearsalProblem, RehearsalProblems};
pub use seen::{AppTotals, BroadcastOrigin, MessageSample, RehearsedBroadcast, RehearsedSends};
pub use targets::RehearsalTargets;
pub use time::ScriptTime;
pub use uploads::RehearsedUpload;

pub(super) use plan::fingerprint;
pub use uploads::FilesByContent;

pub(super) use stage::PlannedBroadcast;
pub(super) use uploads::look;

/// The record of a rehearsal.
#[derive(Debug)]
pub struct Rehearsal {
    /// When its clock began, since 1970.
    start: Duration,
    /// The deliveries through which the apps' real lists may be read, in real time.
    lists: Vec<Rc<Delivery>>,
    /// The prefix of the address of a file that was not uploaded, for each app.
    prefixes: Vec<String>,
    next_id: Cell<u64>,
    apps: RefCell<Vec<AppTotals>>,
    broadcasts: RefCell<Vec<RehearsedBroadcast>>,
    singles: RefCell<RehearsedSends>,
    problems: RefCell<RehearsalProblems>,
    outside: RefCell<Vec<SkippedEffect>>,
    uploads: RefCell<Vec<RehearsedUpload>>,
    /// The targets by app, if they are kept to be looked up later.
    targets: Option<RefCell<BTreeMap<String, RehearsalTargets>>>,
}

impl Rehearsal {
    /// Creates a rehearsal that begins at `start`, since 1970. `lists` holds one delivery per app to read its real
    /// lists, or is empty if they must not be read; `prefixes` holds the prefix of file addresses of each app.
    pub fn new(start: Duration, lists: Vec<Rc<Delivery>>, prefixes: Vec<String>) -> Self {
        Self {
            start,
            lists,
            prefixes,
            next_id: Cell::new(1_000_000_000_000_000_001),
            apps: RefCell::default(),
            broadcasts: RefCell::default(),
            singles: RefCell::default(),
            problems: RefCell::default(),
            outside: RefCell::default(),
            uploads: RefCell::default(),
            targets: None,
        }
    }

    /// Returns the same rehearsal, which also keeps its targets so that they can be looked up. This takes memory for
    /// each target.
    pub fn keeping_targets(self) -> Self {
        Self { targets: Some(RefCell::default()), ..self }
    }

    /// Returns the targets of the messages of each app.
    pub fn targets(&self) -> BTreeMap<String, RehearsalTargets> {
        self.targets.as_ref().map(|targets| targets.borrow().clone()).unwrap_or_default()
    }

    /// Returns the totals of each app that would send something.
    pub fn apps(&self) -> Vec<AppTotals> {
        self.apps.borrow().clone()
    }

    /// Returns the broadcasts, in the order in which they began.
    pub fn broadcasts(&self) -> Vec<RehearsedBroadcast> {
        self.broadcasts.borrow().clone()
    }

    pub fn singles(&self) -> RehearsedSends {
        self.singles.borrow().clone()
    }

    /// Returns the messages that break limits.
    pub fn problems(&self) -> RehearsalProblems {
        self.problems.borrow().clone()
    }

    /// Returns the effects outside that were requested and skipped.
    pub fn not_sent(&self) -> Vec<SkippedEffect> {
        self.outside.borrow().clone()
    }

    /// Returns the files that would be uploaded.
    pub fn uploads(&self) -> Vec<RehearsedUpload> {
        self.uploads.borrow().clone()
    }

    /// Returns the delivery that reads an app's real lists.
    pub(super) fn lists(&self, app: u32) -> Result<&Rc<Delivery>, RequestFailure> {
        self.lists.get(app as usize).ok_or_else(|| {
            RequestFailure::denied(
                "a rehearsal does not ask the service for its groups and members unless it is told to: add --read-lists",
            )
        })
    }

    /// Notes a problem, and returns the number under which the line of the script will be reported.
    pub(super) fn note(
        &self,
        of: Option<u64>,
        broadcast: Option<&str>,
        recipient: &str,
        why: &RequestFailure,
    ) -> u64 {
        self.problems.borrow_mut().note(of, broadcast, recipient, why)
    }

    /// Returns a number for the problems of one place in the script.
    pub(super) fn number(&self) -> u64 {
        self.problems.borrow_mut().number()
    }

    /// Whether the problems under this number have no line yet.
    pub(super) fn awaits_place(&self, number: u64) -> bool {
        self.problems.borrow().awaits_place(number)
    }

    /// Sets the line of the script for the problems under this number.
    pub(super) fn place(&self, number: u64, place: &str) {
        self.problems.borrow_mut().place(number, place);
    }

    /// Records a single send that is about to begin.
    pub(super) fn single(&self, fingerprint: plan::SendFingerprint) {
        self.singles.borrow_mut().add(fingerprint);
    }

    /// Returns placeholder receipts for a message that breaks a limit: an id for each group that can be read from it.
    pub(super) fn stand_in_receipts(&self, message: &Value) -> Vec<(String, String)> {
        let groups = match message.get("to") {
            Some(Value::Array(groups)) => groups.iter().filter_map(word).collect(),
            Some(group) => word(group).into_iter().collect(),
            None => Vec::new(),
        };
        groups.into_iter().map(|group: String| (group, self.ids(1).to_string())).collect()
    }

    /// Reserves `count` new message ids, and returns the first.
    fn ids(&self, count: usize) -> u64 {
        let first = self.next_id.get();
        self.next_id.set(first + count as u64);
        first
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
