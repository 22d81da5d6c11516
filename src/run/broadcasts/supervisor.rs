//! Supervises the broadcasts of a daemon: drives each one once, however many scripts request it, and to its end, even
//! if its script ends.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{Clock, Instant};
use crate::delivery::{ActiveBroadcast, Delivery, DriveResult, LEASE, SendCounters};
use crate::ledger::{
    Broadcast, BroadcastCommand, BroadcastId, InputKind, Instance, Ledger, LedgerError, OperatorDecision,
};

use super::drive::{BroadcastTask, LeasedBroadcast};
use super::project::ProjectInputs;
use super::{LeaseRenewal, change};

/// How long the supervisor waits before it tries again a broadcast that it could not drive.
const REST: Duration = Duration::from_secs(30);

/// How a supervised broadcast ended.
#[derive(Debug, Clone)]
pub struct SupervisedEnd {
    pub id: BroadcastId,
    pub name: String,
    pub run: String,
    /// The result, or why it is unknown.
    pub end: Result<DriveResult, String>,
}

/// The task that drives a broadcast, and its progress for display.
type SupervisedBroadcast = (Rc<BroadcastTask>, Rc<ActiveBroadcast>);

/// Drives broadcasts independently of their scripts.
pub struct BroadcastSupervisor {
    driven: RefCell<HashMap<BroadcastId, SupervisedBroadcast>>,
    /// Whether it sends; if not, it waits for other hosts to send.
    sends: bool,
    stop: CancellationToken,
    report: Box<dyn Fn(SupervisedEnd)>,
    tasks: TaskTracker,
    /// The earliest time of the next attempt, for broadcasts that could not be driven.
    resting: RefCell<HashMap<BroadcastId, Instant>>,
}

impl BroadcastSupervisor {
    /// Creates a supervisor without broadcasts. It calls `report` for each broadcast that ends. If `sends` is false, it
    /// leaves broadcasts with a fixed plan to other hosts, and waits for them.
    pub fn new(sends: bool, report: impl Fn(SupervisedEnd) + 'static) -> Rc<Self> {
        let report = Box::new(report);
        Rc::new(Self {
            driven: RefCell::default(),
            sends,
            stop: CancellationToken::new(),
            report,
            tasks: TaskTracker::new(),
            resting: RefCell::default(),
        })
    }

    /// Takes over a broadcast that was handed to the daemon and that no process drives. Returns whether it did. First
    /// it compares what a dead process left with the project: `project` returns the current inputs of a script.
    pub async fn adopt(
        self: &Rc<Self>,
        ledger: &Ledger,
        instance: &Instance,
        apps: &[Rc<Delivery>],
        clock: &Clock,
        id: BroadcastId,
        project: &dyn Fn(&str) -> Option<ProjectInputs>,
    ) -> Result<bool, LedgerError> {
        let rests = self.resting.borrow().get(&id).is_some_and(|until| clock.now() < *until);
        if rests || self.stop.is_cancelled() || self.driving(id).is_some() {
            return Ok(false);
        }
        let broadcast = ledger.show(id).await?;
        let Some(delivery) = app_of(apps, &broadcast).await else {
            tracing::debug!(broadcast = %id, app = broadcast.app_key, "its app is not configured here");
            return Ok(false);
        };
        if broadcast.command == BroadcastCommand::Run
            && !self.is_compared(ledger, instance, &broadcast, project).await?
        {
            return Ok(false);
        }
        let Some(lease) = ledger.claim(id, instance, LEASE).await? else { return Ok(false) };
        let ledger = ledger.clone();
        let heartbeat = LeaseRenewal::start(&ledger, lease, clock);
        // Another process may have driven the broadcast between the lookup and the claim.
        let broadcast = ledger.show(id).await?;
        if broadcast.is_over() {
            ledger.release(lease).await?;
            return Ok(false);
        }
        self.resting.borrow_mut().insert(id, clock.now() + REST);
        let (name, run, left) = (&broadcast.name, &broadcast.run, broadcast.counts.pending);
        tracing::info!(name, run, left, "a broadcast continues where it stopped");
        let underway = Rc::new(ActiveBroadcast::new(&delivery, &broadcast));
        self.supervise(
            LeasedBroadcast {
                delivery,
                ledger,
                lease,
                broadcast,
                is_resumed: true,
                heartbeat,
                bad_lines: 0,
                blank_rows: 0,
                problems: None,
            },
            Rc::default(),
            underway,
        );
        Ok(true)
    }

