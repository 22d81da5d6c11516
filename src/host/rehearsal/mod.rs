//! A rehearsal: a run whose messages reach a stage instead of the service, and what was seen there.
//!
//! Everything takes its usual road: checks, quota, ledger, clock. Only the ends differ, and each is here or asks here:
//! messages (`stage`), uploads (`uploads`), requests to others (`outside`). Files have an overlay of their own. What
//! breaks a limit is noted and the script goes on, so that one rehearsal finds all of it (`problems`).
//!
//! - `seen`: what the stage has seen, for whoever reports it;
//! - `plan`: what a rehearsal commits to, and the gate that holds a run to it.

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

/// What a rehearsal sees.
#[derive(Debug)]
pub struct Rehearsal {
    /// Since 1970, when its clock began.
    start: Duration,
    /// The apps whose lists may be read for real; the road there is in real time.
    lists: Vec<Rc<Delivery>>,
    /// What stands before the path of a file that was not uploaded, for each app.
    prefixes: Vec<String>,
    next_id: Cell<u64>,
    apps: RefCell<Vec<AppTotals>>,
    broadcasts: RefCell<Vec<RehearsedBroadcast>>,
    singles: RefCell<RehearsedSends>,
    problems: RefCell<RehearsalProblems>,
    outside: RefCell<Vec<SkippedEffect>>,
    uploads: RefCell<Vec<RehearsedUpload>>,
    /// By app, where they will be looked up.
    targets: Option<RefCell<BTreeMap<String, RehearsalTargets>>>,
}

impl Rehearsal {
    /// A rehearsal that begins at `start`. `lists` are roads to the real lists, one an app, or none where these are not
    /// to be read; `prefixes` stand before the addresses of files.
    #[must_use]
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

    /// The same, with whom it reaches kept for looking them up: that takes memory for each.
    #[must_use]
    pub fn keeping_targets(self) -> Self {
        Self { targets: Some(RefCell::default()), ..self }
    }

    /// Whom the messages of each app would reach.
    #[must_use]
    pub fn targets(&self) -> BTreeMap<String, RehearsalTargets> {
        self.targets.as_ref().map(|targets| targets.borrow().clone()).unwrap_or_default()
    }

    /// Totals of each app that something would be sent through.
    #[must_use]
    pub fn apps(&self) -> Vec<AppTotals> {
        self.apps.borrow().clone()
    }

    /// The broadcasts, in the order in which they began.
    #[must_use]
    pub fn broadcasts(&self) -> Vec<RehearsedBroadcast> {
        self.broadcasts.borrow().clone()
    }

    /// The single sends.
    #[must_use]
    pub fn singles(&self) -> RehearsedSends {
        self.singles.borrow().clone()
    }

    /// What breaks limits.
    #[must_use]
    pub fn problems(&self) -> RehearsalProblems {
        self.problems.borrow().clone()
    }

    /// What was asked of others and not done.
    #[must_use]
    pub fn not_sent(&self) -> Vec<SkippedEffect> {
        self.outside.borrow().clone()
    }

    /// The files that would be uploaded.
    #[must_use]
    pub fn uploads(&self) -> Vec<RehearsedUpload> {
        self.uploads.borrow().clone()
    }

    /// The road to an app's real lists.
    pub(super) fn lists(&self, app: u32) -> Result<&Rc<Delivery>, RequestFailure> {
        self.lists.get(app as usize).ok_or_else(|| {
            RequestFailure::denied(
                "a rehearsal does not ask the service for its groups and members unless it is told to: add --read-lists",
            )
        })
    }

    /// Keeps what is wrong with something, and gives the number under which the script's line will be told.
    pub(super) fn note(
        &self,
        of: Option<u64>,
        broadcast: Option<&str>,
        recipient: &str,
        why: &RequestFailure,
    ) -> u64 {
        self.problems.borrow_mut().note(of, broadcast, recipient, why)
    }

    /// A number for problems that are found in one place of the script.
    pub(super) fn number(&self) -> u64 {
        self.problems.borrow_mut().number()
    }

    /// Whether problems under this number have no line yet.
    pub(super) fn awaits_place(&self, number: u64) -> bool {
        self.problems.borrow().awaits_place(number)
    }

    /// The script's line for the problems under this number.
    pub(super) fn place(&self, number: u64, place: &str) {
        self.problems.borrow_mut().place(number, place);
    }

    /// A single send is about to begin.
    pub(super) fn single(&self, fingerprint: plan::SendFingerprint) {
        self.singles.borrow_mut().add(fingerprint);
    }

    /// What stands for the receipts of a message that breaks a limit: an id for each group that can be read from it.
    pub(super) fn stand_in_receipts(&self, message: &Value) -> Vec<(String, String)> {
        let groups = match message.get("to") {
            Some(Value::Array(groups)) => groups.iter().filter_map(word).collect(),
            Some(group) => word(group).into_iter().collect(),
            None => Vec::new(),
        };
        groups.into_iter().map(|group: String| (group, self.ids(1).to_string())).collect()
    }

    /// The first of so many new message ids.
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
