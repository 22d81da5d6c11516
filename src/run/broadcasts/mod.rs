//! The host's side of `im.broadcast`: builds a fixed plan in the ledger from a script's request, and then drives it
//! to its end.
//!
//! One script builds a plan, and one process drives it. If the script ends early, the plan is built again; if the
//! process ends early, the broadcast resumes where it stopped.

mod audience;
mod begin;
mod build;
mod change;
mod compare;
mod continued;
mod correct;
mod draft;
mod drive;
mod ended;
mod fields;
mod inputs;
mod project;
mod report;
mod request;
mod steps;
mod supervisor;
mod texts;
mod undecided;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::core::sha256_hex;
use crate::delivery::{ActiveBroadcast, LEASE, SendCounters, SendCounts};
use crate::ledger::{BroadcastId, Lease, Ledger, LedgerError, ScriptRef};
use crate::protocol::{FailureKind, HostResponse, LuaSource, RequestFailure};

pub use crate::core::OnChange;
use build::PlanBuilder;
pub use build::PlanProgress;
pub use change::note as changed_note;
use compare::RecipientComparison;
use drive::{BroadcastOutcome, BroadcastTask};

pub use project::ProjectInputs;
pub(super) use steps::step;
pub use supervisor::{BroadcastSupervisor, SupervisedEnd};
pub use undecided::undecided_changes;

/// The prefix of the `once` key of a campaign's test message.
const TEST_KEY: &str = "campaign test ";

/// The most groups to which a campaign sends its test messages.
const MOST_TESTED: usize = 20;

/// The interval at which a lease is renewed.
const RENEWAL: Duration = Duration::from_secs(8);

#[derive(Default)]
pub struct RunBroadcasts {
    open: RefCell<HashMap<u64, OpenBroadcast>>,
    last: Cell<u64>,
    script: RefCell<Option<LuaSource>>,
    watched: RefCell<Vec<Rc<ActiveBroadcast>>>,
    plans: RefCell<Vec<Weak<PlanProgress>>>,
    on_change: Cell<Option<OnChange>>,
    test_only: Cell<bool>,
    /// How many test messages of campaigns were asked for.
    tests: Cell<u64>,
    refused: Cell<bool>,
    /// Why a broadcast was cancelled, of the first such one.
    cancelled: RefCell<Option<String>>,
    supervised: SendCounters,
    /// Whether drafts of dead processes have been deleted.
    swept: Cell<bool>,
}

enum OpenBroadcast {
    Building(Box<PlanBuilder>),
    Comparing(Box<RecipientComparison>),
    Driving(Rc<BroadcastTask>),
}

impl RunBroadcasts {
    /// Sets the script that makes the requests.
    pub(super) fn of_script(&self, script: &LuaSource) {
        self.script.replace(Some(script.clone()));
    }

    /// Sets what happens to unfinished broadcasts whose inputs changed. This overrides their script.
    pub fn decide_on_change(&self, on_change: OnChange) {
        self.on_change.set(Some(on_change));
    }

    /// Makes campaigns end after their test messages, even if their script says otherwise. Any other broadcast is
    /// refused.
    pub fn only_test(&self) {
        self.test_only.set(true);
    }

    /// Whether a message with this `once` key may be sent. With [`RunBroadcasts::only_test`] only the test messages
    /// of campaigns may, while their plan is being checked.
    pub(super) fn lets_through(&self, once: Option<&str>) -> bool {
        if once.is_some_and(|key| key.starts_with(TEST_KEY)) {
            self.tests.set(self.tests.get() + 1);
        }
        if !self.test_only.get() {
            return true;
        }
        let testing = |open: &OpenBroadcast| matches!(open, OpenBroadcast::Building(building) if building.is_being_tested());
        once.is_some_and(|key| key.starts_with(TEST_KEY)) && self.open.borrow().values().any(testing)
    }

    /// Whether a message to so many recipients with this `once` key is a test message of a campaign.
    pub(super) fn is_test(once: Option<&str>, recipients: usize) -> bool {
        recipients <= MOST_TESTED && once.is_some_and(|key| key.starts_with(TEST_KEY))
    }

    /// The path of the script that makes the requests.
    pub(super) fn script_path(&self) -> Option<String> {
        self.script.borrow().as_ref().map(|script| script.name.clone())
    }

    /// How many test messages of campaigns were asked for.
    pub fn tests(&self) -> u64 {
        self.tests.get()
    }

    /// Whether only the test messages of campaigns may be sent.
    pub(super) fn only_tests(&self) -> bool {
        self.test_only.get()
    }

    /// Whether a broadcast was refused because its inputs changed.
    pub fn refused(&self) -> bool {
        self.refused.get()
    }

    /// Returns why a broadcast of the run is not sent: it was rejected or cancelled, before the run or during it. None if
    /// none was.
    pub fn cancelled(&self) -> Option<String> {
        self.cancelled.borrow().clone()
    }

    /// The counts of the broadcasts of the run that a daemon's supervisor drove. They are not in the counts of the run, which
    /// may end before them.
    pub fn supervised(&self) -> SendCounts {
        self.supervised.counts()
    }

    /// Notes how a broadcast of the run ended. `supervised` is whether a daemon's supervisor drove it.
    fn note_outcome(&self, outcome: &BroadcastOutcome, supervised: bool) {
        let BroadcastOutcome { call, summary, sent_now, cancelled } = outcome;
        if supervised {
            self.supervised.broadcast(*call, summary, *sent_now);
        }
        if let Some(why) = cancelled {
            self.note_cancelled(why.clone());
        }
    }