    /// Whether the inputs of a broadcast still match its plan. If they differ, this pauses the broadcast and reports
    /// that. If an open job run draws the recipients, that run compares them, and this returns false.
    async fn is_compared(
        &self,
        ledger: &Ledger,
        instance: &Instance,
        broadcast: &Broadcast,
        project: &dyn Fn(&str) -> Option<ProjectInputs>,
    ) -> Result<bool, LedgerError> {
        let Broadcast { id, name, run, spec, .. } = broadcast;
        // An edit's plan is made of the messages that it edits, which no file of the project changes.
        if spec.inputs.is_empty()
            || spec.corrects.is_some()
            || broadcast.driver.is_some()
            || spec.decision == Some(OperatorDecision::Continue)
        {
            return Ok(true);
        }
        if let Some(number) = spec.compared_by
            && (number == instance.id() || ledger.instance_is_alive(number).await?)
        {
            return Ok(true);
        }
        let draws = spec.inputs.iter().any(|input| input.kind == InputKind::Recipients);
        if draws
            && let Some(job) = &spec.job
            && ledger.job_run_is_open(&job.name, Duration::from_millis(job.scheduled_at)).await?
        {
            return Ok(false);
        }
        let script = spec.script.as_ref().map(|mark| mark.path.as_str()).unwrap_or_default();
        let changed = match project(script) {
            Some(project) => project.changed(&spec.inputs).await,
            None => spec.inputs.iter().filter(|input| input.kind == InputKind::Script).cloned().collect(),
        };
        if changed.is_empty() {
            ledger.inputs_compared(*id, instance).await?;
            return Ok(true);
        }
        let (note, kept) = change::held(&changed);
        ledger.hold_for_changes(*id, &note, kept).await?;
        if broadcast.counts.sending > 0
            && let Some(lease) = ledger.claim(*id, instance, LEASE).await?
        {
            change::settle_in_flight(ledger, lease, broadcast).await?;
            ledger.release(lease).await?;
        }
        (self.report)(SupervisedEnd { id: *id, name: name.clone(), run: run.clone(), end: Err(note) });
        Ok(false)
    }

    /// Drives a broadcast in a task of its own.
    pub(super) fn supervise(
        self: &Rc<Self>,
        role: LeasedBroadcast,
        tally: Rc<SendCounters>,
        underway: Rc<ActiveBroadcast>,
    ) -> Rc<BroadcastTask> {
        let (supervisor, id) = (Rc::clone(self), role.broadcast.id);
        let task = self.tasks.token();
        let (watched, shown) = (Rc::clone(&underway), Rc::clone(&underway));
        let driving = BroadcastTask::send(role, self.sends, self.stop.clone(), tally, underway, move |end| {
            let end = match (watched.end(), end) {
                (Some(driven), _) => Ok(driven.clone()),
                (None, Err(failure)) => Err(failure.message.clone()),
                (None, Ok(_)) => Err("it ended without a report".to_owned()),
            };
            supervisor.driven.borrow_mut().remove(&id);
            if end.is_ok() {
                supervisor.resting.borrow_mut().remove(&id);
            }
            (supervisor.report)(SupervisedEnd {
                id,
                name: watched.name.clone(),
                run: watched.run.clone(),
                end,
            });
            drop(task);
        });
        self.driven.borrow_mut().insert(id, (Rc::clone(&driving), shown));
        driving
    }

    pub(super) fn driving(&self, id: BroadcastId) -> Option<Rc<BroadcastTask>> {
        self.driven.borrow().get(&id).map(|(driving, _)| Rc::clone(driving))
    }

    /// Returns the broadcasts that it drives, with their ids.
    pub fn underway(&self) -> Vec<(BroadcastId, Rc<ActiveBroadcast>)> {
        let driven = self.driven.borrow();
        driven.iter().map(|(id, (_, underway))| (*id, Rc::clone(underway))).collect()
    }

    /// Returns the number of broadcasts that it drives.
    pub fn count(&self) -> usize {
        self.driven.borrow().len()
    }

    /// Makes all broadcasts finish what is in flight and begin nothing new.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it drives no broadcast.
    pub async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn app_of(apps: &[Rc<Delivery>], broadcast: &Broadcast) -> Option<Rc<Delivery>> {
    for delivery in apps {
        if let Ok(Some((_, app))) = delivery.entry().await
            && app == broadcast.app
        {
            return Some(Rc::clone(delivery));
        }
    }
    None
}
