//! A rehearsal: a run whose messages are recorded instead of sent.
//!
//! Everything else takes its usual path: checks, quota, ledger, clock. Only the effects outside differ, and each is
//! handled here: messages (`transport`), uploads (`uploads`), requests to other services (`outside`). Files have an
//! overlay of their own. A broken limit is noted and the script goes on, so that one rehearsal finds all problems
//! (`policy`, `problems`).
//!
//! - `seen`: what the rehearsal has recorded, for reports;
//! - `plan`: what a rehearsal commits to; `guard`: holds a run to it.

mod guard;
mod outside;
mod plan;
mod policy;
mod problems;
mod seen;
mod targets;
mod transport;
mod uploads;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::delivery::Delivery;

use uploads::FilesByContent;

pub use guard::{GuardParts, PlanGuard};
pub(super) use outside::RehearsedHttp;
pub use outside::SkippedEffect;
pub use plan::RehearsalPlan;
pub use problems::{RehearsalProblem, RehearsalProblems};
pub use seen::{
    AppTotals, BroadcastOrigin, MessageSample, RehearsedAnnouncement, RehearsedBroadcast, RehearsedSends,
};
pub use targets::RehearsalTargets;
pub use uploads::RehearsedUpload;

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
    announcements: RefCell<Vec<RehearsedAnnouncement>>,
    /// The calls of `im.request` that change something.
    requests: RefCell<Vec<plan::SendFingerprint>>,
    problems: RefCell<RehearsalProblems>,
    outside: RefCell<Vec<SkippedEffect>>,
    uploads: RefCell<Vec<RehearsedUpload>>,
    files: FilesByContent,
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
            announcements: RefCell::default(),
            requests: RefCell::default(),
            problems: RefCell::default(),
            outside: RefCell::default(),
            uploads: RefCell::default(),
            files: FilesByContent::default(),
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

    /// Returns the announcements, in their order. They are among the single sends too.
    pub fn announcements(&self) -> Vec<RehearsedAnnouncement> {
        self.announcements.borrow().clone()
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

    /// Returns the deliveries that read the apps' real lists.
    pub(super) fn lists(&self) -> Vec<Rc<Delivery>> {
        self.lists.clone()
    }

    /// Reserves `count` new message ids, and returns the first.
    fn ids(&self, count: usize) -> u64 {
        let first = self.next_id.get();
        self.next_id.set(first + count as u64);
        first
    }
}