    /// Notes and logs why a broadcast of the run was cancelled.
    fn note_cancelled(&self, why: String) {
        tracing::warn!("{why}");
        self.cancelled.borrow_mut().get_or_insert(why);
    }

    /// Returns the broadcasts that are being driven, and the ended ones that are still worth showing; the oldest
    /// first.
    pub fn watched(&self) -> Vec<Rc<ActiveBroadcast>> {
        self.watched.borrow().clone()
    }

    /// Returns the plans that are being built.
    pub fn plans(&self) -> Vec<Rc<PlanProgress>> {
        let mut plans = self.plans.borrow_mut();
        plans.retain(|plan| plan.strong_count() > 0);
        plans.iter().filter_map(Weak::upgrade).collect()
    }

    /// Adds a broadcast to show, and removes those that were delivered to all recipients.
    fn watch(&self, underway: ActiveBroadcast) -> Rc<ActiveBroadcast> {
        let underway = Rc::new(underway);
        let mut watched = self.watched.borrow_mut();
        watched.retain(|one| one.end().is_none_or(|driven| !driven.report.all_delivered()));
        watched.push(Rc::clone(&underway));
        underway
    }

    /// Abandons the plans that are being built. Waits for the broadcasts that are being driven, which must have been
    /// told to stop; if `kept` is true, they go on without their script.
    pub(super) async fn end(&self, kept: bool) {
        let all: Vec<OpenBroadcast> = self.open.borrow_mut().drain().map(|(_, open)| open).collect();
        for open in all {
            match open {
                OpenBroadcast::Building(building) => building.abandon().await,
                OpenBroadcast::Comparing(comparing) => comparing.role.release().await,
                OpenBroadcast::Driving(driving) if !kept => driving.ended().await,
                OpenBroadcast::Driving(_) => {}
            }
        }
    }

    /// Returns the ids of the broadcasts that are being driven.
    pub fn driven(&self) -> Vec<BroadcastId> {
        let open = self.open.borrow();
        let driven = open.values().filter_map(|open| match open {
            OpenBroadcast::Driving(driving) => Some(driving.id()),
            OpenBroadcast::Building(_) | OpenBroadcast::Comparing(_) => None,
        });
        driven.collect()
    }

    fn put(&self, handle: u64, open: OpenBroadcast) {
        self.open.borrow_mut().insert(handle, open);
    }

    fn building(&self, handle: u64) -> Result<Box<PlanBuilder>, RequestFailure> {
        let mut open = self.open.borrow_mut();
        match open.remove(&handle) {
            Some(OpenBroadcast::Building(building)) => Ok(building),
            Some(other) => {
                open.insert(handle, other);
                Err(RequestFailure::new(FailureKind::Invalid, "the broadcast's plan is fixed"))
            }
            None => Err(RequestFailure::new(
                FailureKind::Invalid,
                "no broadcast is being built under this handle",
            )),
        }
    }

    /// Returns the broadcast under this handle if its recipients are being compared.
    fn comparing(&self, handle: u64) -> Option<Box<RecipientComparison>> {
        let mut open = self.open.borrow_mut();
        match open.remove(&handle)? {
            OpenBroadcast::Comparing(comparing) => Some(comparing),
            other => {
                open.insert(handle, other);
                None
            }
        }
    }

    fn driving(&self, handle: u64) -> Result<Rc<BroadcastTask>, RequestFailure> {
        match self.open.borrow().get(&handle) {
            Some(OpenBroadcast::Driving(driving)) => Ok(Rc::clone(driving)),
            _ => {
                Err(RequestFailure::new(FailureKind::Invalid, "no broadcast is being sent under this handle"))
            }
        }
    }

    fn script_mark(&self) -> Option<ScriptRef> {
        let script = self.script.borrow();
        let script = script.as_ref()?;
        let hash = sha256_hex(&script.text);
        Some(ScriptRef { path: script.name.clone(), hash })
    }
}

/// Renews a lease until it is dropped.
struct LeaseRenewal(JoinHandle<()>);

impl LeaseRenewal {
    fn start(ledger: &Ledger, lease: Lease, clock: &Clock) -> Self {
        let (ledger, clock) = (ledger.clone(), clock.clone());
        Self(tokio::task::spawn_local(async move {
            loop {
                clock.sleep(RENEWAL).await;
                if let Err(error) = ledger.renew(lease, LEASE).await {
                    tracing::warn!("could not renew the lease of broadcast {}: {error}", lease.broadcast);
                }
            }
        }))
    }
}

impl Drop for LeaseRenewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Converts an error of the ledger into the failure that the script sees.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` takes")]
fn fault(error: LedgerError) -> RequestFailure {
    match &error {
        LedgerError::TooMany { .. } => {
            RequestFailure::invalid("max_recipients", format!("{error}; nothing was sent"))
        }
        // A single send fails in the same way if the ledger cannot be reached.
        _ if error.is_fault() => RequestFailure::new(
            FailureKind::Unreachable,
            format!("{error}; after that the same call continues where it stopped"),
        ),
        _ => RequestFailure::new(FailureKind::Invalid, error.to_string()),
    }
}

fn json_answer(value: &Value) -> HostResponse {
    HostResponse::Json(value.to_string().into())
}
